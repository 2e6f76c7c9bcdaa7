"""The results as a table for people, in benchmarks/README.md between two marks."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.__main__ import Results

README = Path(__file__).parent / "README.md"
BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"


def table(results: "Results") -> str:
    """Markdown."""
    machine = results.machine
    lines = [
        f"{machine['date']}, {machine['processor']}, {machine['cores']} cores, {machine['memory']},"
        f" load {machine['load_average']} before the start,"
        f" Python {machine['python']}; generator, API, workers, sink, broker and Postgres all on this machine.",
        "",
        "| load | payments/s, visible in Postgres (median) | best | accepted/s | runs × payments |",
        "|---|---|---|---|---|",
    ]
    for name, found in (("batch", results.batch), ("single", results.single)):
        lines.append(
            f"| {name} | {found.payments_per_s:,} | {found.payments_per_s_best:,} | {found.accepted_per_s:,}"
            f" | {found.runs} × {found.payments:,} |"
        )
    lines += ["", "| CPU µs per payment | batch | single |", "|---|---|---|"]
    for process in results.batch.cpu_us_per_payment | results.single.cpu_us_per_payment:
        batch, single = (r.cpu_us_per_payment.get(process, 0) for r in (results.batch, results.single))
        lines.append(f"| {process} | {batch} | {single} |")
    wait = results.wait
    lines += [
        "",
        f"`Prefer: wait` at {wait.rate_per_s}/s to the final outcome: p50 {wait.p50_ms} ms, p90 {wait.p90_ms} ms,"
        f" p99 {wait.p99_ms} ms, max {wait.max_ms} ms ({wait.final:,} of {wait.payments:,} final).",
        "",
        "Settings: " + ", ".join(f"{name} {value}" for name, value in results.settings.items()) + ".",
    ]
    return "\n".join(lines)


def write(results: "Results") -> None:
    """Replace the table in benchmarks/README.md. Raises ValueError where its marks are missing."""
    head, begin, rest = README.read_text().partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{README}: put `{BEGIN}` and `{END}` where the table belongs")
    README.write_text(f"{head}{BEGIN}\n{table(results)}\n{END}{tail}")
