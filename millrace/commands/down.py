"""`millrace down`: stop what runs in this home; with --wipe, delete the home."""

from millrace.commands.output import faults_shown, print_json, screen
from millrace.environment.layout import home_of
from millrace.environment.local import stop_environment
from runtime.settings import Settings


def run(*, wipe: bool, as_json: bool) -> None:
    """Stopping what does not run is fine."""
    home = home_of(Settings())
    with faults_shown(as_json=as_json):
        stopped = stop_environment(home)
        if wipe:
            home.wipe()
    if as_json:
        print_json({"stopped": stopped, "wiped": wipe})
    else:
        screen.print(
            f"{'Stopped' if stopped else 'Nothing ran'}{f', deleted {home.root}' if wipe else ''}.", markup=False
        )
