"""Request bodies: what JSON may come in, and the command that it means.

One Struct per body, used for decoding and for OpenAPI alike; unknown fields are refused. Amounts are read from the JSON
text itself, so 0.1 is 0.1 and no binary number is ever made. Refusals are values (FieldError) with a JSON pointer.
"""

import re
from decimal import Decimal
from functools import cache
from typing import Annotated, Any, Literal, TypeVar

import msgspec

from ingest_api.aliases.parties import PartyText
from ingest_api.problems import Fault, FieldError, field_problem
from ingest_api.risk.attributes import RiskBody
from payments.commands import MAX_DESCRIPTION_CHARS, MAX_KEY_CHARS, NO_REPLY, Command, CommandKind
from payments.identifiers import ACCOUNT, NIL, derive_account_id, parse_id
from payments.money import EXPONENTS, MAX_MINOR, AmountProblem, to_minor
from payments.terms.methods import Method, method_account
from runtime.log_lines import redacted
from runtime.personal_data.card_numbers import holds_card_number

Body = TypeVar("Body", bound=msgspec.Struct)

_ACCOUNT_PATTERN = "^acc_[0-7][0-9a-hjkmnp-tv-z]{25}$"
AccountText = Annotated[
    str, msgspec.Meta(extra_json_schema={"pattern": _ACCOUNT_PATTERN, "examples": ["acc_01jd5v2q7xf8k8v6n3m4p5r6st"]})
]
CurrencyText = Annotated[
    str, msgspec.Meta(description="ISO 4217 code", extra_json_schema={"pattern": "^[A-Z]{3}$", "examples": ["EUR"]})
]
AmountText = Annotated[
    msgspec.Raw,
    msgspec.Meta(
        description="Positive decimal as text or JSON number, never more decimals than the currency has",
        extra_json_schema={
            "anyOf": [{"type": "string", "pattern": r"^(0|[1-9]\d*)(\.\d+)?$"}, {"type": "number"}],
            "examples": ["10.50"],
        },
    ),
]
LimitText = Annotated[
    msgspec.Raw,
    msgspec.Meta(
        description="Decimal of zero or more, in the account's currency",
        extra_json_schema={
            "anyOf": [{"type": "string", "pattern": r"^(0|[1-9]\d*)(\.\d+)?$"}, {"type": "number"}],
            "examples": ["0"],
        },
    ),
]
Description = Annotated[str, msgspec.Meta(extra_json_schema={"maxLength": MAX_DESCRIPTION_CHARS})]
KeyText = Annotated[str, msgspec.Meta(extra_json_schema={"minLength": 1, "maxLength": MAX_KEY_CHARS})]

_AMOUNT = re.compile(rb'(?P<quote>"?)(-?(?:0|[1-9][0-9]{0,39})(?:\.[0-9]{1,40})?(?:[eE][+-]?[0-9]{1,4})?)(?P=quote)')
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ufffe\uffff]")
_AT = re.compile(r" - at `\$((?:\.[a-z_]+|\[[0-9]+\])*)`$")
_NAMED = re.compile(r"Object (missing required|contains unknown) field `([A-Za-z_][A-Za-z0-9_]{0,63})`$")
_QUOTES_INPUT = {"Object contains unknown field": Fault.FIELD_UNKNOWN, "Invalid enum value": Fault.FIELD_INVALID}
"""Messages of the decoder that repeat what the caller sent, which may be what must not be logged."""


class TransferBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Move money from one account to another."""

    from_account: PartyText
    to_account: PartyText
    amount: AmountText
    currency: CurrencyText
    description: Description = ""
    risk: RiskBody | None = None


class PricedBody(TransferBody, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Move money from one account to another: with a fee by the name of its schedule, at the rate of a quote, of which
    `amount` and `currency` are the fixed side, or both.
    """

    quote_id: str | None = None
    fee: str | None = None


class DepositBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Pay money into an account."""

    amount: AmountText
    currency: CurrencyText
    method: Method = Method.CASH
    description: Description = ""


class WithdrawalBody(DepositBody, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Pay money of an account out, with a fee by the name of its schedule."""

    fee: str | None = None


class NoBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """All is said by the path: send `{}`, or no body at all."""


class AccountBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Open an account."""

    currency: CurrencyText
    overdraft_limit: LimitText = msgspec.field(default_factory=lambda: msgspec.Raw(b"0"))


class LimitsBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The account's own limits and its KYC tier, all at once: a limit that is left out is none."""

    tier: Literal["unverified", "basic", "verified", "enhanced"]
    per_transaction: LimitText = msgspec.field(default_factory=msgspec.Raw)
    daily: LimitText = msgspec.field(default_factory=msgspec.Raw)
    monthly: LimitText = msgspec.field(default_factory=msgspec.Raw)


class AccountChangeBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Change an account's standing, its overdraft limit, its own limits. Fields left out stay as they are."""

    status: Literal["open", "frozen", "debits_frozen", "dormant", "closed"] | None = None
    overdraft_limit: LimitText = msgspec.field(default_factory=msgspec.Raw)
    limits: LimitsBody | None = None


