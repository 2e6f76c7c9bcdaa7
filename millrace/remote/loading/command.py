"""What `millrace load` does: skip what is done, stream the rest, note each batch, say what was refused."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, Final

import msgspec
import typer
from rich.progress import BarColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.text import Text

from millrace.cli import EXIT_FAILED, EXIT_USAGE
from millrace.client.clients import Client
from millrace.client.retries import RetryPolicy
from millrace.commands.output import errors, print_failure, print_json, screen
from millrace.remote.loading.lines import FileRefused, lines_of
from millrace.remote.loading.progress import Progress
from millrace.remote.session import session

PATIENCE: Final = RetryPolicy(attempts=200, total_s=900.0)
"""Nobody watches a long load: it outlives a quarter of an hour without an API."""


def run(file: Path, *, batch_lines: int, anew: str | None, url: str | None, profile: str | None, as_json: bool) -> None:
    """Exits 1 where lines were refused, 2 where the file is not as it has to be."""
    started_s = time.monotonic()
    with refusals_shown(as_json=as_json):
        progress = Progress(file, anew)
        before = progress.state.done
        with session(url, profile, as_json=as_json, retries=PATIENCE) as client:
            _send(client, file, progress, batch_lines)
    state, took_s = progress.state, time.monotonic() - started_s
    if as_json:
        print_json(msgspec.to_builtins(state) | {"sent_now": state.done - before, "took_s": round(took_s, 3)})
    else:
        screen.print(
            f"{state.done} lines: {state.accepted} accepted, {state.rejected} refused"
            f" ({state.done - before} sent now, in {took_s:.1f} s)"
        )
        if state.rejected:
            screen.print(Text(f"refused lines and their reasons: {progress.rejected_file}"))
    if state.rejected:
        raise typer.Exit(EXIT_FAILED)


def _send(client: Client, file: Path, progress: Progress, batch_lines: int) -> None:
    lines = islice(lines_of(file, progress.state.keys), progress.state.done, None)
    with Bar(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed} lines"),
        TimeRemainingColumn(),
        console=errors,
        disable=not errors.is_terminal,
    ) as bar:
        task: TaskID = bar.add_task(file.name, total=None, completed=progress.state.done)
        for batch, receipt in client.send_batches(lines, batch_lines):
            progress.note(len(batch.encoded), receipt.accepted, receipt.rejected)
            bar.update(task, completed=progress.state.done)


@contextmanager
def refusals_shown(*, as_json: bool) -> Iterator[None]:
    """A file that is not as it has to be is wrong usage."""
    try:
        yield
    except FileRefused as refused:
        document: dict[str, Any] = {"error": str(refused)}
        if as_json:
            print_json(document)
        else:
            print_failure(refused)
        raise typer.Exit(EXIT_USAGE) from None
