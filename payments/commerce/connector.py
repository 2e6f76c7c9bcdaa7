"""What a provider is asked to do and what it answers, as values: the deciding stage and the connectors share them."""

from enum import IntEnum, StrEnum
from typing import Final, NamedTuple

LOST_AFTER_DAYS: Final = 7
"""When nothing was heard of a request for so long, the attempt that was to follow is lost: the longest wait between two
is 72 hours, and no operation is sent for longer than the 23 hours of its key. What comes of it after all has moved
nothing since.
"""


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
