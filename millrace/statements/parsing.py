"""`millrace statements parse`: files of banks and providers → one JSON object a file, or a table for people.

Each file stands for itself: one that is refused stops no other, and the exit code tells that there was one. With
several files the objects stand on a line each. Nothing of a refused file is printed but its reason and its bad lines.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec
import typer
from rich.text import Text

from millrace.cli import EXIT_FAILED
from millrace.commands.output import Shown, screen
from millrace.commands.paths import files_of
from reconciliation.statements.parse import opened, read, reason_of
from reconciliation.statements.providers.profile import Profile, load_profile
from reconciliation.statements.refusals import Refused
from reconciliation.statements.spool import Spool

_BAR_FROM_BYTES = 64 << 20
"""Smaller files are read before a bar would be seen."""


def run_parse(paths: Sequence[Path], profile_file: Path | None, *, as_json: bool) -> None:
    """Parse files, and exit with 1 when one of them is refused."""
    try:
        profile = load_profile(profile_file) if profile_file else None
    except Refused as refusal:
        raise typer.BadParameter(str(refusal), param_hint="--profile") from None
    refused = 0
    for path in files_of(paths):
        with Spool() as spool:
            outcome = _spooled(path, profile, spool)
            refused += outcome["status"] == "refused"
            (_print_json if as_json else _print_row)(outcome, spool)
    if refused:
        raise typer.Exit(EXIT_FAILED)


def _spooled(path: Path, profile: Profile | None, spool: Spool) -> dict[str, object]:
    """What is told of a file as a whole; its lines go into the spool."""
    outcome: dict[str, object] = {"file": str(path), "sha256": "", "format": "", "status": "ok", "reason": None}
    try:
        with _bar(path) as advance:
            file = opened(path, profile, advance)
            outcome |= {"sha256": file.source.sha256, "format": file.format}
            bad = read(file, spool.add_line, spool.add_statement)
    except Refused as refusal:
        return outcome | {"status": "refused", "reason": str(refusal)}
    return outcome | {"status": "refused", "reason": reason_of(bad), "bad_lines": bad} if bad else outcome


@contextmanager
def _bar(path: Path) -> Iterator[Callable[[int], None]]:
    """A bar on stderr for a file that takes its time; it counts both passes."""
    size = path.stat().st_size if path.is_file() else 0
    if size < _BAR_FROM_BYTES:
        yield lambda _: None
        return
    with Shown().bytes(path.name, 2 * size) as advance:
        yield advance


def _print_json(outcome: dict[str, object], spool: Spool) -> None:
    """One object on one line; a refused file has no statements in it."""
    out = sys.stdout.buffer
    out.write(msgspec.json.encode(outcome)[:-1] + b',"statements":')
    for piece in spool.json() if outcome["status"] == "ok" else (b"[]",):
        out.write(piece)
    out.write(b"}\n")
    out.flush()


def _print_row(outcome: dict[str, object], spool: Spool) -> None:
    """What became of a file, in a line; its balances in one each."""
    style = "green" if outcome["status"] == "ok" else "bold red"
    screen.print(Text.assemble((str(outcome["status"]), style), f"  {outcome['format'] or '?'}  {outcome['file']}"))
    if outcome["reason"]:
        screen.print(Text(f"    {outcome['reason']}"))
        return
    for frame, lines in spool.frames():
        ties = "totals agree" if frame.control_totals_ok else "TOTALS DIFFER"
        screen.print(Text(f"    {frame.account or '-'}  {frame.currency or '-'}  {lines:,} lines, {ties}"))
