"""Everything that a call can raise.

    ClientError
    ├── ConnectionFailed        no answer, and nothing was taken
    ├── OutcomeUnknown          a write may or may not have been taken: repeat it with `idempotency_key`
    ├── NotFinal                the wait for a final outcome is over; the payment goes on
    ├── AnswerUnreadable        an answer that is none of this API's
    ├── SignatureMismatch       a webhook that is not to be believed
    └── Problem                 the API's own refusal (RFC 9457), with its `code`
        ├── InvalidRequest      400, 405, 413, 415; 422 where a field is wrong
        ├── NotAuthenticated    401          └── SecondFactorRequired
        ├── NotAllowed          403
        ├── NotFound            404
        ├── Conflict            409
        ├── Changed             412
        ├── Refused             422: the request is fine, a rule of the books says no
        │   ├── InsufficientFunds
        │   ├── AccountUnusable
        │   ├── LimitExceeded
        │   ├── DeniedByRisk
        │   └── KeyReused
        ├── RateLimited         429
        ├── Unavailable         503
        └── ServerFault         every other 5xx

A code that this release does not know is raised as the class of its status.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from millrace.client.exchange import Response
from millrace.client.models.money import Payment


class ClientError(Exception):
    """Whatever a client raises on purpose."""

    idempotency_key: str | None = None
    """Of the write that failed: with it the same call can be made again, and moves its money once."""


class ConnectionFailed(ClientError):
    """There was no answer, and nothing can have been taken. Safe to repeat."""


class OutcomeUnknown(ClientError):
    """A write may or may not have been taken.

    Make the same call again with `idempotency_key`: it answers what became of the first one, or does it now. Without a
    key (the route takes none) look whether it was done before doing it again.
    """

    def __init__(self, what: str, key: str | None) -> None:
        then = f'repeat it with idempotency_key="{key}"' if key else "look whether it was done before repeating it"
        super().__init__(f"{what}: it is not known whether this was taken; {then}.")
        self.idempotency_key = key


class NotFinal(ClientError):
    """The payment has no final outcome yet; it goes on by itself. `payment` is how it stood."""

    def __init__(self, payment: Payment, waited_s: float) -> None:
        super().__init__(f"{payment.id} is still {payment.status} after {waited_s:g} s.")
        self.payment = payment


class AnswerUnreadable(ClientError):
    """An answer that is none of this API's: a gateway's page, another service, a cut body."""


class SignatureMismatch(ClientError):
    """A webhook that is not to be believed: changed, too old, or signed with another secret."""


class FieldFault(msgspec.Struct, frozen=True):
    """One bad place: JSON pointer, `?parameter`, or the name of a header."""

    pointer: str = ""
    code: str = ""
    detail: str = ""


class _Document(msgspec.Struct, frozen=True):
    title: str = ""
    detail: str = ""
    code: str = ""
    request_id: str = ""
    errors: list[FieldFault] = []
    payment: Payment | None = None


class Problem(ClientError):
    """The API's refusal. `payment`: the refused payment, where there is one. `members`: the whole document."""

    def __init__(self, status: int, document: _Document, members: Mapping[str, Any], retry_after_s: int | None) -> None:
        at = "; ".join(f"{fault.pointer}: {fault.detail}" for fault in document.errors if fault.detail)
        super().__init__(f"{document.code or status}: {at or document.detail or document.title}")
        self.status = status
        self.code = document.code
        self.detail = document.detail
        self.request_id = document.request_id
        self.errors = tuple(document.errors)
        self.payment = document.payment
        self.members = members
        self.retry_after_s = retry_after_s


class InvalidRequest(Problem):
    """The request itself is wrong: `errors` says where."""


class NotAuthenticated(Problem):
    """No credentials, or none that are valid."""


class SecondFactorRequired(NotAuthenticated):
    """The code of an app is needed: give the credentials an `otp` callback, or step up."""


class NotAllowed(Problem):
    """The caller may not do this."""


class NotFound(Problem):
    """No such thing, or none of the caller's."""


