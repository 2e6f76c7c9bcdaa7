"""ConnectorRequest and ConnectorResult: what the deciding stage and the connectors ask and tell each other.

Off the hot path (an outside call takes 100 ms and more), so fastavro writes and reads them.
"""

from decimal import Decimal
from typing import Any

from payments.commerce.connector import ConnectorOperation as ConnectorOperation
from payments.commerce.connector import ConnectorRequest as ConnectorRequest
from payments.commerce.connector import ConnectorResult as ConnectorResult
from payments.commerce.connector import Decline as Decline
from payments.commerce.connector import Outcome as Outcome
from payments.errors import UndecodableRecord
from schemas.codec import reference
from schemas.codec.fields import currency_bytes, currency_code

MAX_REFERENCE_CHARS = 255
"""Idempotency keys, and what else a provider keeps for us."""


def encode_request(request: ConnectorRequest) -> bytes:
    """A whole record value."""
    fields = request._asdict() | {
        "operation": request.operation.name.lower(),
        "amount_minor": Decimal(request.amount_minor),
        "currency": currency_bytes(request.currency),
    }
    return reference.encode("ConnectorRequest", fields)


def decode_request(value: bytes) -> ConnectorRequest:
    """Raises UndecodableRecord: a bug, since only our own stages write these."""
    fields = _fields("ConnectorRequest", value)
    fields["operation"] = ConnectorOperation[fields["operation"].upper()]
    fields["amount_minor"] = int(fields["amount_minor"])
    fields["currency"] = currency_code(fields["currency"])
    return ConnectorRequest(**fields)


def encode_result(result: ConnectorResult) -> bytes:
    """A whole record value."""
    fields = result._asdict() | {
        "operation": result.operation.name.lower(),
        "fee_minor": None if result.fee_minor is None else Decimal(result.fee_minor),
        "fee_currency": currency_bytes(result.fee_currency),
    }
    return reference.encode("ConnectorResult", fields)


def decode_result(value: bytes) -> ConnectorResult:
    """Raises UndecodableRecord: a bug, since only connectors write these."""
    fields = _fields("ConnectorResult", value)
    fields["operation"] = ConnectorOperation[fields["operation"].upper()]
    fields["outcome"], fields["decline"] = Outcome(fields["outcome"]), Decline(fields["decline"])
    fields["fee_minor"] = None if fields["fee_minor"] is None else int(fields["fee_minor"])
    fields["fee_currency"] = currency_code(fields["fee_currency"])
    return ConnectorResult(**fields)


def _fields(record: str, value: bytes) -> dict[str, Any]:
    found, fields = reference.decode(value)
    if found != record:
        raise UndecodableRecord(f"a {found} where a {record} was expected")
    return fields
