"""`millrace gateway`: run it in the foreground, or write its configuration for an nginx of one's own."""

import sys

from millrace.commands.output import faults_shown
from millrace.gateway import running
from millrace.gateway.configuration import nginx_configuration
from runtime.log_lines import log_to_stderr
from runtime.settings import Settings


def run() -> None:
    """Exits 0 when it was told to stop, 1 when nginx has ended by itself."""
    log_to_stderr()
    with faults_shown(as_json=False):
        raise SystemExit(running.run(Settings()))


def write_configuration() -> None:
    """On stdout, with the processes that the settings name."""
    with faults_shown(as_json=False):
        sys.stdout.write(nginx_configuration(running.gateway_of(Settings())))
