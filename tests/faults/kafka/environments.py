"""Brokers that are configured in another way than the product's own, and the lines in front of them."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from millrace.environment import LocalEnvironment, ports
from millrace.environment.layout import Home
from millrace.environment.ports import LOOPBACK
from millrace.supervisor.service import Service
from runtime.settings import Settings
from tests.faults.installation import Around
from tests.support.lines.kafka import KafkaLine, LineLoop, kafka_lines

Answer = TypeVar("Answer")


class ConfiguredBrokers(LocalEnvironment):
    """A local environment whose brokers have further properties; a later line of a file replaces an earlier one."""

    def __init__(self, settings: Settings, *, brokers: int, pipeline: bool, properties: Mapping[str, str]) -> None:
        super().__init__(settings, brokers=brokers, pipeline=pipeline)
        self._properties = properties

    def properties_of(self, index: int) -> Mapping[str, str]:
        """Of the broker at this place of the list."""
        return self._properties

    def _prepare_kafka(self) -> list[Service]:
        services = super()._prepare_kafka()
        for index in range(len(services)):
            path = Home(self.settings.home).broker(index + 1) / "server.properties"
            lines = (f"{name}={value}\n" for name, value in self.properties_of(index).items())
            path.write_text(path.read_text() + "".join(lines))
        return services


def brokers_with(**properties: str) -> Callable[..., LocalEnvironment]:
    """Underscores in a name stand for dots."""
    named = {name.replace("_", "."): value for name, value in properties.items()}

    def made(settings: Settings, *, brokers: int, pipeline: bool) -> LocalEnvironment:
        return ConfiguredBrokers(settings, brokers=brokers, pipeline=pipeline, properties=named)

    return made


class BrokersBehindLines(ConfiguredBrokers):
    """Every broker has a second listener, for the services alone, which it advertises at a line's port."""

    def __init__(self, settings: Settings, *, brokers: int, pipeline: bool) -> None:
        super().__init__(settings, brokers=brokers, pipeline=pipeline, properties={})
        first = ports.free_base(range(1, 2 * brokers))
        self.servers = [(LOOPBACK, first + 2 * index, first + 2 * index + 1) for index in range(brokers)]
        """Host, own port and line's port of each broker's second listener."""

    def properties_of(self, index: int) -> Mapping[str, str]:
        host, own, line = self.servers[index]
        port = self.settings.kafka_port + 100 * index
        return {
            "listeners": f"PLAINTEXT://{host}:{port},CONTROLLER://{host}:{port + 1},SERVICES://{host}:{own}",
            "advertised.listeners": f"PLAINTEXT://{host}:{port},SERVICES://{host}:{line}",
            "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SERVICES:PLAINTEXT",
        }


class Lines:
    """What stands between the services and the brokers, one line per broker."""

    def __init__(self, loop: LineLoop, lines: list[KafkaLine]) -> None:
        self._loop = loop
        self._lines = lines
        self.variables = {"MILLRACE_KAFKA_BOOTSTRAP": ",".join(f"{LOOPBACK}:{line.port}" for line in lines)}

    def each(self, change: Callable[[KafkaLine], Answer]) -> list[Answer]:
        """Change or ask every line."""
        return [self.one(node_id, change) for node_id in range(1, len(self._lines) + 1)]

    def one(self, node_id: int, change: Callable[[KafkaLine], Answer]) -> Answer:
        """Change or ask the line of one broker."""
        return self._loop.call(lambda: change(self._lines[node_id - 1]))

    def cut(self, node_id: int) -> None:
        self._loop.run(self._lines[node_id - 1].cut)

    def mend(self) -> None:
        """All of them, as they were."""
        for line in self._lines:
            self._loop.run(line.mend)

    @property
    def hindered(self) -> int:
        """Connections broken and pieces late or held so far."""
        return sum(self.each(lambda line: line.hindered))

    def delayed(self) -> bool:
        """Whether what was to be delayed has come by."""
        return not any(line.waits_for_one_to_delay for line in self._lines)


@contextmanager
def behind_lines(env: LocalEnvironment, _: Path) -> Iterator[Around]:
    """For `Scenario.surround`, with BrokersBehindLines as its environment."""
    assert isinstance(env, BrokersBehindLines)
    with kafka_lines(env.servers) as (loop, lines):
        yield Lines(loop, lines)
