"""The rules of a run: those of the cascade, and which entries of the ledger meet which lines of whom. Pure.

docs/reconciliation.md explains each field.
"""

import hashlib
from typing import Annotated, Final, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
import yaml
from msgspec import Meta, Struct

from payments.money import EXPONENTS
from payments.postings import SystemAccount
from reconciliation.matching.breaks import BreakType
from reconciliation.matching.rules import Days, Minor, Rules, RulesFault, Window
from reconciliation.statements.lines import BOOKED

INTERNAL: Final = "internal"
"""Rule set of the internal reconciliation, which is no file: no other one has this name."""

ACCOUNTS: Final = {code.name.lower(): code for code in SystemAccount}
"""Accounts of the operator, as rules name them."""


class Books(Struct, forbid_unknown_fields=True, frozen=True):
    """The ledger's side: legs of accounts of the operator, as that account sees them (a debit of it is money that came
    in); without `accounts` every payment once, as `millrace recon generate` writes them.
    """

    accounts: list[str] = []
    currencies: list[str] = []
    id: Literal["payment", "short", "order", "provider"] = "payment"
    """pay_…; its last 16 hexadecimal digits; the caller's payment_order_id; the provider's own reference."""


class Statements(Struct, forbid_unknown_fields=True, frozen=True):
    """The other side: lines of these sources. References by the names that `millrace statements parse` gives them."""

    sources: Annotated[list[str], Meta(min_length=1)]
    id: str = ""
    """The reference that both sides know; by default the one of each format that the payer has chosen."""
    amount: Literal["net", "gross"] = "net"
    """Gross where the books know nothing of the source's fees yet."""
    entry: str = ""
    keys: dict[str, str] = {}
    """Of `group_by`: the reference that is this key."""
    exclude_types: tuple[str, ...] = ("payout", "MerchantPayout")
    booked: tuple[str, ...] = tuple(sorted(BOOKED))
    """Statuses of lines that count."""


class Automatic(Struct, forbid_unknown_fields=True, frozen=True):
    """Breaks of this type and currency, up to so much, are adjusted without a person, by two legs: `debit` is debited
    and `credit` credited where the books have too much, the other way round where they have too little.
    """

    type: BreakType
    currency: str
    up_to_minor: Annotated[int, Meta(ge=1)]
    debit: str
    credit: str


class BreakRules(Struct, forbid_unknown_fields=True, frozen=True):
    """How long a break may stay open, in business days, and what needs no person."""

    sla_days: dict[BreakType, Days] = {}
    sla_days_default: Days = 5
    automatic: list[Automatic] = []
    run_limit_minor: Minor = 0
    """All that one run may adjust by itself, in each currency; 0 is nothing."""


class RunRules(Rules, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """One revision of the rules of a run."""

    revision: Annotated[int, Meta(ge=1)] = 1
    zone: str = "UTC"
    """Of days of the books: a payment of 23:30 in London is of the next day in Berlin."""
    books: Books = Books()
    statements: Statements
    breaks: BreakRules = BreakRules()

    def reach(self) -> int:
        """Business days that a line may be away from what it matches."""
        window, tolerance = self.date_window or Window(), self.tolerance
        days = max(window.before_days, window.after_days)
        if tolerance is not None:
            days = max(days, tolerance.before_days, tolerance.after_days)
        return max(days, self.settlement_days) + 1


class ReadRules(Struct, frozen=True):
    """Rules, the text that they were written as, and its hash."""

    rules: RunRules
    text: str
    sha256: bytes


NEVER_AUTOMATIC: Final = frozenset(
    {
        BreakType.MISSING_EXTERNAL,
        BreakType.MISSING_INTERNAL,
        BreakType.TIMING,
        BreakType.TRUNCATED_SOURCE,
        BreakType.CHAIN_GAP,
        BreakType.UNBALANCED_BATCH,
        BreakType.CURRENCY_MISMATCH,
    }
)
"""What says that something is not there, or not known, is no difference to write off."""


def read_rules(text: str) -> ReadRules:
    """Of a YAML text. Raises RulesFault with the place of what is wrong."""
    try:
        rules = msgspec.convert(yaml.safe_load(text), RunRules)
    except (yaml.YAMLError, RecursionError) as error:
        raise RulesFault(f"rules: no YAML: {' '.join(str(error).split())}") from error
    except msgspec.ValidationError as error:
        raise RulesFault(f"rules: {error}") from error
    _check(rules)
    return ReadRules(rules, text, hashlib.sha256(text.encode()).digest())


def _check(rules: RunRules) -> None:
    if rules.name == INTERNAL:
        raise RulesFault(f"name: {INTERNAL} is the name of `millrace recon internal`; choose another one")
    try:
        ZoneInfo(rules.zone)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise RulesFault(f"zone: {rules.zone!r} is no zone of the tz database, such as Europe/Berlin") from error
    for name in rules.books.accounts:
        if name not in ACCOUNTS:
            raise RulesFault(f"books.accounts: {name!r} is none of {', '.join(ACCOUNTS)}")
    for currency in rules.books.currencies:
        if currency not in EXPONENTS:
            raise RulesFault(f"books.currencies: {currency!r} is no currency of ISO 4217")
    unknown = sorted(set(rules.statements.keys) - set(rules.group_by))
    if unknown:
        raise RulesFault(f"statements.keys: {unknown[0]!r} is not in group_by")
    for one in rules.breaks.automatic:
        _check_automatic(one)


def _check_automatic(one: Automatic) -> None:
    if one.type in NEVER_AUTOMATIC:
        raise RulesFault(f"breaks.automatic: {one.type} is for people alone")
    if one.currency not in EXPONENTS:
        raise RulesFault(f"breaks.automatic: {one.currency!r} is no currency of ISO 4217")
    for name in (one.debit, one.credit):
        if name not in ACCOUNTS:
            raise RulesFault(f"breaks.automatic: {name!r} is none of {', '.join(ACCOUNTS)}")
    if one.debit == one.credit:
        raise RulesFault("breaks.automatic: debit and credit must be two accounts")
