"""ConnectorRequest and ConnectorResult: what the deciding stage and the connectors ask and tell each other.

Off the hot path (an outside call takes 100 ms and more), so fastavro writes and reads them.
"""

from decimal import Decimal
from enum import IntEnum, StrEnum
from typing import Any, NamedTuple

from payments.errors import UndecodableRecord
from schemas.codec import reference
from schemas.codec.fields import currency_bytes, currency_code

MAX_REFERENCE_CHARS = 255
"""Idempotency keys, and what else a provider keeps for us."""


class ConnectorOperation(IntEnum):
    """What a provider is asked to do. The value is the wire value: append only."""

    AUTHORISE = 0
    """Reserve money on a card; `CAPTURE` takes it later."""
    CHARGE = 1
    """Reserve and take in one."""
    CAPTURE = 2
    VOID = 3
    REFUND = 4
    PAYOUT = 5
    """Money of ours to a bank account that the provider knows."""
    INQUIRE = 6
    """Moves nothing: what became of a payment order, or of what a reference names."""


class Outcome(StrEnum):
    """What is known of an operation. The position is the wire value: append only."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    """Certain: no money moved, and none will for this request."""
    PENDING = "pending"
    """The provider has taken it and is not done."""
    UNKNOWN = "unknown"
    """It may have happened. Never to be treated as failed."""
    REQUIRES_ACTION = "requires_action"
    """The payer has to do something at the provider, as 3-D Secure."""


class Decline(StrEnum):
    """Why an operation failed, whatever the provider calls it. The position is the wire value: append only."""

    NONE = "none"
    INSUFFICIENT_FUNDS = "insufficient_funds"
    CARD_DECLINED = "card_declined"
    CARD_EXPIRED = "card_expired"
    CARD_DETAILS_WRONG = "card_details_wrong"
    CARD_LOST_OR_STOLEN = "card_lost_or_stolen"
    """Never to be told to the payer, who may be the thief."""
    CARD_NOT_SUPPORTED = "card_not_supported"
    LIMIT_EXCEEDED = "limit_exceeded"
    FRAUD_SUSPECTED = "fraud_suspected"
    AUTHENTICATION_REQUIRED = "authentication_required"
    PROVIDER_FAULT = "provider_fault"
    """The provider or the issuer could not, and says that nothing was done: a new request may succeed."""
    AMOUNT_EXCEEDED = "amount_exceeded"
    """A capture or refund of more than is left."""
    WRONG_STATE = "wrong_state"
    """What is referred to can't be captured, voided or refunded (any more)."""
    REFERENCE_UNKNOWN = "reference_unknown"
    IDEMPOTENCY_KEY_REUSED = "idempotency_key_reused"
    AMOUNT_UNSUPPORTED = "amount_unsupported"
    """Too small, too large, or with more decimals than the provider knows for this currency."""
    REQUEST_REFUSED = "request_refused"
    PROVIDER_UNKNOWN = "provider_unknown"
    """No connector of this name."""
    NOT_EXECUTED = "not_executed"
    """It was sent no more, and the provider, asked late enough, has no trace of it."""


class ConnectorRequest(NamedTuple):
    """One operation for a provider, see schemas/avro/ConnectorRequest for each field. Times in microseconds."""

    request_id: bytes
    provider: str
    operation: ConnectorOperation
    payment_order_id: str
    amount_minor: int
    currency: str
    idempotency_key: str
    token: str = ""
    provider_reference: str = ""
    attempt: int = 1
    first_asked_at_us: int = 0
    not_before_us: int = 0
    deadline_us: int = 0


class ConnectorResult(NamedTuple):
    """What is known after one attempt, see schemas/avro/ConnectorResult. Times in microseconds."""

    request_id: bytes
    attempt: int
    provider: str
    operation: ConnectorOperation
    payment_order_id: str
    outcome: Outcome
    provider_reference: str
    decline: Decline
    provider_code: str
    fee_minor: int | None
    fee_currency: str
    at_us: int
    attempt_follows: bool


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