class Conflict(Problem):
    """Not as things stand now."""


class Changed(Problem):
    """It has changed since the look that If-Match names."""


class Refused(Problem):
    """A rule of the books says no; nothing moved, or the payer has it back."""


class InsufficientFunds(Refused):
    """The available balance and overdraft limit do not cover the amount."""


class AccountUnusable(Refused):
    """Payer or payee is frozen, dormant or closed."""


class LimitExceeded(Refused):
    """Above a limit of one payment, the day, the month, or the balance."""


class DeniedByRisk(Refused):
    """A rule denies the payment, or people did."""


class KeyReused(Refused):
    """The idempotency key came before with another body. Nothing moved."""


class RateLimited(Problem):
    """Too many calls or attempts; `retry_after_s` says when to come again."""


class Unavailable(Problem):
    """Busy, or something behind the API does not answer. Nothing was taken."""


class ServerFault(Problem):
    """An error on the server's side; its log has the `request_id`."""


OF_STATUS: Final[Mapping[int, type[Problem]]] = {
    401: NotAuthenticated,
    403: NotAllowed,
    404: NotFound,
    409: Conflict,
    412: Changed,
    422: Refused,
    429: RateLimited,
    503: Unavailable,
}
OF_CODE: Final[Mapping[str, type[Problem]]] = {
    "second_factor_required": SecondFactorRequired,
    "field_missing": InvalidRequest,
    "field_unknown": InvalidRequest,
    "field_invalid": InvalidRequest,
    "parameter_invalid": InvalidRequest,
    "cursor_invalid": InvalidRequest,
    "card_number_refused": InvalidRequest,
    "batch_refused": InvalidRequest,
    "currency_unknown": InvalidRequest,
    "amount_invalid": InvalidRequest,
    "amount_not_positive": InvalidRequest,
    "amount_too_many_decimals": InvalidRequest,
    "amount_too_large": InvalidRequest,
    "malformed": InvalidRequest,
    "text_too_long": InvalidRequest,
    "insufficient_funds": InsufficientFunds,
    "account_frozen": AccountUnusable,
    "account_debits_frozen": AccountUnusable,
    "account_dormant": AccountUnusable,
    "account_closed": AccountUnusable,
    "payee_frozen": AccountUnusable,
    "payee_closed": AccountUnusable,
    "per_transaction_limit_exceeded": LimitExceeded,
    "daily_limit_exceeded": LimitExceeded,
    "monthly_limit_exceeded": LimitExceeded,
    "balance_limit_exceeded": LimitExceeded,
    "denied_by_rule": DeniedByRisk,
    "review_declined": DeniedByRisk,
    "review_expired": DeniedByRisk,
    "idempotency_key_reused": KeyReused,
}
"""Codes that are told apart from the others of their status."""

_DOCUMENT = msgspec.json.Decoder(_Document)


def problem_of(response: Response) -> ClientError:
    """The exception that an answer of 400 or more means."""
    try:
        document = _DOCUMENT.decode(response.content)
        members = response.json()
    except (msgspec.DecodeError, ValueError):
        if response.status in {429, 503}:  # of a gateway in front: it has not let the request in
            document, members = _Document(title=f"HTTP {response.status}"), {}
        else:
            return AnswerUnreadable(f"HTTP {response.status} without a problem document: is this the API's address?")
    made = OF_CODE.get(document.code) or OF_STATUS.get(response.status) or _other(response.status)
    return made(response.status, document, members, retry_after_s(response))


def code_of(response: Response) -> str:
    """The code of a problem, or nothing."""
    try:
        return _DOCUMENT.decode(response.content).code
    except (msgspec.DecodeError, ValueError):
        return ""


def retry_after_s(response: Response) -> int | None:
    """Whole seconds of Retry-After; its other form, a date, is never sent by this API."""
    text = response.headers.get("retry-after", "")
    return int(text) if text.isascii() and text.isdigit() else None


def _other(status: int) -> type[Problem]:
    return ServerFault if status >= 500 else InvalidRequest
