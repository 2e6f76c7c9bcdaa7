"""The one HTTP error map: every code that a caller can meet, its status and its title (RFC 9457).

Reads codes of payments (Reason, AmountProblem) and names the faults of requests (Fault). Every error answer of this API
is made by `Problem.answer`, those of the framework too: nothing ever answers a bare {"detail": …}.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any, NamedTuple

import msgspec

from ingest_api.http.advice import ADVICE
from ingest_api.http.call import Answer
from payments.money import AmountProblem
from payments.rejections import Reason
from runtime.log_lines import redacted

PROBLEM_JSON = b"application/problem+json"


class Fault(StrEnum):
    """What is wrong with a request, or with us. The value is the public error code."""

    REQUEST_MALFORMED = "request_malformed"
    REQUEST_TIMEOUT = "request_timeout"
    TARGET_TOO_LONG = "target_too_long"
    HEADERS_TOO_LARGE = "headers_too_large"
    CONNECTIONS_TOO_MANY = "too_many_connections"
    ORIGIN_REFUSED = "origin_refused"
    JSON_MALFORMED = "json_malformed"
    FIELD_MISSING = "field_missing"
    FIELD_UNKNOWN = "field_unknown"
    FIELD_INVALID = "field_invalid"
    CARD_NUMBER = "card_number_refused"
    PARAMETER_INVALID = "parameter_invalid"
    CURSOR_INVALID = "cursor_invalid"
    TOKEN_POSITION_INVALID = "consistency_token_invalid"
    BATCH_EMPTY = "batch_empty"
    BATCH_REFUSED = "batch_refused"
    TOO_MANY_LINES = "too_many_lines"
    LINE_TOO_LONG = "line_too_long"
    BODY_TOO_LARGE = "body_too_large"
    MEDIA_TYPE = "media_type_unsupported"
    TOKEN_MISSING = "token_missing"
    TOKEN_INVALID = "token_invalid"
    SCOPE_INSUFFICIENT = "scope_insufficient"
    SECOND_FACTOR_REQUIRED = "second_factor_required"
    SECOND_FACTOR_INVALID = "second_factor_invalid"
    SECOND_FACTOR_STANDS = "second_factor_stands"
    CREDENTIALS_INVALID = "credentials_invalid"
    PASSWORD_REFUSED = "password_refused"
    TOO_MANY_ATTEMPTS = "too_many_attempts"
    SESSION_UNKNOWN = "session_not_found"
    INVALID_REQUEST = "invalid_request"
    INVALID_CLIENT = "invalid_client"
    INVALID_GRANT = "invalid_grant"
    INVALID_SCOPE = "invalid_scope"
    UNSUPPORTED_GRANT_TYPE = "unsupported_grant_type"
    SIGNATURE_INVALID = "signature_invalid"
    NETWORK_REFUSED = "network_refused"
    KEY_UNKNOWN = "api_key_not_found"
    KEY_ENDED = "api_key_ended"
    KEYS_TOO_MANY = "too_many_api_keys"
    DIRECTORY_UNAVAILABLE = "directory_unavailable"
    ROUTE_UNKNOWN = "route_unknown"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    PAYMENT_NOT_FOUND = "payment_not_found"
    JOURNAL_UNKNOWN = "journal_not_found"
    QUOTE_UNKNOWN = "quote_not_found"
    QUOTE_USED = "quote_used"
    RATE_UNKNOWN = "rate_not_found"
    FEE_UNKNOWN = "fee_schedule_not_found"
    CASE_UNKNOWN = "quarantine_case_not_found"
    CASE_RESOLVED = "quarantine_case_resolved"
    CASE_BUSY = "quarantine_case_busy"
    CASE_UNDECIDABLE = "quarantine_case_undecidable"
    CASE_DECIDED = "quarantine_case_decided"
    BREAK_UNKNOWN = "break_not_found"
    BREAK_STATUS = "break_status"
    SECOND_PERSON = "second_person_needed"
    PERIOD_SIGNED = "period_signed_off"
    ADJUSTMENT_INVALID = "adjustment_invalid"
    ATTACHMENT_TOO_LARGE = "attachment_too_large"
    ATTACHMENTS_TOO_MANY = "too_many_attachments"
    RECONCILIATION_RULES = "reconciliation_rules_invalid"
    RECONCILIATION_UNKNOWN = "reconciliation_not_found"
    TOO_MANY_FINDINGS = "too_many_findings"
    RUN_OUTDATED = "run_outdated"
    PROPOSALS_WAITING = "proposals_waiting"
    ALIAS_UNKNOWN = "alias_not_found"
    ALIAS_TAKEN = "alias_taken"
    USER_ERASED = "user_erased"
    USER_UNKNOWN = "user_not_found"
    OWNER_UNKNOWN = "owner_not_found"
    OWNER_NEEDED = "primary_owner_needed"
    OWNERS_TOO_MANY = "too_many_owners"
    ROLE_INSUFFICIENT = "role_insufficient"
    SCHEDULE_UNKNOWN = "schedule_not_found"
    SCHEDULE_ENDED = "schedule_ended"
    PARTY_UNKNOWN = "party_not_found"
    NAMES_NEEDED = "party_names_needed"
    HIT_UNKNOWN = "screening_hit_not_found"
    HIT_DECIDED = "screening_hit_decided"
    USER_TAKEN = "user_taken"
    BANK_ACCOUNT_UNKNOWN = "bank_account_not_found"
    NOTICE_UNKNOWN = "notice_not_found"
    DISPUTE_NEEDS_OPERATOR = "dispute_needs_operator"
    DEVICE_UNKNOWN = "device_not_found"
    DEVICES_TOO_MANY = "too_many_devices"
    BANK_ACCOUNT_UNVERIFIED = "bank_account_unverified"
    BANK_ACCOUNT_VERIFICATION = "bank_account_verification"
    EXTERNAL_BANK_UNKNOWN = "external_bank_not_found"
    BANK_UNAVAILABLE = "bank_unavailable"
    ENDPOINT_UNKNOWN = "webhook_endpoint_not_found"
    ENDPOINT_DISABLED = "webhook_endpoint_disabled"
    ENDPOINTS_TOO_MANY = "too_many_webhook_endpoints"
    DELIVERY_UNKNOWN = "webhook_delivery_not_found"
    EVENT_UNKNOWN = "event_not_found"
    PSP_UNKNOWN = "psp_not_found"
    PSP_SIGNATURE = "psp_signature_invalid"
    INSTANCE_UNKNOWN = "instance_not_found"
    INSTANCE_TAKEN = "instance_taken"
    INSTANCES_TOO_MANY = "too_many_instances"
    PRECONDITION_FAILED = "precondition_failed"
    RATE_LIMITED = "rate_limited"
    QUEUE_FULL = "queue_full"
    OUTCOME_UNKNOWN = "outcome_unknown"
    NOT_YET_VISIBLE = "not_yet_visible"
    DATABASE_UNAVAILABLE = "database_unavailable"
    INTERNAL = "internal_error"


Code = Fault | Reason | AmountProblem

STATUS: dict[Code, tuple[int, str]] = {
    Fault.REQUEST_MALFORMED: (400, "The request can't be read in one way only"),
    Fault.REQUEST_TIMEOUT: (408, "The request came too slowly"),
    Fault.TARGET_TOO_LONG: (414, "The path and query are too long"),
    Fault.HEADERS_TOO_LARGE: (431, "The headers are too large"),
    Fault.CONNECTIONS_TOO_MANY: (503, "Too many connections"),
    Fault.ORIGIN_REFUSED: (403, "Web pages of this origin may not call"),
    Fault.JSON_MALFORMED: (400, "The body is not JSON"),
    Fault.FIELD_MISSING: (422, "A field is missing"),
    Fault.FIELD_UNKNOWN: (422, "A field is not known"),
    Fault.FIELD_INVALID: (422, "A field is not valid"),
    Fault.CARD_NUMBER: (422, "Card numbers are not taken"),
    Fault.PARAMETER_INVALID: (422, "A parameter is not valid"),
    Fault.CURSOR_INVALID: (422, "The cursor is not one of ours"),
    Fault.TOKEN_POSITION_INVALID: (400, "The Consistency-Token is not one of ours"),
    Fault.BATCH_EMPTY: (400, "The batch has no lines"),
    Fault.BATCH_REFUSED: (422, "No line of the batch was taken"),
    Fault.TOO_MANY_LINES: (413, "Too many lines"),
    Fault.LINE_TOO_LONG: (413, "A line is too long"),
    Fault.BODY_TOO_LARGE: (413, "The body is too large"),
    Fault.MEDIA_TYPE: (415, "The content type is not taken"),
    Fault.TOKEN_MISSING: (401, "A bearer token is needed"),
    Fault.TOKEN_INVALID: (401, "The bearer token is not valid"),
    Fault.SCOPE_INSUFFICIENT: (403, "The token does not allow this"),
    Fault.SECOND_FACTOR_REQUIRED: (401, "A second factor is needed"),
    Fault.SECOND_FACTOR_INVALID: (422, "The code is not valid"),
    Fault.SECOND_FACTOR_STANDS: (409, "There is a second factor, or none"),
    Fault.CREDENTIALS_INVALID: (401, "The credentials are not valid"),
    Fault.PASSWORD_REFUSED: (422, "The password is not taken"),
    Fault.TOO_MANY_ATTEMPTS: (429, "Too many attempts"),
    Fault.SESSION_UNKNOWN: (404, "No such session"),
    Fault.INVALID_REQUEST: (400, "The token request is not valid"),
    Fault.INVALID_CLIENT: (401, "The client is not known by these credentials"),
    Fault.INVALID_GRANT: (400, "The credentials or the refresh token are not valid"),
    Fault.INVALID_SCOPE: (400, "The scope is not one that can be given"),
    Fault.UNSUPPORTED_GRANT_TYPE: (400, "The grant type is not offered"),
    Fault.SIGNATURE_INVALID: (401, "The signature of the request is not valid"),
    Fault.NETWORK_REFUSED: (403, "The API key is not allowed from here"),
    Fault.KEY_UNKNOWN: (404, "No such API key"),
    Fault.KEY_ENDED: (409, "The API key has ended"),
    Fault.KEYS_TOO_MANY: (409, "Too many API keys"),
    Fault.DIRECTORY_UNAVAILABLE: (503, "The directory does not answer"),
    Fault.ROUTE_UNKNOWN: (404, "No such route"),
    Fault.METHOD_NOT_ALLOWED: (405, "The method is not offered here"),
    Fault.PAYMENT_NOT_FOUND: (404, "No such payment"),
    Fault.JOURNAL_UNKNOWN: (404, "No such journal"),
    Fault.QUOTE_UNKNOWN: (404, "No such quote"),
    Fault.QUOTE_USED: (422, "The quote is used"),
    Fault.RATE_UNKNOWN: (422, "No rate for this pair"),
    Fault.FEE_UNKNOWN: (422, "No such fee schedule"),
    Fault.CASE_UNKNOWN: (404, "No such case in quarantine"),
    Fault.CASE_RESOLVED: (409, "The case is resolved"),
    Fault.CASE_BUSY: (409, "The case is being redriven"),
    Fault.CASE_UNDECIDABLE: (422, "The record could not be decided"),
    Fault.CASE_DECIDED: (409, "The command was decided already"),
    Fault.BREAK_UNKNOWN: (404, "No such break"),
    Fault.BREAK_STATUS: (409, "The break's status does not allow it"),
    Fault.SECOND_PERSON: (409, "A second person has to approve"),
    Fault.PERIOD_SIGNED: (409, "The period is signed off"),
    Fault.ADJUSTMENT_INVALID: (422, "The adjustment is not valid"),
    Fault.ATTACHMENT_TOO_LARGE: (413, "The document is too large"),
    Fault.ATTACHMENTS_TOO_MANY: (409, "Too many documents"),
    Fault.RECONCILIATION_RULES: (422, "The rules are not valid"),
    Fault.RECONCILIATION_UNKNOWN: (404, "No such file, line, run or sign-off"),
    Fault.TOO_MANY_FINDINGS: (409, "More findings than a run writes down"),
    Fault.RUN_OUTDATED: (409, "A newer run has another result"),
    Fault.PROPOSALS_WAITING: (409, "Adjustments wait for approval"),
    Fault.ALIAS_UNKNOWN: (404, "No such alias"),
    Fault.ALIAS_TAKEN: (409, "The alias is somebody else's"),
    Fault.USER_ERASED: (409, "The user was erased"),
    Fault.USER_UNKNOWN: (404, "No such user"),
    Fault.OWNER_UNKNOWN: (404, "The user has no part in the account"),
    Fault.OWNER_NEEDED: (409, "An open account needs its primary owner"),
    Fault.OWNERS_TOO_MANY: (422, "Too many owners"),
    Fault.ROLE_INSUFFICIENT: (403, "The role does not allow this"),
    Fault.SCHEDULE_UNKNOWN: (404, "No such schedule"),
    Fault.SCHEDULE_ENDED: (409, "The schedule has ended"),
    Fault.PARTY_UNKNOWN: (404, "No such party"),
    Fault.NAMES_NEEDED: (409, "The user has no names yet"),
    Fault.HIT_UNKNOWN: (404, "No such hit"),
    Fault.HIT_DECIDED: (409, "The hit is decided"),
    Fault.USER_TAKEN: (409, "The user name, address or number is taken"),
    Fault.BANK_ACCOUNT_UNKNOWN: (404, "No such linked bank account"),
    Fault.NOTICE_UNKNOWN: (404, "No such notice"),
    Fault.DISPUTE_NEEDS_OPERATOR: (403, "An operator has to open this dispute"),
    Fault.DEVICE_UNKNOWN: (404, "No such device"),
    Fault.DEVICES_TOO_MANY: (409, "Too many devices"),
    Fault.BANK_ACCOUNT_UNVERIFIED: (422, "The bank account is not verified"),
    Fault.BANK_ACCOUNT_VERIFICATION: (422, "The bank account can't be verified like this"),
    Fault.EXTERNAL_BANK_UNKNOWN: (404, "No such bank"),
    Fault.BANK_UNAVAILABLE: (503, "The bank does not answer"),
    Fault.ENDPOINT_UNKNOWN: (404, "No such webhook endpoint"),
    Fault.ENDPOINT_DISABLED: (409, "The webhook endpoint is disabled"),
    Fault.ENDPOINTS_TOO_MANY: (422, "Too many webhook endpoints"),
    Fault.DELIVERY_UNKNOWN: (404, "No such delivery"),
    Fault.EVENT_UNKNOWN: (404, "No such event"),
    Fault.PSP_UNKNOWN: (404, "No such payment provider"),
    Fault.PSP_SIGNATURE: (400, "The signature is not the provider's"),
    Fault.INSTANCE_UNKNOWN: (404, "No such instance of a service"),
    Fault.INSTANCE_TAKEN: (409, "The instance is somebody else's"),
    Fault.INSTANCES_TOO_MANY: (409, "Too many instances"),
    Fault.PRECONDITION_FAILED: (412, "It has changed since"),
    Fault.RATE_LIMITED: (429, "Too many commands"),
    Fault.QUEUE_FULL: (503, "Too busy to take more"),
    Fault.OUTCOME_UNKNOWN: (503, "The outcome is not known"),
    Fault.NOT_YET_VISIBLE: (503, "Not visible yet"),
    Fault.DATABASE_UNAVAILABLE: (503, "The database does not answer"),
    Fault.INTERNAL: (500, "An error on our side"),
    AmountProblem.CURRENCY_UNKNOWN: (422, "The currency is not known"),
    AmountProblem.NOT_A_NUMBER: (422, "The amount is not valid"),
    AmountProblem.NOT_POSITIVE: (422, "The amount is not positive"),
    AmountProblem.TOO_MANY_DECIMALS: (422, "The amount has too many decimals"),
    AmountProblem.TOO_LARGE: (422, "The amount is too large"),
    Reason.ACCOUNT_NOT_FOUND: (404, "No such account"),
    Reason.ACCOUNT_FROZEN: (422, "The account is frozen"),
    Reason.ACCOUNT_CLOSED: (422, "The account is closed"),
    Reason.CURRENCY_MISMATCH: (422, "The account has another currency"),
    Reason.INSUFFICIENT_FUNDS: (422, "Not enough money"),
    Reason.SAME_ACCOUNT: (422, "Payer and payee are the same account"),
    Reason.PAYEE_NOT_FOUND: (404, "No such payee"),
    Reason.PAYEE_FROZEN: (422, "The payee is frozen"),
    Reason.PAYEE_CLOSED: (422, "The payee is closed"),
    Reason.PAYEE_CURRENCY_MISMATCH: (422, "The payee has another currency"),
    Reason.BALANCE_LIMIT_EXCEEDED: (422, "The balance would be too large"),
    Reason.ACCOUNT_EXISTS: (422, "The account is open already"),
    Reason.ACCOUNT_RESERVED: (422, "A system account"),
    Reason.BALANCE_NOT_ZERO: (422, "The balance is not zero"),
    Reason.OVERDRAFT_IN_USE: (422, "The overdraft is in use"),
    Reason.IDEMPOTENCY_KEY_REUSED: (422, "The key was used for something else"),
    Reason.IDEMPOTENCY_KEY_MISSING: (400, "An Idempotency-Key is needed"),
    Reason.MALFORMED: (422, "The command could not be read"),
    Reason.WRONG_PARTITION: (422, "The command reached the wrong partition"),
    Reason.TEXT_TOO_LONG: (422, "A text is too long"),
    Reason.BATCH_TOO_LARGE: (422, "The batch is too large"),
    Reason.PAYER_NOT_SYSTEM: (422, "A deposit comes from a method's clearing account"),
    Reason.ACCOUNT_DEBITS_FROZEN: (422, "The account is frozen for debits"),
    Reason.ACCOUNT_DORMANT: (422, "The account is dormant"),
    Reason.ACCOUNT_HAS_OPEN_ITEMS: (422, "Something about the account is still open"),
    Reason.EXPIRY_INVALID: (422, "The expiry is not valid"),
    Reason.HOLD_NOT_FOUND: (404, "No such hold"),
    Reason.HOLD_EXPIRED: (422, "The hold has expired"),
    Reason.CAPTURE_EXCEEDS_HOLD: (422, "More than the hold has left"),
    Reason.DEPOSIT_NOT_FOUND: (404, "No such deposit"),
    Reason.RETURN_CODE_UNKNOWN: (422, "The return code is not one of the method's"),
    Reason.PAYMENT_NOT_REFUNDABLE: (422, "The payment can't be given back"),
    Reason.REFUND_EXCEEDS_PAYMENT: (422, "More than the payment has left"),
    Reason.DISPUTE_NOT_FOUND: (404, "No such dispute"),
    Reason.RECEIVABLE_NOT_FOUND: (404, "No such receivable"),
    Reason.RECEIVABLE_EXCEEDED: (422, "More than is owed"),
    Reason.LEGS_INVALID: (422, "The legs are not valid"),
    Reason.JOURNAL_UNBALANCED: (422, "The journal does not balance"),
    Reason.STANDING_INVALID: (422, "The standing can't be set like this"),
    Reason.QUOTE_EXPIRED: (422, "The quote has expired"),
    Reason.PER_TRANSACTION_LIMIT_EXCEEDED: (422, "Above the limit of one payment"),
    Reason.DAILY_LIMIT_EXCEEDED: (422, "Above the limit of the day"),
    Reason.MONTHLY_LIMIT_EXCEEDED: (422, "Above the limit of the month"),
    Reason.DENIED_BY_RULE: (422, "A rule denies the payment"),
    Reason.REVIEW_BY_RULE: (422, "A rule asks for a review"),
    Reason.REVIEW_DECLINED: (422, "The review declined the payment"),
    Reason.REVIEW_EXPIRED: (422, "The review was not decided in time"),
    Reason.REVIEW_NOT_FOUND: (404, "No such review"),
    Reason.REVIEWER_REPEATED: (422, "Another analyst has to approve"),
    Reason.RULES_INVALID: (422, "The rule set is not valid"),
    Reason.PROVIDER_UNKNOWN: (422, "No such provider"),
    Reason.PROVIDER_DECLINED: (422, "The provider declined"),
    Reason.ORDERS_INVALID: (422, "The payment orders are not valid"),
    Reason.ORDER_EXISTS: (409, "The payment order was placed before"),
    Reason.ORDER_NOT_FOUND: (404, "No such payment order"),
    Reason.ORDER_EXECUTING: (409, "The payment order has no outcome yet"),
    Reason.ORDER_FAILED: (422, "The payment order has failed"),
    Reason.ORDER_CANCELLED: (422, "The payment order was cancelled"),
    Reason.ATTEMPT_NOT_FOUND: (404, "Nothing is asked of a provider under this id"),
    Reason.SETTLEMENT_CONTRADICTED: (409, "The provider says otherwise than was settled"),
}


class FieldError(NamedTuple):
    """One fault of one place: a JSON pointer into the body, `?name` for a query parameter, a header by its name."""

    pointer: str
    code: Code
    detail: str

    def shown(self) -> dict[str, str]:
        return {"pointer": redacted(self.pointer), "code": str(self.code), "detail": redacted(self.detail)}


class Problem(Exception):
    """An answer that is not what the caller asked for."""

    def __init__(
        self,
        code: Code,
        detail: str,
        *,
        errors: Iterable[FieldError] = (),
        headers: Mapping[str, str] | None = None,
        members: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.errors = tuple(errors)
        self.headers = dict(headers or {})
        self.members = dict(members or {})

    @property
    def status(self) -> int:
        return STATUS[self.code][0]

    def answer(self, instance: str, request_id: str) -> Answer:
        """The problem document. `errorMessage` repeats `detail`: some clients read only that. What callers put into a
        path or into the name of a field may be a card number or a token: error documents end up in logs.
        """
        status, title = STATUS[self.code]
        detail = redacted(self.detail)
        document = {
            "type": f"urn:millrace:problem:{self.code}",
            "title": title,
            "status": status,
            "detail": detail,
            "instance": redacted(instance),
            "code": str(self.code),
            "errors": [error.shown() for error in self.errors],
            "request_id": request_id,
            "errorMessage": detail,
            **self.members,
        }
        headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in self.headers.items()]
        return Answer(status, msgspec.json.encode(document), headers, PROBLEM_JSON)


def refused(reason: Reason, members: Mapping[str, Any] | None = None) -> Problem:
    """The answer to a command that the accounts refused."""
    return Problem(reason, ADVICE[reason], members=members)


def field_problem(error: FieldError) -> Problem:
    """The answer to a request with one bad place."""
    return Problem(error.code, error.detail, errors=(error,))


def retry_later(code: Fault, detail: str, retry_after_s: int) -> Problem:
    """A refusal that passes: nothing was taken, or it is safe to repeat with the same key."""
    return Problem(code, detail, headers={"Retry-After": str(max(1, retry_after_s))})
