"""How values are written on a page: amounts, ids, times, people. The one place for each, and templates' filters."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any, Final
from uuid import UUID

from payments.identifiers import ACCOUNT, JOURNAL, PAYMENT, format_id, is_system
from payments.money import EXPONENTS, format_minor
from payments.postings import SystemAccount
from reconciliation.breaks.desk import AUTOMATON
from reconciliation.matching.rules import Pass
from reconciliation.runs.run import RUN
from reconciliation.runs.sides import BREAK
from reconciliation.runs.signing import SIGN_OFF
from reconciliation.store.importing import FILE, FileStatus

_KINDS: Final = {
    "break": BREAK,
    "run": RUN,
    "sign_off": SIGN_OFF,
    "file": FILE,
    "journal": JOURNAL,
    "payment": PAYMENT,
}
_PASSES: Final = {
    Pass.ENTRY: "the source told the line twice",
    Pass.EXACT_ID: "the same id on both sides",
    Pass.REFERENCE: "the same amount and reference within the days",
    Pass.AMOUNT_DATE: "the only ones of this amount within the days",
    Pass.GROUPS: "the lines of one key add up",
    Pass.TOLERANCE: "amount and date within the tolerance",
    Pass.SIMILARITY: "the same amount, and texts much alike",
    Pass.SUBSET_SUM: "amounts that add up in one way only",
}


def money(minor: int | None, currency: str) -> str:
    """With the decimals of the currency, thousands in groups; a bare number where there is no currency."""
    if minor is None:
        return ""
    text = format_minor(minor, currency) if currency in EXPONENTS else str(minor)
    whole, point, rest = text.removeprefix("-").partition(".")
    return f"{'−' if minor < 0 else ''}{int(whole):,}{point}{rest}"


def name(value: UUID, kind: str) -> str:
    """The public id."""
    return format_id(_KINDS[kind], value.bytes)


def journal(row: str) -> str:
    """The journal of an internal line, as matches and breaks name it (`<journal>/<leg>`)."""
    id_, _, leg = row.partition("/")
    return f"{format_id(JOURNAL, bytes.fromhex(id_))}/{leg}" if len(id_) == 32 else row


def why(pass_: str) -> str:
    """What the pass looks at; groups name their key (`groups:payout`)."""
    name_, _, key = pass_.partition(":")
    return _PASSES[Pass(name_)] + (f": {key}" if key else "")


def account(value: UUID | str) -> str:
    """Of the operator by its purpose, of others by its id. Legs of proposals have it in hexadecimal."""
    id_ = UUID(str(value)).bytes
    code = int.from_bytes(id_[8:10], "big")
    return (
        SystemAccount(code).name.lower() if is_system(id_) and code in set(SystemAccount) else format_id(ACCOUNT, id_)
    )


def when(at: datetime | None) -> str:
    """To the second, UTC."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC") if at is not None else ""


def days(first: date | None, last: date) -> str:
    """A span, both included."""
    return f"until {last}" if first is None else str(last) if first == last else f"{first} to {last}"


def person(subject: str, caller: str) -> str:
    """Who it was, as the reader knows them."""
    if subject == caller:
        return "you"
    return f"the rules {subject.removeprefix(AUTOMATON)}" if subject.startswith(AUTOMATON) else subject


def status(word: str) -> str:
    """written_off → written off."""
    return word.replace("_", " ")


def file_status(number: int) -> str:
    """In a word."""
    return FileStatus(number).name.lower()


def keys(told: Mapping[str, Any]) -> str:
    """References, in a line."""
    return ", ".join(f"{key} {value}" for key, value in told.items())


def percent(part: int, whole: int) -> str:
    """Two decimals, rounded down: 100.00 % is all of it."""
    ones, rest = divmod(part * 10_000 // whole if whole else 10_000, 100)
    return f"{ones}.{rest:02} %"


FILTERS: Final = {
    one.__name__: one
    for one in (money, name, journal, why, account, when, days, person, status, file_status, keys, percent)
}
