"""A real topic in the place of ledger.entries, written as the agents write it: in transactions."""

import time

from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from tests.sinks.ledger_script import LedgerScript

DEADLINE_S = 30


class LedgerTopic:
    """Made with the object; every partition is one shard."""

    def __init__(self, bootstrap: str, name: str, shards: int) -> None:
        self.name = name
        self.shards = shards
        self._sent = dict.fromkeys(range(shards), 0)
        self._admin = AdminClient({"bootstrap.servers": bootstrap})
        self._admin.create_topics([NewTopic(name, shards, 1)])[name].result(DEADLINE_S)
        self._await_leaders()
        self._producer = Producer({"bootstrap.servers": bootstrap, "transactional.id": f"{name}.writer"})
        self._producer.init_transactions(DEADLINE_S)

    def publish(self, script: LedgerScript) -> None:
        """Commit what the script has written since the last call."""
        self._producer.begin_transaction()
        for shard, values in script.records.items():
            for value in values[self._sent[shard] :]:
                self.produce(shard, value)
            self._sent[shard] = len(values)
        self._producer.commit_transaction(DEADLINE_S)

    def publish_value(self, shard: int, value: bytes | None) -> None:
        """Commit one record, right or wrong."""
        self._producer.begin_transaction()
        self.produce(shard, value)
        self._producer.commit_transaction(DEADLINE_S)

    def publish_aborted(self, shard: int, value: bytes) -> None:
        """Write a record that no read_committed reader may see."""
        self._producer.begin_transaction()
        self.produce(shard, value)
        self._producer.flush(DEADLINE_S)
        self._producer.abort_transaction(DEADLINE_S)

    def produce(self, shard: int, value: bytes | None) -> None:
        self._producer.produce(self.name, value, partition=shard)

    def delete_before(self, shard: int, offset: int) -> None:
        """What retention does."""
        partition = TopicPartition(self.name, shard, offset)
        for deleted in self._admin.delete_records([partition]).values():
            deleted.result(DEADLINE_S)

    def _await_leaders(self) -> None:
        give_up_at = time.monotonic() + DEADLINE_S
        while time.monotonic() < give_up_at:
            found = self._admin.list_topics(self.name, timeout=DEADLINE_S).topics[self.name]
            if len(found.partitions) == self.shards and all(each.leader >= 0 for each in found.partitions.values()):
                return
            time.sleep(0.05)
        raise TimeoutError(f"{self.name} has no leaders")
