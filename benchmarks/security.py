"""What TLS, SASL and rights cost: the batch load on plain and on secured brokers, in turn, in one run.

Starts an environment per round, plain and secured one after the other, so that both see the machine in the same mood.
"""

import statistics
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import uvloop

from benchmarks import modes
from millrace.environment import LocalEnvironment
from runtime.settings import Settings

Measure = Callable[[LocalEnvironment], Awaitable[modes.Throughput]]
SettingsFor = Callable[[Path, bool], Settings]
"""Home, and whether it is secured."""


class Cost(msgspec.Struct, frozen=True):
    """Batch payments per second, accepted until visible in Postgres."""

    plain_payments_per_s: int
    """Median of the rounds."""

    secured_payments_per_s: int
    plain_rounds: list[int]
    secured_rounds: list[int]
    plain_cpu_us_per_payment: dict[str, float]
    """Of the last round."""

    secured_cpu_us_per_payment: dict[str, float]


def compare(settings_for: SettingsFor, measure: Measure, rounds: int) -> Cost:
    """Each half of a round in a home of its own."""
    found: dict[bool, list[modes.Throughput]] = {False: [], True: []}
    for _ in range(rounds):
        for secure in (False, True):
            found[secure].append(_one(settings_for, measure, secure=secure))
    plain, secured = ([run.payments_per_s for run in found[secure]] for secure in (False, True))
    return Cost(
        round(statistics.median(plain)),
        round(statistics.median(secured)),
        plain,
        secured,
        found[False][-1].cpu_us_per_payment,
        found[True][-1].cpu_us_per_payment,
    )


def table(cost: Cost) -> str:
    """For the terminal and for docs/security.md."""
    totals = [sum(cpu.values()) for cpu in (cost.plain_cpu_us_per_payment, cost.secured_cpu_us_per_payment)]
    rows = [
        ("plain", cost.plain_payments_per_s, cost.plain_rounds, cost.plain_cpu_us_per_payment),
        ("TLS + SASL + rights", cost.secured_payments_per_s, cost.secured_rounds, cost.secured_cpu_us_per_payment),
    ]
    lines = ["| brokers | batch payments/s | rounds | CPU µs per payment |", "|---|---|---|---|"]
    for name, median, rounds, cpu in rows:
        spent = ", ".join(f"{process} {used:g}" for process, used in cpu.items())
        lines.append(f"| {name} | {median:,} | {', '.join(f'{one:,}' for one in rounds)} | {spent} |")
    return "\n".join(
        [*lines, "", f"CPU of all processes per payment: {totals[0]:.0f} µs plain, {totals[1]:.0f} µs secured."]
    )


def _one(settings_for: SettingsFor, measure: Measure, *, secure: bool) -> modes.Throughput:
    with (
        tempfile.TemporaryDirectory(prefix="millrace-bench-") as home,
        LocalEnvironment(settings_for(Path(home), secure)) as env,
    ):
        return uvloop.run(_awaited(measure, env))


async def _awaited(measure: Measure, env: LocalEnvironment) -> modes.Throughput:
    return await measure(env)
