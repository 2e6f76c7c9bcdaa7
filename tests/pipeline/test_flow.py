"""Poison among good commands, packed and single, two workers, an orderly stop: nothing is dropped (I8)."""

from millrace.environment import LocalEnvironment
from tests.pipeline.conftest import assert_books_balance
from tests.pipeline.slots import Slot, ended_afterwards
from tests.pipeline.traffic import Traffic


def test_poison_is_set_aside_and_the_others_go_on(stage: LocalEnvironment) -> None:
    worker, sink = Slot(stage, "worker"), Slot(stage, "sink")
    with ended_afterwards(worker, sink):
        traffic = Traffic(stage, seed=1)
        traffic.open_accounts()
        for value in (b"", b"nonsense", b"\0\0\0\0\x02" + bytes(70)):
            traffic.poison(value)
        traffic.pay(100)
        traffic.pay_packed(500)
        traffic.await_settled()
        assert worker.end() == 0
        assert sink.end() == 0
    report = assert_books_balance(stage)
    assert report.quarantined == 3


def test_workers_come_and_go_under_load(stage: LocalEnvironment) -> None:
    first, second = (Slot(stage, "worker", slot=slot) for slot in (1, 2))
    sink = Slot(stage, "sink")
    with ended_afterwards(first, second, sink):
        traffic = Traffic(stage, seed=2)
        traffic.open_accounts()
        traffic.pay(100)
        second.kill()
        traffic.pay_packed(300)
        second.tend()
        traffic.await_settled(second.tend)
    assert_books_balance(stage)
