"""The Faust driver: the real command line, faults inside agents and services, and every private Faust name it uses."""

import asyncio
import inspect
import re
import signal
import socket
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import faust
import pytest
from faust.app.base import App
from faust.assignor.partition_assignor import PartitionAssignor
from faust.tables import TableManager
from faust.tables.recovery import Recovery
from faust.transport import consumer as faust_consumer
from faust.transport.drivers import TRANSPORTS
from faust.types import TP, ConsumerMessage
from mode import Service

from runtime.exactly_once.contract import Chunk
from runtime.exactly_once.crash import EXIT_CRASHED
from runtime.faust_app import SlotTables, app_options, bind, binding_of, chunk_topic
from runtime.faust_driver import FaustDriver
from runtime.faust_transport import Transport
from runtime.settings import Settings
from tests.exactly_once.application.account_sums import AccountSums
from tests.exactly_once.application.processes import Run

CLI = [str(Path(sys.executable).parent / "faust"), "-A", "tests.exactly_once.application.faust_worker:app", "worker"]


def test_the_faust_command_line_works_and_sigterm_drains(run: Run) -> None:
    run.fund()
    worker = run.spawn(CLI, 0)
    run.transfer(200, rate_per_s=200)
    run.wait_decided()
    run.transfer(100)
    begun_s = time.monotonic()
    assert worker.stop() == 0, worker.stderr
    assert time.monotonic() - begun_s < 10
    run.start(0, "faust")
    run.wait_decided()
    assert run.differences() == []
    assert not list(Path.cwd().glob(f"{run.name}-data"))


def test_a_stop_while_shards_are_restored_ends_the_worker(run: Run) -> None:
    """Faust takes no assignment any more, so its flow stays stopped: a chunk delivered then was never acknowledged,
    and the worker ended itself after 15 s as one that hangs.
    """
    run.fund()
    worker = run.start(0, "faust", ACCOUNT_SUMS_FAIL="stop")
    assert worker.exited() == 0, worker.stderr
    run.start(0, "faust")
    run.wait_decided()
    assert run.differences() == []


def test_a_stop_before_the_group_is_joined_ends_the_worker_at_once(run: Run) -> None:
    """A broker that does not answer was waited for, 15 s long, and the worker ended itself as one that hangs."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(30)
        worker = run.spawn(CLI, 0, KAFKA_BOOTSTRAP=f"127.0.0.1:{silent.getsockname()[1]}")
        asking, _ = silent.accept()
        begun_s = time.monotonic()
        assert worker.stop() == 0, worker.stderr
        assert time.monotonic() - begun_s < 10
        asking.close()


async def test_nobody_joins_after_the_stop() -> None:
    """Faust's conductor may subscribe after the drain: a worker that ends would take shards once more."""
    settings = Settings()
    store = AccountSums("late")
    app = faust.App("late", **app_options(settings))
    bind(app, store, settings)
    driver = FaustDriver(app, SimpleNamespace(owned=set()))
    await driver.drain()
    driver.start(set(store.input_topics))
    assert driver._thread is None


def test_a_kill_inside_the_cycle_leaves_a_right_run(run: Run) -> None:
    run.fund()
    for step in ("after_consume", "mid_cycle", "after_flush", "after_commit"):
        run.transfer(40)
        worker = run.start(0, "faust", failpoint=f"{step}:1")
        assert worker.exited() == -signal.SIGKILL, worker.stderr
    run.start(0, "faust")
    run.wait_decided()
    assert run.differences() == []


def test_an_agents_exception_ends_the_process_before_it_is_acknowledged(run: Run) -> None:
    """Faust acknowledges the event in spite of the exception; the process is gone by then."""
    run.fund()
    worker = run.start(0, "faust", ACCOUNT_SUMS_FAIL="agent")
    assert worker.exited() == EXIT_CRASHED
    assert "agent: ArithmeticError: injected" in worker.stderr
    run.start(0, "faust")
    run.wait_decided()
    assert run.differences() == []


def test_a_stuck_agent_ends_the_process_at_the_barriers_deadline(run: Run) -> None:
    run.fund()
    worker = run.start(0, "faust", ACCOUNT_SUMS_PAUSE_S="60", MILLRACE_BARRIER_DEADLINE_MS="500")
    assert worker.exited() == EXIT_CRASHED
    assert "barrier" in worker.stderr


def test_a_crashed_service_ends_the_process(run: Run) -> None:
    """A crashed mode service leaves a process that looks alive and consumes nothing."""
    worker = run.start(0, "faust", ACCOUNT_SUMS_FAIL="service")
    assert worker.exited() == EXIT_CRASHED
    assert "faust: ArithmeticError" in worker.stderr


