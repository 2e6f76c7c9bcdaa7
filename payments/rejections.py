"""Why money did not move: each refusal has one name, used in records, rows and answers alike.

The position in the list is the wire value (an Avro enum of one byte: 64 at most): append only, never reorder.
"""

from enum import StrEnum


class Reason(StrEnum):
    """The value is the public error code."""

    NONE = "none"
    ACCOUNT_NOT_FOUND = "account_not_found"
    ACCOUNT_FROZEN = "account_frozen"
    ACCOUNT_CLOSED = "account_closed"
    CURRENCY_MISMATCH = "currency_mismatch"
    INSUFFICIENT_FUNDS = "insufficient_funds"
    SAME_ACCOUNT = "same_account"
    AMOUNT_INVALID = "amount_invalid"
    PAYEE_NOT_FOUND = "payee_not_found"
    PAYEE_FROZEN = "payee_frozen"
    PAYEE_CLOSED = "payee_closed"
    PAYEE_CURRENCY_MISMATCH = "payee_currency_mismatch"
    BALANCE_LIMIT_EXCEEDED = "balance_limit_exceeded"
    ACCOUNT_EXISTS = "account_exists"
    ACCOUNT_RESERVED = "account_reserved"
    CURRENCY_UNKNOWN = "currency_unknown"
    BALANCE_NOT_ZERO = "balance_not_zero"
    OVERDRAFT_IN_USE = "overdraft_in_use"
    IDEMPOTENCY_KEY_REUSED = "idempotency_key_reused"
    IDEMPOTENCY_KEY_MISSING = "idempotency_key_missing"
    MALFORMED = "malformed"
    WRONG_PARTITION = "wrong_partition"
    TEXT_TOO_LONG = "text_too_long"
    BATCH_TOO_LARGE = "batch_too_large"
    PAYER_NOT_SYSTEM = "payer_not_system"
    ACCOUNT_DEBITS_FROZEN = "account_debits_frozen"
    ACCOUNT_DORMANT = "account_dormant"
    ACCOUNT_HAS_OPEN_ITEMS = "account_has_open_items"
    EXPIRY_INVALID = "expiry_invalid"
    HOLD_NOT_FOUND = "hold_not_found"
    HOLD_EXPIRED = "hold_expired"
    CAPTURE_EXCEEDS_HOLD = "capture_exceeds_hold"
    DEPOSIT_NOT_FOUND = "deposit_not_found"
    RETURN_CODE_UNKNOWN = "return_code_unknown"
    PAYMENT_NOT_REFUNDABLE = "payment_not_refundable"
    REFUND_EXCEEDS_PAYMENT = "refund_exceeds_payment"
    DISPUTE_NOT_FOUND = "dispute_not_found"
    RECEIVABLE_NOT_FOUND = "receivable_not_found"
    RECEIVABLE_EXCEEDED = "receivable_exceeded"
    LEGS_INVALID = "legs_invalid"
    JOURNAL_UNBALANCED = "journal_unbalanced"
    STANDING_INVALID = "standing_invalid"
    QUOTE_EXPIRED = "quote_expired"
    PER_TRANSACTION_LIMIT_EXCEEDED = "per_transaction_limit_exceeded"
    DAILY_LIMIT_EXCEEDED = "daily_limit_exceeded"
    MONTHLY_LIMIT_EXCEEDED = "monthly_limit_exceeded"
    DENIED_BY_RULE = "denied_by_rule"
    REVIEW_BY_RULE = "review_by_rule"
    REVIEW_DECLINED = "review_declined"
    REVIEW_EXPIRED = "review_expired"
    REVIEW_NOT_FOUND = "review_not_found"
    REVIEWER_REPEATED = "reviewer_repeated"
    RULES_INVALID = "rules_invalid"
    PROVIDER_UNKNOWN = "provider_unknown"
    PROVIDER_DECLINED = "provider_declined"
    ORDERS_INVALID = "orders_invalid"
    ORDER_EXISTS = "order_exists"
    ORDER_NOT_FOUND = "order_not_found"
    ORDER_EXECUTING = "order_executing"
    ORDER_FAILED = "order_failed"
    ORDER_CANCELLED = "order_cancelled"
    ATTEMPT_NOT_FOUND = "attempt_not_found"
    SETTLEMENT_CONTRADICTED = "settlement_contradicted"


QUARANTINED: frozenset[Reason] = frozenset(
    {
        Reason.IDEMPOTENCY_KEY_MISSING,
        Reason.MALFORMED,
        Reason.WRONG_PARTITION,
        Reason.TEXT_TOO_LONG,
        Reason.BATCH_TOO_LARGE,
    }
)
"""What a command cannot be decided for: it goes to quarantine with its bytes. Everything else is an answer."""
