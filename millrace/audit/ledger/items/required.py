"""How a statement is compared with what it must be, and what of its entry it is compared with."""

from typing import TypeVar

from millrace.audit.ledger.rules import posted_legs
from millrace.audit.report import Differs, Invariant
from payments.entries import Entry
from payments.identifiers import NIL, system_account
from payments.items.details import Cause, Detail, OpenItem
from payments.postings import SystemAccount

Item = TypeVar("Item", bound=OpenItem)
Kind = TypeVar("Kind", bound=Detail)


def require(place: str, what: str, expected: object, found: object) -> None:
    """Raises Differs where they are not equal."""
    if expected != found:
        raise Differs(Invariant.CONSERVATION, place, f"{what}: {text(expected)}", text(found))


def require_open(before: Item | None, place: str) -> Item:
    """The item before the entry. Raises Differs where there was none, or it had ended."""
    if before is None or not before.is_open:
        raise Differs(Invariant.ONE_OUTCOME, place, "an item that was open", "none" if before is None else text(before))
    return before


def detail_of(entry: Entry, kind: type[Kind]) -> Kind | None:
    """The first detail of a kind."""
    return next((detail for detail in entry.details if isinstance(detail, kind)), None)


def cause_of(entry: Entry) -> bytes:
    cause = detail_of(entry, Cause)
    return NIL if cause is None else cause.cause_id


def posted_on(entry: Entry, code: SystemAccount, currency: str) -> int:
    """What the entry posts on one of the operator's accounts."""
    account = system_account(code, currency)
    return sum(leg.posted for leg in posted_legs(entry) if leg.account == account)


def text(value: object) -> str:
    """Ids as hexadecimal digits."""
    if isinstance(value, bytes):
        return value.hex()
    fields = getattr(value, "_asdict", None)
    if fields is not None:
        return ", ".join(f"{name} {text(field)}" for name, field in fields().items())
    return "; ".join(map(text, value)) if isinstance(value, tuple) else str(value)
