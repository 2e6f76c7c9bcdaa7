"""Reaches the environment that runs in a home: its supervisor's socket, and the addresses of its servers."""

from millrace.environment.faults import NotRunning
from millrace.environment.layout import Home, home_of, read_addresses
from millrace.environment.security.credentials import logged_in_as
from millrace.supervisor.control import Answer, Request, SupervisorStatus, ask
from runtime.settings import Settings
from schemas.access import OPERATOR


def ask_supervisor(home: Home, request: Request) -> Answer:
    """Raises NotRunning when nobody answers."""
    try:
        return ask(home.control_socket, request)
    except OSError as error:
        raise NotRunning(f"no environment runs in {home.root}: `millrace up` starts one") from error


def running_supervisor(home: Home) -> SupervisorStatus | None:
    """The state of all services, or None when nothing runs here."""
    try:
        return ask_supervisor(home, Request("status")).status
    except NotRunning:
        return None


def connected(settings: Settings) -> Settings:
    """The settings with the addresses of the environment that runs in their home; explicitly set addresses win.
    Of a secured one, as its operator.
    """
    home = home_of(settings)
    addresses = read_addresses(home)
    if addresses is None or running_supervisor(home) is None:
        return settings
    update: dict[str, object] = {}
    if "kafka_bootstrap" not in settings.model_fields_set:
        update |= {"kafka_bootstrap": addresses.kafka_bootstrap, "replication_factor": addresses.replication_factor}
    if "database_url" not in settings.model_fields_set:
        update["database_url"] = addresses.database_url
    found = settings.model_copy(update=update)
    ours = "kafka_bootstrap" not in settings.model_fields_set and "kafka_user" not in settings.model_fields_set
    return logged_in_as(found, home, OPERATOR.name) if addresses.secure and ours else found
