"""The guards, one mutant each: what is taken out, under which schedule, and what the verifier has to say.

`also` is changed in the control as well: a second guard that hides the first, or the schedule that lays it bare. The
control runs the same with the guard in place, and has to pass; so it is this guard that holds.
"""

from typing import NamedTuple

from tests.faults.installation import Surround, nothing_around
from tests.faults.mutants import schedules
from tests.faults.scenario import Break, Scenario

SETTLE_TIMEOUT_S = 20
"""A worker or a sink that refuses to go on never comes to rest; the controls do within 5 s."""


class Mutant(NamedTuple):
    """One guard of the product."""

    guard: str
    """What it is, and where."""

    without: str
    """Its name in `changes.CHANGES`."""

    also: tuple[str, ...]
    scenario: Scenario
    finding: str
    """A pattern of the finding that shows the harm itself, where a standstill would be a finding, too."""

    hidden_by: str
    """Which other guards would hide it, and what is done about them."""

    def changes(self, *, control: bool = False) -> str:
        """For `tests.faults.mutants.process`."""
        return ",".join((*(() if control else (self.without,)), *self.also))


def _once(what: str, faults: Break, surround: Surround = nothing_around) -> Scenario:
    return Scenario(what, faults, duration_s=1, surround=surround, settle_timeout_s=SETTLE_TIMEOUT_S)


MUTANTS: dict[str, Mutant] = {
    "barrier": Mutant(
        "a commit waits until every delivered chunk is decided (runtime/faust_driver.py)",
        "barrier",
        ("slow_decisions",),
        _once("agents that take 50 ms for each chunk", schedules.steady),
        r"committed \d+, decided \d+",
        "quick agents: they are done before the commit has left; made slow",
    ),
    "generation": Mutant(
        "offsets carry the group's generation and member (runtime/exactly_once/membership.py)",
        "generation",
        ("stop_before_cycle",),
        _once("a worker stops with records in hand beyond its session", schedules.worker_zombie_with_input),
        "decided twice",
        "an open transaction, which holds the successor back until the broker aborts it: the worker stops before its"
        " first write; the ownership check, once the worker has polled: it commits before it polls",
    ),
    "ownership": Mutant(
        "a commit is refused for partitions not owned since delivery (runtime/exactly_once/commit.py)",
        "ownership",
        ("generation", "end_on_loss", "stop_before_cycle", "long_cycles"),
        _once("the same, and the worker polls again before it commits", schedules.worker_zombie_with_input),
        "decided twice",
        "the generation check at the broker, and the end of a process that loses partitions: both are taken out in the"
        " control too; a cycle stays open until the worker has learned of its loss, and is committed then",
    ),
    "fence": Mutant(
        "sink_progress moves only for the sink that left it where it stands (sinks/progress.py)",
        "fence",
        ("sums", "stop_before_batch"),
        _once(
            "a sink stops with a batch in hand while another applies it",
            schedules.sink_zombie_with_input,
            schedules.without_unique_facts,
        ),
        "differs from the ledger",
        "the primary keys of the facts, the comparison of balances and of lanes with the ledger, each of which stops"
        " the second writer: all three are taken out in the control too",
    ),
    "keys": Mutant(
        "a command whose idempotency key is known moves nothing (payments/lifecycle.py)",
        "keys",
        (),
        _once("5 % of the payments are sent twice", schedules.steady),
        r"duplicates [1-9]",
        "nothing in the ledger; the tables' primary keys then stop the sink, so Postgres stands still and the ledger"
        " shows the second decision",
    ),
    "changelog": Mutant(
        "the ledger, which is the changelog, is written in the transaction (streams/outbox.py, runtime/exactly_once)",
        "changelog",
        ("comparison",),
        _once("kill -9 with everything written and nothing committed", schedules.worker_killed_before_commit),
        "decided twice",
        "the restore, which compares the ledger with the group's offsets and stays down: taken out in the control too",
    ),
}
