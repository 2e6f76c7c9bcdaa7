"""How a Faust application gets the exactly-once engine: `app_options`, `bind`, `chunk_topic`, `run_worker`.

    app = faust.App("millrace", **app_options(settings))
    bind(app, store, settings)
    commands = chunk_topic(app, "payments.commands")

    @app.agent(commands)
    async def authorise(chunks):
        async for chunk in chunks:
            ...

Reads nothing and keeps one binding per application.
"""

import io
from typing import Any, NamedTuple, NoReturn
from weakref import WeakKeyDictionary

import faust
from faust.assignor.partition_assignor import PartitionAssignor
from faust.tables import TableManager
from faust.types import TP
from mode.supervisors import CrashingSupervisor

from runtime.exactly_once.contract import Chunk, ShardStore
from runtime.exactly_once.crash import crash
from runtime.settings import Settings

SCHEME = "millrace"

REQUIRED_OPTIONS: dict[str, Any] = {
    "processing_guarantee": "exactly_once",
    "topic_disable_leader": True,
    "topic_allow_declare": False,
    "stream_wait_empty": False,
    "stream_publish_on_commit": False,
}
"""With any other value Faust would elect a leader, create topics, or wait for acknowledgements of its own."""


class Binding(NamedTuple):
    """What `bind` gave to an application."""

    store: ShardStore
    settings: Settings


_BINDINGS: WeakKeyDictionary[Any, Binding] = WeakKeyDictionary()


class SlotAssignor(PartitionAssignor):  # type: ignore[misc]
    """Answers Faust's questions about the assignment; the group protocol itself runs in the engine's consumer."""

    def own(self, partitions: set[TP]) -> None:
        """The engine holds exactly these now."""
        self._active_tps = set(partitions)

    def assigned_actives(self) -> set[TP]:
        return set(self._active_tps)

    def assigned_standbys(self) -> set[TP]:
        return set()

    def group_for_topic(self, topic: str) -> int:
        return 0


class SlotTables(TableManager):  # type: ignore[misc]
    """The state is the store's and no table is declared: nothing to wait for, where Faust waits a second for tables.

    Of 2.5 s between the start of a worker and its first commit, that second was the largest part.
    """

    async def on_start(self) -> None:
        await self._update_channels()
        await self.recovery.start()


class ChunkSchema(faust.Schema):  # type: ignore[misc]
    """The event's value is the chunk as it is: decoding is the agent's."""

    def loads_key(self, app: Any, message: Any, **_: Any) -> None:
        return None

    def loads_value(self, app: Any, message: Any, **_: Any) -> Chunk:
        chunk: Chunk = message.value
        return chunk


def app_options(settings: Settings) -> dict[str, Any]:
    """The keyword arguments of `faust.App` that the transport needs."""
    broker = ";".join(f"{SCHEME}://{address.strip()}" for address in settings.kafka_bootstrap.split(","))
    return {
        **REQUIRED_OPTIONS,
        "web_enabled": False,
        "broker": broker,
        "agent_supervisor": CrashingSupervisor,
        "PartitionAssignor": SlotAssignor,
        "TableManager": SlotTables,
    }


def bind(app: Any, store: ShardStore, settings: Settings) -> None:
    """Give the application its state and its settings. Call once, where the application is made."""
    _BINDINGS[app] = Binding(store, settings)
    stop_faust = app.on_stop

    async def drain_then_stop() -> None:
        # before Faust clears its queues: an event cleared is never acknowledged, and its cycle could not end
        if app._consumer is not None:
            await app._consumer.driver.drain()
        await stop_faust()

    app.on_stop = drain_then_stop
    app.boot_strategy.enable_web = False  # the command line switches Faust's web server on, whatever the option says
    app._create_directories = lambda: None  # an `<app>-data` folder in the working directory that nothing uses


def binding_of(app: Any) -> Binding:
    """Ends the process for an application that was never bound."""
    binding = _BINDINGS.get(app)
    if binding is None:
        crash(f"application {app.conf.id}: call runtime.faust_app.bind(app, store, settings) where the app is made")
    return binding


def chunk_topic(app: Any, name: str) -> Any:
    """The topic whose agent iterates chunks: `async for chunk in stream`."""
    return app.topic(name, key_serializer="raw", value_serializer="raw", schema=ChunkSchema())


def refuse_wrong_configuration(app: Any, settings: Settings) -> None:
    """End the process when the application was not made with `app_options`."""
    wrong = [name for name, value in REQUIRED_OPTIONS.items() if _plain(getattr(app.conf, name)) != _plain(value)]
    if app.conf.PartitionAssignor is not SlotAssignor:
        wrong.append("PartitionAssignor")
    if app.conf.agent_supervisor is not CrashingSupervisor:
        wrong.append("agent_supervisor")
    if wrong:
        crash(f"application {app.conf.id}: {', '.join(wrong)} differ from runtime.faust_app.app_options(settings)")


def run_worker(app: Any) -> NoReturn:
    """Run the application's worker in this process until SIGTERM or SIGINT, as `faust worker` does. Logging is the
    caller's.
    """
    app.Worker(
        override_logging=False, redirect_stdouts=False, quiet=True, stdout=io.StringIO()
    ).execute_from_commandline()
    raise SystemExit(0)


def _plain(value: Any) -> str:
    """Settings come back as enums and URLs."""
    return str(getattr(value, "value", value))
