"""`python -m tests.faults.upgrade.next_release PHASE SERVICE`: the product with CreditBatch in a second version.

The version adds a field with a default at the end. A release that would write what the last one can't read is rolled
out in two phases: one that reads both and writes the first, then one that writes the second. Credits pass from worker
to worker, so while the workers are restarted one by one both versions are on their way.
"""

import json
import sys

from millrace.cli import main
from schemas import wire
from schemas.codec import credits
from schemas.codec.named import read_details
from schemas.registry import RegisteredSchema, latest, registered

READS_BOTH, WRITES_SECOND = "reads_both", "writes_second"
NOTE = {"name": "note", "type": "string", "default": "", "doc": "What the next release adds."}
WRITTEN_NOTE = "second"

FIRST = latest("CreditBatch")
SECOND = RegisteredSchema(
    max(schema.schema_id for schema in registered()) + 1,
    FIRST.record,
    FIRST.version + 1,
    json.dumps({**FIRST.parsed, "fields": [*FIRST.parsed["fields"], NOTE]}),
)

encode_first, decode_first = credits.encode_credits, credits.decode_credits


def encode_second(batch: credits.CreditBatch) -> bytes:
    """A whole record value of the second version."""
    body = encode_first(batch)[wire.FRAME_BYTES :]
    return wire.frame(SECOND.schema_id) + body + wire.write_bytes(WRITTEN_NOTE.encode())


def decode_both(value: bytes) -> credits.CreditBatch:
    """The batch of a record value of either version. Raises UndecodableRecord."""
    if wire.schema_id_of(value) != SECOND.schema_id:
        return decode_first(value)
    buffer = memoryview(value)
    _, at = wire.read_long(buffer, wire.FRAME_BYTES)
    _, at = wire.read_long(buffer, at)
    _, count, at = wire.read_fixed_array(buffer, at, credits._ITEM)
    _, end = read_details(buffer, at, FIRST.schema_id, "credit", count)
    _, at = wire.read_text(buffer, end)
    wire.require_end(buffer, at)
    return decode_first(wire.frame(FIRST.schema_id) + value[wire.FRAME_BYTES : end])


def run() -> None:
    """Be the next release in one of its phases."""
    phase, *arguments = sys.argv[1:]
    credits.decode_credits = decode_both
    if phase == WRITES_SECOND:
        credits.encode_credits = encode_second
    sys.argv = ["millrace", *arguments]
    main()


if __name__ == "__main__":
    run()