def test_agents_must_consume_exactly_the_input_topics(run: Run) -> None:
    worker = run.start(0, "faust", ACCOUNT_SUMS_FAIL="topics")
    assert worker.exited() == EXIT_CRASHED
    assert "the store's input topics are" in worker.stderr


def test_an_app_with_other_options_is_refused(run: Run) -> None:
    worker = run.start(0, "faust", ACCOUNT_SUMS_FAIL="options")
    assert worker.exited() == EXIT_CRASHED
    assert "topic_allow_declare differ" in worker.stderr


async def test_nothing_is_delivered_while_faust_rebalances() -> None:
    """Events delivered then are cleared from the queue and never acknowledged: a 20 s stall, and the end."""
    delivered: list[Any] = []
    app = SimpleNamespace(rebalancing=True, consumer_generation_id=1)
    consumer = SimpleNamespace(flow_active=False, _acked={TP("in", 0): []}, _acked_index={TP("in", 0): set()})

    async def callback(message: ConsumerMessage) -> None:
        delivered.append(message)
        message.acked = True

    consumer.callback = callback
    driver = FaustDriver(app, consumer)
    record = SimpleNamespace(offset=lambda: 4)
    chunk = Chunk("in", 0, [record], lambda *_, **__: None)
    delivery = asyncio.ensure_future(driver._deliver([chunk]))
    await asyncio.sleep(0.05)
    assert delivered == []
    consumer.flow_active = True
    await asyncio.sleep(0.05)
    assert delivered == []
    app.rebalancing = False
    await asyncio.wait_for(delivery, 5)
    assert [message.value for message in delivered] == [chunk]


def test_the_transport_is_found_by_its_url() -> None:
    assert TRANSPORTS.by_name("millrace") is Transport


def test_chunks_reach_the_agent_undecoded() -> None:
    settings = Settings()
    store = AccountSums("chunks")
    app = faust.App("chunks", **app_options(settings))
    bind(app, store, settings)
    assert binding_of(app).store is store
    topic = chunk_topic(app, store.topics.commands)
    chunk = Chunk("in", 0, (), lambda *_, **__: None)
    assert topic.schema.loads_value(app, SimpleNamespace(value=chunk)) is chunk
    assert topic.schema.loads_key(app, SimpleNamespace(value=chunk)) is None


@pytest.mark.parametrize(
    ("owner", "names"),
    [
        (App, ["_create_directories", "on_stop", "on_rebalance_start", "on_rebalance_end", "_on_partitions_assigned"]),
        (Service, ["crash", "_crash", "on_stop"]),
        (
            faust_consumer.Consumer,
            ["on_partitions_assigned", "on_partitions_revoked", "_drain_messages", "on_task_error", "wait_empty"],
        ),
        (Recovery, ["_resume_streams", "on_rebalance"]),
        (TableManager, ["on_start", "_update_channels"]),
        (PartitionAssignor, ["assigned_actives", "assigned_standbys", "group_for_topic"]),
    ],
)
def test_private_faust_methods_are_where_the_driver_expects_them(owner: type, names: list[str]) -> None:
    for name in names:
        assert inspect.isfunction(getattr(owner, name, None)), f"{owner.__name__}.{name}"


def test_private_faust_attributes_are_what_the_driver_expects() -> None:
    app = faust.App("contract", **app_options(Settings()))
    bind(app, AccountSums("contract"), Settings())
    consumer = app.transport.create_consumer(callback=print, on_partitions_revoked=None, on_partitions_assigned=None)
    assert consumer._acked[TP("in", 0)] == []
    assert consumer._acked_index[TP("in", 0)] == set()
    assert consumer._waiting_for_ack is None
    assert consumer.flow_active is True
    assert app.rebalancing is False
    assert isinstance(app.consumer_generation_id, int)
    assert app._consumer is None
    assert app.boot_strategy._should_enable_web() is False
    assert hasattr(app._crashed, "wait")
    assert isinstance(app.tables, SlotTables)
    assert isinstance(app.tables.recovery, Recovery)
    assert app.crash_reason is None
    assert app.assignor._active_tps == set()
    message = ConsumerMessage("in", 0, 1, 0.0, 1, None, None, b"", None, generation_id=3)
    assert message.acked is False
    assert message.generation_id == 3


def test_the_table_manager_starts_as_fausts_does_without_its_second_of_sleep() -> None:
    awaited = re.compile(r"await self\.(?!sleep)\S+")
    own, replaced = (inspect.getsource(manager.on_start) for manager in (SlotTables, TableManager))
    assert awaited.findall(own) == awaited.findall(replaced)


def test_an_agents_error_reaches_the_consumer_before_the_acknowledgement() -> None:
    source = inspect.getsource(App._on_agent_error)
    assert "on_task_error" in source
