"""payments.quarantine against what the replay could not decide: the same items with the same bytes, as a multiset.

Keeps one row per quarantined item with a digest of its value. Records of other origin than payments.commands, and those
of commands decided after the audit began, are left alone.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping

from millrace.audit.ledger.decisions import SetAside
from millrace.audit.ledger.partition_log import PartitionLog
from millrace.audit.report import Differs, Invariant
from payments.errors import UndecodableRecord
from schemas.codec import reference
from schemas.topics import COMMANDS, QUARANTINE


def compare_quarantine(
    logs: Iterable[PartitionLog], expected: Iterable[SetAside], commands_topic: str, decided: Mapping[int, int]
) -> int:
    """Items found equal. `decided` is the next undecided command offset per shard. Raises Differs."""
    wanted = Counter(map(_digested, expected))
    found: Counter[SetAside] = Counter()
    places: dict[SetAside, str] = {}
    for log in logs:
        for place, topic, item in _items(log):
            if topic == commands_topic and item.offset < decided[item.partition]:
                found[item] += 1
                places.setdefault(item, place)
    for item in sorted(found - wanted, key=_order):
        raise Differs(Invariant.QUARANTINE, places[item], "an item that could not be decided", _named(item))
    for item in sorted(wanted - found, key=_order):
        raise Differs(Invariant.QUARANTINE, QUARANTINE.name, _named(item), "no such record")
    return wanted.total()


def _items(log: PartitionLog) -> Iterable[tuple[str, str, SetAside]]:
    for message in log:
        place = f"{log.topic}[{log.partition}] offset {message.offset()}"
        try:
            _, fields = reference.decode(message.value() or b"")
        except UndecodableRecord as error:
            raise Differs(Invariant.QUARANTINE, place, "a QuarantinedRecord", error) from error
        yield place, fields["topic"], _digested(SetAside(**{name: fields[name] for name in SetAside._fields}))


def _digested(item: SetAside) -> SetAside:
    return item._replace(value=hashlib.sha256(item.value).digest())


def _order(item: SetAside) -> tuple[int, int, int]:
    return item.partition, item.offset, item.item


def _named(item: SetAside) -> str:
    return (
        f"{item.reason} of {COMMANDS.name}[{item.partition}] offset {item.offset} item {item.item},"
        f" value SHA-256 {item.value.hex()}"
    )
