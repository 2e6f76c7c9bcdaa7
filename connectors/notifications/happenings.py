"""Public events and entries of the audit log → what a user may be told of. Pure.

Details are amounts, words and ids alone, so that nothing about a person, and no card or bank account number, can get
into a text.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, NamedTuple

from payments.events.event import EventType
from payments.identifiers import ACCOUNT, USER, parse_id
from schemas.tables.notifications import NoticeKind
from schemas.tables.security_actions import CONTACTS_BEFORE, SecurityAction

ACCOUNT_TAIL: Final = 6
"""Characters at the end of an account's id by which its users tell their accounts apart."""


class Happening(NamedTuple):
    """What happened to one account, or to one user."""

    cause: str
    """Where it was read: the feed and the position in it."""
    kind: NoticeKind
    account: bytes | None
    """Whoever has a part in it is told; None: `user` is."""
    user: bytes | None
    happened_at: datetime
    details: Mapping[str, str]
    previous: tuple[str, ...] = ()
    """Names of the contacts of before, which are told, too: whoever took a login over has put in others."""


class Side(StrEnum):
    """Whose account of an event it is about: a field of its payload's data, or its object."""

    PAYER = "payer"
    PAYEE = "payee"
    OBJECT = "object"


_Told = tuple[tuple[NoticeKind, Side], ...]
_TO_PAYER_FAILED: Final[_Told] = ((NoticeKind.PAYMENT_FAILED, Side.PAYER),)
_DECIDED: Final[_Told] = ((NoticeKind.DISPUTE_DECIDED, Side.PAYER), (NoticeKind.DISPUTE_DECIDED, Side.PAYEE))
_ACCOUNT: Final[_Told] = ((NoticeKind.ACCOUNT_CHANGED, Side.OBJECT),)
OF_EVENT: Final[Mapping[str, _Told]] = {
    EventType.PAYMENT_POSTED: ((NoticeKind.PAYMENT_SENT, Side.PAYER), (NoticeKind.PAYMENT_RECEIVED, Side.PAYEE)),
    EventType.PAYMENT_IN_REVIEW: ((NoticeKind.PAYMENT_IN_REVIEW, Side.PAYER),),
    EventType.PAYMENT_REJECTED: _TO_PAYER_FAILED,
    EventType.PAYMENT_RETURNED: _TO_PAYER_FAILED,
    EventType.PAYMENT_REVERSED: ((NoticeKind.DEPOSIT_RETURNED, Side.PAYER),),
    EventType.DISPUTE_OPENED: ((NoticeKind.DISPUTE_OPENED, Side.PAYEE),),
    EventType.DISPUTE_WON: _DECIDED,
    EventType.DISPUTE_LOST: _DECIDED,
    EventType.PAYOUT_POSTED: ((NoticeKind.PAYOUT_SENT, Side.PAYER),),
    EventType.PAYOUT_FAILED: ((NoticeKind.PAYOUT_FAILED, Side.PAYER),),
    EventType.ACCOUNT_FROZEN: _ACCOUNT,
    EventType.ACCOUNT_DEBITS_FROZEN: _ACCOUNT,
    EventType.ACCOUNT_DORMANT: _ACCOUNT,
    EventType.ACCOUNT_ACTIVATED: _ACCOUNT,
    EventType.ACCOUNT_CLOSED: _ACCOUNT,
}
"""Type of a public event → what is told, and the owners of which account are told it."""

OF_ACTION: Final[Mapping[str, NoticeKind]] = {
    SecurityAction.PASSWORD_CHANGED: NoticeKind.PASSWORD_CHANGED,
    SecurityAction.SECOND_FACTOR_CONFIRMED: NoticeKind.SECOND_FACTOR_CHANGED,
    SecurityAction.SECOND_FACTOR_DISABLED: NoticeKind.SECOND_FACTOR_CHANGED,
    SecurityAction.RECOVERY_CODES_REPLACED: NoticeKind.SECOND_FACTOR_CHANGED,
    SecurityAction.REFRESH_TOKEN_REUSED: NoticeKind.LOGIN_COPIED,
    SecurityAction.USER_ROLES_CHANGED: NoticeKind.ROLES_CHANGED,
    SecurityAction.USER_CHANGED: NoticeKind.CONTACT_CHANGED,
    SecurityAction.API_KEY_CREATED: NoticeKind.API_KEY_CREATED,
    SecurityAction.BANK_ACCOUNT_LINKED: NoticeKind.BANK_ACCOUNT_CHANGED,
    SecurityAction.BANK_ACCOUNT_UNLINKED: NoticeKind.BANK_ACCOUNT_CHANGED,
}
"""Action of the audit log → what its user is told."""


def of_event(position: int, happened_at: datetime, payload: Mapping[str, Any]) -> list[Happening]:
    """What a public event means for the accounts in it; `payload` as webhooks have it."""
    found = []
    for kind, side in OF_EVENT.get(payload["type"], ()):
        named = payload["object"] if side is Side.OBJECT else payload["data"].get(side)
        account = parse_id(ACCOUNT, named) if named is not None else None
        if account is not None:
            details = _details(payload, side) | {"account": f"…{named[-ACCOUNT_TAIL:]}"}
            found.append(Happening(f"events:{position}", kind, account, None, happened_at, details))
    return found


def _details(payload: Mapping[str, Any], side: Side) -> dict[str, str]:
    facts = payload["data"]
    arriving = "payee_" if side is Side.PAYEE and "payee_amount" in facts else ""
    details = {"word": payload["type"], "object": payload["object"]}
    if f"{arriving}amount" in facts:
        details["amount"] = f"{facts[f'{arriving}amount']} {facts[f'{arriving}currency']}"
    if "reason" in facts:
        details["reason"] = facts["reason"]
    return details


def of_action(position: int, entry: Mapping[str, Any]) -> list[Happening]:
    """What an entry of the audit log (a row of audit_entries) means for its user, if there is one."""
    kind = OF_ACTION.get(entry["action"])
    users = (parse_id(USER, text) for text in (entry["object"], entry["actor"]) if text is not None)
    user = next((id_ for id_ in users if id_ is not None), None)
    if kind is None or user is None:
        return []
    named_in = {**(entry["before"] or {}), **(entry["after"] or {})}
    details = {"word": entry["action"], "object": named_in.get("bank_account", entry["object"] or "")}
    previous = tuple((entry["before"] or {}).get(CONTACTS_BEFORE, ()))
    return [Happening(f"audit:{position}", kind, None, user, entry["at"], details, previous)]
