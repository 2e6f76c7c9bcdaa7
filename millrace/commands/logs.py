"""`millrace logs NAME`: the end of a process's log; of a broker also what Kafka itself wrote."""

from collections import deque
from pathlib import Path

import typer

from millrace.commands.output import faults_shown, print_json
from millrace.environment.faults import EnvironmentFault
from millrace.environment.last_words import logs_of
from millrace.environment.layout import home_of
from runtime.settings import Settings


def run(name: str, *, lines: int, as_json: bool) -> None:
    """Print the last lines of each file that belongs to the service."""
    home = home_of(Settings())
    with faults_shown(as_json=as_json):
        paths = logs_of(home, name)
        if not paths:
            known = sorted({path.name.split(".")[0] for path in home.logs.glob("*.log")})
            raise EnvironmentFault(f"no log of {name!r} in {home.logs}; there are: {', '.join(known) or 'none'}")
        ends = {path.name: _end(path, lines) for path in paths}
    if as_json:
        print_json(ends)
    else:
        typer.echo("\n".join(line for end in ends.values() for line in end))


def _end(path: Path, lines: int) -> list[str]:
    with path.open(errors="replace") as handle:
        return [line.rstrip("\n") for line in deque(handle, maxlen=lines)]
