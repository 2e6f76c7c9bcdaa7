"""What `millrace recon match` does: files and rules → matches and breaks, as JSON or a table of the breaks."""

import gc
import sys
from collections import Counter
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import typer
import yaml
from rich.table import Table

from millrace.cli import EXIT_FAILED
from millrace.commands.output import print_failure, screen
from reconciliation.charters.charter import CharterFault, is_charter, parse_charter
from reconciliation.charters.run import run_charter
from reconciliation.matching.cascade import match
from reconciliation.matching.lines import Line
from reconciliation.matching.results import Outcome
from reconciliation.matching.rules import FileRules, RulesFault, rules_of
from reconciliation.tables import read_lines


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
    gc.disable()  # a million lines make no cycles, and looking for some takes a quarter of the time
    try:
        sections = yaml.safe_load(rules.read_text(encoding="utf-8"))
        outcome: Outcome[Any]
        if is_charter(sections):
            charter = parse_charter(rules.read_text(encoding="utf-8"))
            outcome = run_charter(charter, internal, external, changes=changes, lookups=lookups)
        else:
            outcome = _by_rules(rules_of(sections), internal, external, as_of)
    except (CharterFault, RulesFault, OSError, UnicodeDecodeError, yaml.YAMLError) as fault:
        print_failure(fault)
        raise typer.Exit(EXIT_FAILED) from fault
    if as_json:
        _print_parts(outcome)
    else:
        _show(outcome)


def _by_rules(rules: FileRules, internal: Sequence[Path], external: Sequence[Path], as_of: str) -> Outcome[Line]:
    try:
        last = date.fromisoformat(as_of) if as_of else None
    except ValueError as error:
        raise typer.BadParameter("a date as 2026-11-22", param_hint="--as-of") from error
    own, other = (
        [line for path in paths for line in read_lines(path, source, rules.group_by)]
        for paths, source in ((internal, rules.sources.internal), (external, rules.sources.external))
    )
    return match(own, other, rules, as_of=last)


def _print_parts(outcome: Outcome[Any]) -> None:
    """The same object as `print_json` writes, a line an entry: a million matches don't stand in memory as text, too."""
    write, encode = sys.stdout.buffer.write, msgspec.json.encode
    for index, name in enumerate(outcome.__struct_fields__):
        write(b"%s\n%s: [" % (b"," if index else b"{", encode(name)))
        for at, one in enumerate(getattr(outcome, name)):
            write(b"%s\n%s" % (b"," if at else b"", encode(one)))
        write(b"]")
    write(b"}\n")
    sys.stdout.flush()


def _show(outcome: Outcome[Any]) -> None:
    counts = Counter(one.type for one in outcome.breaks)
    screen.print(f"{len(outcome.matches):,} matches, {len(outcome.breaks):,} breaks")
    table = Table("break", "count", box=None)
    for name, count in sorted(counts.items()):
        table.add_row(name, f"{count:,}")
    screen.print(table)
