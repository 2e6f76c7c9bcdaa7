"""What `millrace recon match` does: files and rules → matches and breaks, as JSON or a table of the breaks."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer
from rich.table import Table

from millrace.cli import EXIT_FAILED
from millrace.commands.output import print_failure, print_json, screen
from reconciliation.charters.charter import CharterFault, parse_charter
from reconciliation.charters.run import run_charter
from reconciliation.matching.results import Outcome


def run_match(
    rules: Path,
    internal: Sequence[Path],
    external: Sequence[Path],
    *,
    as_of: str,
    changes: Sequence[Path],
    lookups: Sequence[Path],
    as_json: bool,
) -> None:
    """Exit 1 for rules or files that can't be read; breaks are an answer."""
    try:
        charter = parse_charter(rules.read_text(encoding="utf-8"))
        outcome: Outcome[Any] = run_charter(charter, internal, external, changes=changes, lookups=lookups)
    except (CharterFault, OSError) as fault:
        print_failure(fault)
        raise typer.Exit(EXIT_FAILED) from fault
    if as_json:
        print_json(outcome)
    else:
        _show(outcome)


def _show(outcome: Outcome[Any]) -> None:
    counts = Counter(one.type for one in outcome.breaks)
    screen.print(f"{len(outcome.matches):,} matches, {len(outcome.breaks):,} breaks")
    table = Table("break", "count", box=None)
    for name, count in sorted(counts.items()):
        table.add_row(name, f"{count:,}")
    screen.print(table)
