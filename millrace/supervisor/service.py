"""What the supervisor runs: services as values. The environment writes a plan, the supervisor process reads it."""

import msgspec


class KafkaProbe(msgspec.Struct, frozen=True, tag="kafka"):
    """Ready when the cluster describes itself with at least this many brokers."""

    bootstrap: str
    brokers: int
    ca_file: str = ""
    user: str = ""
    password_file: str = ""
    """Empty = plain brokers."""


class PostgresProbe(msgspec.Struct, frozen=True, tag="postgres"):
    """Ready when a connection answers a query."""

    url: str


class HttpProbe(msgspec.Struct, frozen=True, tag="http"):
    """Ready when a GET answers 2xx."""

    url: str


class TcpProbe(msgspec.Struct, frozen=True, tag="tcp"):
    """Ready when a connection is taken."""

    host: str
    port: int


Probe = KafkaProbe | PostgresProbe | HttpProbe | TcpProbe


class Account(msgspec.Struct, frozen=True):
    """The account a process is started under, when it is not the supervisor's own."""

    uid: int
    gid: int


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """One process to keep running."""

    name: str
    argv: list[str]
    group: str
    """Services of one group start together and stop together; groups start in the plan's order and stop in reverse."""

    env: dict[str, str] = {}
    """Added to the supervisor's own environment."""

    ready: Probe | None = None
    """None = ready as soon as it runs."""

    one_shot: bool = False
    """Runs to its end, exit code 0, before the next group starts."""

    account: Account | None = None
    stop_signal: int = 15
    death_signal: int = 9
    """What the kernel sends it when the supervisor dies without having stopped it."""

    stop_timeout_ms: int = 10_000
    """Then SIGKILL."""


class Plan(msgspec.Struct, frozen=True):
    """Everything that a supervisor needs to know."""

    home: str
    services: list[Service]


def groups_of(plan: Plan) -> list[list[Service]]:
    """Services by group, groups in order of first appearance."""
    groups: dict[str, list[Service]] = {}
    for service in plan.services:
        groups.setdefault(service.group, []).append(service)
    return list(groups.values())
