"""The ledger beside a certificate: the hash chain holds up to the heads that it names, gives their hashes, and goes on.

Reads ledger.entries from the beginning (the archive's where the brokers hold it no longer), as `millrace replay` does.
"""

from collections.abc import Sequence

from millrace.audit.ledger.partition_log import AuditImpossible, archive_of, extents
from millrace.audit.report import Differs, Invariant
from millrace.replay.ledger import FoldedLedger
from runtime.kafka_client import Brokers
from runtime.personal_data.erasure import LedgerHead
from runtime.settings import Settings
from schemas.topics import LEDGER


def require_heads(settings: Settings, heads: Sequence[LedgerHead], topic: str = LEDGER.name) -> int:
    """Records of the ledger, all of them linked. Raises Differs at the first that is not, or where a head of the
    certificate is not the ledger's; AuditImpossible.
    """
    brokers, archive = Brokers.of(settings), archive_of(settings)
    ends = {shard: extent.end for (_, shard), extent in extents(brokers, (topic,), settings.shards, archive).items()}
    for head in heads:
        if ends.get(head.partition, 0) < head.next_offset:
            raise AuditImpossible(
                f"{topic}[{head.partition}] ends before offset {head.next_offset}: this is not the ledger that the"
                " certificate speaks of, or it has lost records"
            )
    ledger = FoldedLedger(brokers, topic, settings.shards, archive=archive)
    ledger.advance({head.partition: head.next_offset for head in heads})
    for head in heads:
        _require_head(ledger, head, topic)
    ledger.advance(ends)
    return ledger.records


def _require_head(ledger: FoldedLedger, head: LedgerHead, topic: str) -> None:
    link = ledger.links[head.partition]
    certified, found = (f"sequence {head.sequence}, hash {head.hash}"), (link.sequence, link.previous_hash.hex())
    if (head.sequence, head.hash) != found:
        place = f"{topic}[{head.partition}] before offset {head.next_offset}"
        raise Differs(Invariant.TRACE, place, certified, f"sequence {found[0]}, hash {found[1]}")