class TransferLine(TransferBody, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A batch line that moves money from one account to another, both named by id."""

    from_account: AccountText
    to_account: AccountText
    idempotency_key: KeyText
    kind: Literal["transfer"] = "transfer"


class DepositLine(DepositBody, forbid_unknown_fields=True, frozen=True, kw_only=True, tag_field="kind", tag="deposit"):
    """A batch line that pays money into an account."""

    account: AccountText
    idempotency_key: KeyText


class AccountLine(
    AccountBody, forbid_unknown_fields=True, frozen=True, kw_only=True, tag_field="kind", tag="open_account"
):
    """A batch line that opens an account. Its id is derived from the caller and the key."""

    idempotency_key: KeyText


@cache
def decoder_of(body: type) -> msgspec.json.Decoder[Any]:
    """Made when a body of the kind comes for the first time: there are some tens of them."""
    return msgspec.json.Decoder(body)


def decoded(kind: type[Body], body: bytes) -> Body:
    """The body as its Struct. Raises Problem."""
    try:
        found: Body = decoder_of(kind).decode(body)
    except (ValueError, RecursionError) as error:
        raise field_problem(decode_fault(error, kind)) from None
    return found


def decode_fault(error: Exception, kind: type | None = None) -> FieldError:
    """What a decoder's exception says to the caller, with a pointer to the place, and what a body of the kind may have
    there.
    """
    text = str(error)
    if not isinstance(error, msgspec.ValidationError):
        detail = (
            "Send one JSON object in UTF-8." if isinstance(error, UnicodeError) else f"{text}. Send one JSON object."
        )
        return FieldError("", Fault.JSON_MALFORMED, detail)
    at = _AT.search(text)
    said = text[: at.start()] if at else text
    pointer = at.group(1).replace("]", "").replace("[", "/").replace(".", "/") if at else ""
    named = _NAMED.match(said)
    if named:
        if named.group(1) == "missing required":
            return FieldError(redacted(f"{pointer}/{named.group(2)}"), Fault.FIELD_MISSING, redacted(f"{said}."))
        detail = f"{redacted(said)}. {_advice(kind, pointer)}"
        return FieldError(redacted(f"{pointer}/{named.group(2)}"), Fault.FIELD_UNKNOWN, detail)
    for start, code in _QUOTES_INPUT.items():
        if said.startswith(start):
            return FieldError(pointer, code, f"{start}. {_advice(kind, pointer)}")
    return FieldError(pointer, Fault.FIELD_INVALID, f"{said}.")


def _advice(kind: type | None, pointer: str) -> str:
    """The fields or words that a body of this kind may have at a place."""
    places = [] if kind is None else _alternatives(_described(kind))
    for step in pointer.split("/")[1:]:
        places = [each for place in places for inside in _inside(place, step) for each in _alternatives(inside)]
    words = [str(word) for place in places for word in _words(place)]
    return f"Known here: {', '.join(words)}." if words else "Send what the API's description lists."


_described = cache(msgspec.inspect.type_info)


def _alternatives(place: msgspec.inspect.Type) -> list[msgspec.inspect.Type]:
    match place:
        case msgspec.inspect.UnionType(types=types):
            return [each for type_ in types for each in _alternatives(type_)]
        case msgspec.inspect.Metadata(type=type_):
            return _alternatives(type_)
        case _:
            return [place]


def _inside(place: msgspec.inspect.Type, step: str) -> list[msgspec.inspect.Type]:
    match place:
        case msgspec.inspect.StructType(fields=fields):
            return [field.type for field in fields if field.encode_name == step]
        case msgspec.inspect.ListType(item_type=type_) | msgspec.inspect.VarTupleType(item_type=type_):
            return [type_]
        case _:
            return []


def _words(place: msgspec.inspect.Type) -> list[object]:
    match place:
        case msgspec.inspect.StructType(fields=fields):
            return [field.encode_name for field in fields]
        case msgspec.inspect.LiteralType(values=values):
            return list(values)
        case msgspec.inspect.EnumType(cls=cls):
            return [member.value for member in cls]
        case _:
            return []


def parse_amount(raw: msgspec.Raw, currency: str, pointer: str = "/amount") -> int | FieldError:
    """Minor units of a positive amount as it stands in the JSON text."""
    number = _decimal(raw)
    problem = to_minor(number, currency) if number is not None else AmountProblem.NOT_A_NUMBER
    if isinstance(problem, int):
        return problem
    at = "/currency" if problem is AmountProblem.CURRENCY_UNKNOWN else pointer
    return FieldError(at, problem, _amount_advice(problem, currency))


def parse_limit(raw: msgspec.Raw, currency: str, pointer: str = "/overdraft_limit") -> int | FieldError:
    """Minor units of a limit: like an amount, but zero is one."""
    number = _decimal(raw)
    if number is not None and number == 0 and currency in EXPONENTS:
        return 0
    limit_minor = parse_amount(raw, currency, pointer)
    if isinstance(limit_minor, FieldError) and limit_minor.code is AmountProblem.NOT_POSITIVE:
        return limit_minor._replace(detail="Send zero or more.")
    return limit_minor


def is_given(raw: msgspec.Raw) -> bool:
    """False where the field was left out, or null."""
    return bytes(raw) not in {b"", b"null"}


def _decimal(raw: msgspec.Raw) -> Decimal | None:
    match = _AMOUNT.fullmatch(bytes(raw))
    return Decimal(match.group(2).decode("ascii")) if match else None


def _amount_advice(problem: AmountProblem, currency: str) -> str:
    exponent = EXPONENTS.get(currency, 0)
    return {
        AmountProblem.CURRENCY_UNKNOWN: "Use a code of ISO 4217 with minor units, in capitals: EUR, JPY, KWD.",
        AmountProblem.NOT_A_NUMBER: 'Send a decimal as text or number, for example "10.50".',
        AmountProblem.NOT_POSITIVE: "The amount must be above zero.",
        AmountProblem.TOO_MANY_DECIMALS: f"{currency} has {exponent} decimals; amounts are never rounded.",
        AmountProblem.TOO_LARGE: f"At most {MAX_MINOR} minor units.",
    }[problem]


def text_fault(text: str, max_chars: int, pointer: str) -> FieldError | None:
    """Why a text cannot be kept: too long, or with characters that no one can read (and Postgres refuses)."""
    if len(text) > max_chars:
        return FieldError(pointer, Fault.FIELD_INVALID, f"At most {max_chars} characters.")
    if not text.isprintable() and _CONTROL.search(text):
        return FieldError(pointer, Fault.FIELD_INVALID, "No control characters.")
    return None


def description_fault(description: str) -> FieldError | None:
    """Why a description is refused. The text is not repeated: it may hold what must not be logged."""
    if not description:
        return None
    fault = text_fault(description, MAX_DESCRIPTION_CHARS, "/description")  # first: it bounds the search
    if fault is None and holds_card_number(description):
        return FieldError("/description", Fault.CARD_NUMBER, "The description holds what looks like a card number.")
    return fault


def key_fault(key: str, pointer: str) -> FieldError | None:
    """Why an idempotency key is refused."""
    if not key:
        return FieldError(pointer, Fault.FIELD_INVALID, "The key is empty.")
    return text_fault(key, MAX_KEY_CHARS, pointer)


def parse_account(text: str, pointer: str) -> bytes | FieldError:
    """The id of an account, or what is wrong with it."""
    account = parse_id(ACCOUNT, text)
    if account is not None and account != NIL:  # NIL stands for no account inside a command
        return account
    return FieldError(pointer, Fault.FIELD_INVALID, "Not an account id: acc_ and 26 characters.")


def transfer_command(body: TransferBody, key: str, reply_to: bytes = NO_REPLY) -> Command | FieldError:
    """The command that a transfer body means."""
    payer = parse_account(body.from_account, "/from_account")
    if isinstance(payer, FieldError):
        return payer
    payee = parse_account(body.to_account, "/to_account")
    if isinstance(payee, FieldError):
        return payee
    amount_minor = parse_amount(body.amount, body.currency)
    if isinstance(amount_minor, FieldError):
        return amount_minor
    fault = description_fault(body.description)
    if fault is not None:
        return fault
    return Command(CommandKind.TRANSFER, payer, payee, amount_minor, body.currency, reply_to, key, body.description)


def deposit_command(body: DepositBody, account: bytes, key: str, reply_to: bytes = NO_REPLY) -> Command | FieldError:
    """The command that a deposit body means: paid by the clearing account of the method."""
    amount_minor = parse_amount(body.amount, body.currency)
    if isinstance(amount_minor, FieldError):
        return amount_minor
    fault = description_fault(body.description)
    if fault is not None:
        return fault
    payer = method_account(body.method, body.currency)
    return Command(CommandKind.DEPOSIT, payer, account, amount_minor, body.currency, reply_to, key, body.description)


def withdrawal_command(body: DepositBody, account: bytes, key: str) -> Command | FieldError:
    """The command that a withdrawal body means: a transfer to the clearing account of the method."""
    deposit = deposit_command(body, account, key)
    if isinstance(deposit, FieldError):
        return deposit
    return deposit._replace(kind=CommandKind.TRANSFER, payer=account, payee=deposit.payer)


def open_command(body: AccountBody, account: bytes, key: str, reply_to: bytes = NO_REPLY) -> Command | FieldError:
    """The command that opens an account."""
    limit_minor = parse_limit(body.overdraft_limit, body.currency)
    if isinstance(limit_minor, FieldError):
        return limit_minor
    return Command(CommandKind.OPEN_ACCOUNT, account, NIL, limit_minor, body.currency, reply_to, key)


def account_of_line(line: AccountLine, principal: str) -> bytes:
    """The account that a batch line opens: a repeated line opens it once."""
    return derive_account_id(principal, line.idempotency_key)
