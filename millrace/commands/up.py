"""`millrace up`: start an environment that outlives this command, or say that one runs already."""

from millrace.commands.output import Shown, addresses_shown, faults_shown, print_json, screen, services_table
from millrace.environment.connection import running_supervisor
from millrace.environment.layout import Addresses, home_of, read_addresses
from millrace.environment.local import LocalEnvironment
from millrace.environment.progress import Silent
from runtime.settings import Settings


def run(*, brokers: int, pipeline: bool, as_json: bool, secure: bool = False, gateway: bool = False) -> None:
    """Print the addresses when everything is ready."""
    settings = Settings(gateway=True) if gateway else Settings()  # others follow from it
    settings = settings.model_copy(update={"secure": secure or settings.secure})
    home = home_of(settings)
    with faults_shown(as_json=as_json):
        running = running_supervisor(home)
        if running and running.phase == "ready" and (addresses := read_addresses(home)):
            _show(addresses, as_json=as_json, already=True)
            return
        progress = Silent() if as_json else Shown()
        environment = LocalEnvironment(settings, brokers=brokers, pipeline=pipeline, progress=progress)
        environment.start(detached=True)
        _show(environment.addresses, as_json=as_json, already=False)
        if not as_json:
            screen.print(services_table(environment.status()))


def _show(addresses: Addresses, *, as_json: bool, already: bool) -> None:
    if as_json:
        print_json({"already_running": already, "addresses": addresses.shown()})
        return
    screen.print("Millrace is up already." if already else "Millrace is up.", style="bold green")
    screen.print(addresses_shown(addresses))
