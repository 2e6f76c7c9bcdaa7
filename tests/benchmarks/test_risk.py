"""What `python -m benchmarks.risk` measures is what it says: each step runs, on the accounts that its name promises."""

from benchmarks.risk import rule_set, steps, table
from payments.risk.verdict import UNWATCHED, Outcome, Verdict


def test_every_step_runs_and_the_payment_passes() -> None:
    found = {name: step() for name, step in steps(rule_set()).items()}
    verdicts = [one for one in found.values() if isinstance(one, Verdict)]
    assert verdicts[0] is UNWATCHED
    assert [one.outcome for one in verdicts] == [Outcome.ALLOW] * 3
    assert verdicts[2].features["attempts_24h"] == 12 * 24 + 1
    assert table(dict.fromkeys(found, 0)).count("\n") == len(found) + 1
