"""What retention deletes between two starts of a worker was decided: the worker goes on behind it."""

from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from millrace.environment import LocalEnvironment
from schemas import topics
from tests.pipeline.conftest import assert_books_balance
from tests.pipeline.slots import Slot, ended_afterwards
from tests.pipeline.traffic import Traffic


def test_a_worker_starts_after_its_lanes_were_emptied(stage: LocalEnvironment) -> None:
    """Seven quiet days on a lane: its last record is deleted, and so is the marker behind the committed offset."""
    worker, sink = Slot(stage, "worker"), Slot(stage, "sink")
    with ended_afterwards(worker, sink):
        traffic = Traffic(stage, seed=3)
        traffic.open_accounts()
        traffic.pay(100)
        traffic.await_settled()
        assert worker.end() == 0
        assert_books_balance(stage)
        _delete_all(stage, topics.CREDITS, topics.RETURNS)
        worker.tend()
        later = Traffic(stage, seed=4)
        later.open_accounts()
        later.pay(100)
        later.await_settled()
        assert worker.end() == 0


def _delete_all(stage: LocalEnvironment, *deleted: topics.Topic) -> None:
    admin = AdminClient({"bootstrap.servers": stage.kafka_bootstrap})
    to_the_end = [TopicPartition(topic.name, shard, -1) for topic in deleted for shard in range(stage.settings.shards)]
    begins = {at.topic: 0 for at in to_the_end}
    for at, future in admin.delete_records(to_the_end).items():
        begins[at.topic] += future.result(10).low_watermark
    assert begins[topics.CREDITS.name] > 0, "nothing was there to delete"
