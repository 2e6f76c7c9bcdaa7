"""Negative controls: with one safeguard taken out, the verifier must find differences, or it proves nothing."""

import signal
import time

from confluent_kafka import Producer

from tests.exactly_once.application.account_sums import SHARDS
from tests.exactly_once.application.processes import Run


def test_without_fencing_a_zombie_decides_twice(run: Run) -> None:
    run.fund()
    zombie = run.start(0, mutant="nofence", failpoint="after_consume:3:stop")
    run.start(1)
    while not zombie.is_stopped():
        run.transfer(10, rate_per_s=200)
    run.wait_decided()
    zombie.signal(signal.SIGCONT)
    _wait_for_difference(run, "decided again")


def test_without_the_barrier_a_crash_loses_commands(run: Run) -> None:
    run.fund()
    worker = run.start(0, "faust", mutant="nobarrier", ACCOUNT_SUMS_PAUSE_S="0.3")
    assert worker.exited() != 0
    assert _says(run, "committed")


def test_restored_to_the_stable_offset_balances_are_lost(run: Run) -> None:
    assert _run_behind_an_open_transaction(run, mutant="lso") != []


def test_restored_to_the_high_watermark_balances_are_right(run: Run) -> None:
    """The counterpart of the mutant: the same run, the restore waits for the open transaction to end."""
    assert _run_behind_an_open_transaction(run, mutant="") == []


def test_committing_more_than_was_delivered_is_found(run: Run) -> None:
    run.fund()
    worker = run.start(mutant="position")
    _wait_for_difference(run, "committed")
    worker.signal(signal.SIGKILL)
    worker.exited()
    assert _says(run, "committed")


def _run_behind_an_open_transaction(run: Run, mutant: str) -> list[str]:
    """Offsets are committed while a transaction that began earlier still hides the ledger behind it."""
    run.fund()
    first = run.start()
    run.wait_decided()
    other = Producer(
        {"bootstrap.servers": run.broker, "transactional.id": f"{run.name}.other", "transaction.timeout.ms": 60_000}
    )
    other.init_transactions(10)
    other.begin_transaction()
    for shard in range(SHARDS):
        other.produce(run.topics.ledger, b"{}", partition=shard)
    other.flush()
    run.transfer(100)
    run.wait_decided()
    first.signal(signal.SIGKILL)
    first.exited()
    run.start(mutant=mutant)
    run.transfer(50)
    time.sleep(3)  # a restore that does not wait has gone on by now
    other.abort_transaction(10)
    run.wait_decided()
    return run.differences()


def _says(run: Run, words: str) -> bool:
    return any(words in difference for difference in run.differences())


def _wait_for_difference(run: Run, words: str) -> None:
    deadline = time.monotonic() + 20
    while not _says(run, words):
        assert time.monotonic() < deadline, "the verifier found nothing"
        time.sleep(0.2)
