"""What `millrace recon match` does: files and rules → matches and breaks, as JSON or a table of the breaks."""

import gc
import sys
from collections import Counter
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import msgspec
import typer
import yaml
from rich.table import Table
from rich.text import Text

from millrace.commands.output import faults_shown, print_table, screen
from millrace.environment import EnvironmentFault
from payments.money import EXPONENTS, format_minor
from reconciliation.charters.charter import CharterFault, is_charter, parse_charter
from reconciliation.charters.run import run_charter
from reconciliation.matching.cascade import match
from reconciliation.matching.lines import Line
from reconciliation.matching.results import Break, Outcome
from reconciliation.matching.rules import FileRules, RulesFault, rules_of
from reconciliation.tables import read_lines

SHOWN_MAX: Final = 50
"""Breaks of a table, which people read."""

LINES_MAX: Final = 4


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
    with faults_shown(as_json=as_json):
        outcome = _matched(rules, internal, external, as_of=as_of, changes=changes, lookups=lookups)
    if as_json:
        _print_parts(outcome)
    else:
        _show(outcome)


def _matched(
    rules: Path,
    internal: Sequence[Path],
    external: Sequence[Path],
    *,
    as_of: str,
    changes: Sequence[Path],
    lookups: Sequence[Path],
) -> Outcome[Any]:
    try:
        sections = yaml.safe_load(rules.read_text(encoding="utf-8"))
        if is_charter(sections):
            charter = parse_charter(rules.read_text(encoding="utf-8"))
            return run_charter(charter, internal, external, changes=changes, lookups=lookups)
        return _by_rules(rules_of(sections), internal, external, as_of)
    except yaml.YAMLError as fault:
        raise EnvironmentFault(f"{rules.name} is no YAML: {' '.join(str(fault).split())}") from fault
    except (CharterFault, RulesFault, OSError, UnicodeDecodeError) as fault:
        raise EnvironmentFault(str(fault)) from fault


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
    counts = Counter(str(one.type) for one in outcome.breaks)
    matched = Counter(one.pass_ for one in outcome.matches)
    screen.print(_counted("matches", matched))
    screen.print(_counted("breaks", counts))
    table = Table("break", "difference", "keys", "where", "why", box=None)
    for one in sorted(outcome.breaks, key=_size, reverse=True)[:SHOWN_MAX]:
        difference = f"{one.difference}"
        if isinstance(one.difference, int) and one.currency in EXPONENTS:
            difference = f"{format_minor(one.difference, one.currency)} {one.currency}"
        keys = ", ".join(f"{name} {value}" for name, value in one.keys.items() if value)
        places = ", ".join(f"{line.file}:{line.line}" for line in (*one.internal, *one.external)[:LINES_MAX])
        table.add_row(one.type, difference, Text(keys), Text(places), Text(one.reason))
    if outcome.breaks:
        print_table(table)
    if len(outcome.breaks) > SHOWN_MAX:
        screen.print(f"… and {len(outcome.breaks) - SHOWN_MAX:,} smaller ones: --json has all of them")
    if outcome.suggestions:
        screen.print(f"{len(outcome.suggestions):,} suggestions: --json has them")


def _size(one: Break[Any]) -> Decimal:
    """A charter's break may have no difference: there is nothing to sum."""
    return abs(Decimal(one.difference or 0))


def _counted(what: str, by_name: Counter[str]) -> str:
    told = ", ".join(f"{count:,} {name}" for name, count in sorted(by_name.items()))
    return f"{by_name.total():,} {what}" + (f": {told}" if told else "")
