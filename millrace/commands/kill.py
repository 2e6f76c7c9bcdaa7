"""`millrace kill NAME`: crash one process on purpose."""

from millrace.commands.output import faults_shown, print_json, screen
from millrace.environment.connection import ask_supervisor
from millrace.environment.faults import EnvironmentFault
from millrace.environment.layout import home_of
from millrace.supervisor.control import Request
from runtime.settings import Settings


def run(name: str, *, as_json: bool) -> None:
    """Print the pid that was killed."""
    with faults_shown(as_json=as_json):
        answer = ask_supervisor(home_of(Settings()), Request("kill", name))
        if answer.pid is None:
            raise EnvironmentFault(answer.error)
    if as_json:
        print_json({"killed": name, "pid": answer.pid})
    else:
        screen.print(f"Killed {name}, pid {answer.pid}.", markup=False)
