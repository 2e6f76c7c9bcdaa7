"""What became of a load plan: calls, failures and times by kind of call, and the machine's load before."""

from collections.abc import Iterable
from typing import NamedTuple

from benchmarks.machine import machine


class Figure(NamedTuple):
    """One kind of call."""

    name: str
    calls: int
    failures: int
    per_s: float
    p50_ms: int
    p95_ms: int
    p99_ms: int


def percentile(ordered: list[int], share: float) -> int:
    """Nearest rank of values in their order."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def table(figures: Iterable[Figure], before: dict[str, str]) -> str:
    """Markdown."""
    lines = [
        f"{before['date']}, {before['cores']} cores, {before['memory']}, load {before['load_average']} before and"
        f" {machine()['load_average']} after; the generator and everything else on this machine.",
        "",
        "| call | calls | failed | per s | p50 ms | p95 ms | p99 ms |",
        "|---|---|---|---|---|---|---|",
        *(_row(one) for one in figures),
    ]
    return "\n".join(lines)


def _row(one: Figure) -> str:
    times = f"{one.p50_ms} | {one.p95_ms} | {one.p99_ms}"
    return f"| {one.name} | {one.calls:,} | {one.failures} | {one.per_s:.1f} | {times} |"
