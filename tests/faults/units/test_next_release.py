"""The second version that the rolling upgrade writes is one that both releases may meet."""

import io

import fastavro
import pytest

from payments.entries import Credit
from payments.errors import UndecodableRecord
from payments.rejections import Reason
from schemas import wire
from schemas.codec.credits import CreditBatch, decode_credits, encode_credits
from schemas.compatibility import incompatibilities
from tests.faults.upgrade.next_release import FIRST, SECOND, decode_both, encode_second

BATCH = CreditBatch(2, 7, [Credit(b"o" * 16, b"p" * 16, b"q" * 16, 125, "EUR", b"r" * 8, Reason.NONE)])


def test_each_version_reads_the_other() -> None:
    assert incompatibilities([FIRST, SECOND], both_directions=True) == []


def test_the_next_release_reads_both() -> None:
    assert decode_both(encode_credits(BATCH)) == decode_both(encode_second(BATCH)) == BATCH


def test_the_bytes_are_those_of_the_schema_and_the_old_schema_resolves_them() -> None:
    body = io.BytesIO(encode_second(BATCH)[wire.FRAME_BYTES :])
    first, second = fastavro.parse_schema(FIRST.parsed), fastavro.parse_schema(SECOND.parsed)
    resolved = fastavro.schemaless_reader(body, second, first)
    expected = fastavro.schemaless_reader(io.BytesIO(encode_credits(BATCH)[wire.FRAME_BYTES :]), first, first)
    assert resolved == expected


def test_this_release_stops_at_the_second_version_instead_of_guessing() -> None:
    with pytest.raises(UndecodableRecord, match="expected schema id"):
        decode_credits(encode_second(BATCH))
