"""Accounts and balances as Postgres shows them, now or as they stood."""

from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from ingest_api.http.resources import (
    Account,
    AccountLimits,
    AccountPage,
    Balance,
    account_status_word,
    account_type_word,
    rfc3339,
)
from ingest_api.problems import Problem, refused
from ingest_api.reads.balances.view import Held
from ingest_api.reads.cursor import Cursor, encode_cursor
from ingest_api.reads.database import Database
from ingest_api.reads.lists.looking import cut, how_far, looking_query
from ingest_api.statements.moments import UNIX_EPOCH
from payments.accounts import AccountStatus, AccountType
from payments.identifiers import ACCOUNT, NIL, format_id, parse_id
from payments.money import format_minor
from payments.rejections import Reason
from payments.risk.limits import NO_LIMIT, Limits, Tier
from schemas.codec.fields import REASONS

_ACCOUNT = """
SELECT account_id, type, currency, status, overdraft_limit_minor, opened_at, changed_at, tier, per_transaction_minor,
    daily_minor, monthly_minor
FROM accounts LEFT JOIN risk_terms_now USING (account_id) WHERE account_id = %s"""
_ALL = "SELECT * FROM accounts AS held WHERE held.account_id > %(after)s"
_OF_USER = """
SELECT accounts.* FROM accounts JOIN account_owners AS held USING (account_id)
WHERE held.user_id = %(user)s AND held.until IS NULL AND held.account_id > %(after)s"""
_LATER = """
CROSS JOIN (
    SELECT coalesce(sum(posted_minor), 0)::bigint AS posted_minor,
        coalesce(sum(available_minor), 0)::bigint AS available_minor,
        coalesce(sum(held_minor), 0)::bigint AS held_minor,
        coalesce(sum(incoming_minor), 0)::bigint AS incoming_minor
    FROM account_changes WHERE account_id = %(account)s AND changed_at > %(at)s
) AS later"""
_NOTHING_LATER = """
CROSS JOIN (VALUES (0, 0, 0, 0)) AS later (posted_minor, available_minor, held_minor, incoming_minor)"""
_BALANCE = """
SELECT account.currency,
    coalesce(balance.posted_minor, 0) - later.posted_minor AS posted_minor,
    coalesce(balance.available_minor, 0) - later.available_minor AS available_minor,
    coalesce(holding.held_minor, 0) - later.held_minor AS held_minor,
    coalesce(holding.incoming_minor, 0) - later.incoming_minor AS incoming_minor,
    coalesce(%(at)s, balance.changed_at, account.opened_at) AS as_of
FROM accounts AS account
LEFT JOIN balances AS balance USING (account_id)
LEFT JOIN account_holdings AS holding USING (account_id)
"""
BALANCE_AT = f"{_BALANCE}{_LATER} WHERE account.account_id = %(account)s"
"""What stands there now, less what every later entry did: what is recent, and asked for most, is added up fast."""

_BALANCE_NOW = f"{_BALANCE}{_NOTHING_LATER} WHERE account.account_id = %(account)s"
_PLACED = f"""
SELECT balance.*, (SELECT jsonb_object_agg(shard, ledger_next_offset) FROM sink_progress) AS reached
FROM ({_BALANCE_NOW}) AS balance"""
_EVENT = "SELECT reason FROM account_events WHERE operation_id = %s"


class AccountFilter(NamedTuple):
    """What a list shows; None leaves a choice open."""

    user: UUID | None = None
    type: AccountType | None = None
    status: AccountStatus | None = None
    currency: str | None = None


def known_account(account_id: str) -> bytes:
    """The id in a path. Raises Problem 404 for a text that cannot be an account."""
    account = parse_id(ACCOUNT, account_id)
    if account is None or account == NIL:  # NIL stands for no account inside a command
        raise _unknown()
    return account


async def find_account(database: Database, account: bytes) -> Account:
    """The account. Raises Problem where Postgres has none, DatabaseUnavailable."""
    row = await database.row(_ACCOUNT, (UUID(bytes=account),))
    if row is None:
        raise _unknown()
    return _account(row)


async def list_accounts(database: Database, wanted: AccountFilter, after: UUID | None, limit: int) -> AccountPage:
    """One page, by id, without the accounts' own limits. Raises DatabaseUnavailable."""
    fits = [f"{name} = %({name})s" for name in ("type", "status", "currency") if getattr(wanted, name) is not None]
    query = looking_query(_OF_USER if wanted.user is not None else _ALL, "account_id", fits)
    named = wanted._asdict() | how_far(limit, fits) | {"after": after or UUID(bytes=NIL)}
    shown, last = cut(await database.page(query, named), limit)
    cursor = encode_cursor(Cursor(last["opened_at"], last["account_id"])) if last is not None else None
    return AccountPage([_account(row) for row in shown], last is not None, cursor)


def _account(row: dict[str, Any]) -> Account:
    currency: str = row["currency"]
    return Account(
        id=format_id(ACCOUNT, row["account_id"].bytes),
        type=account_type_word(row["type"]),
        currency=currency,
        overdraft_limit=format_minor(row["overdraft_limit_minor"], currency),
        overdraft_limit_minor=row["overdraft_limit_minor"],
        status=account_status_word(row["status"]),
        opened_at=rfc3339(row["opened_at"]),
        changed_at=rfc3339(row["changed_at"]),
        limits=_limits(row) if row.get("tier") is not None else None,
    )


def _limits(row: dict[str, Any]) -> AccountLimits:
    minors = (row[field] for field in Limits._fields)
    shown = (format_minor(minor, row["currency"]) if minor != NO_LIMIT else None for minor in minors)
    return AccountLimits(Tier(row["tier"]).name.lower(), *shown)


async def find_balance(database: Database, account: bytes, at: datetime | None = None) -> Balance:
    """What the account holds, or held after the last entry that is not later than `at`. Raises Problem where Postgres
    has none, DatabaseUnavailable.
    """
    query = _BALANCE_NOW if at is None else BALANCE_AT
    row = await database.row(query, {"account": UUID(bytes=account), "at": at})
    if row is None:
        raise _unknown()
    return _balance(account, row)


async def find_placed_balance(database: Database, account: bytes) -> tuple[Held, dict[int, int]]:
    """What the account holds, and how far every shard's ledger was applied when it was read, in one snapshot. Raises
    Problem where Postgres has none, DatabaseUnavailable.
    """
    row = await database.row(_PLACED, {"account": UUID(bytes=account), "at": None})
    if row is None:
        raise _unknown()
    as_of_us = (row["as_of"] - UNIX_EPOCH) // timedelta(microseconds=1)
    held = Held(**{name: row[name] for name in Held._fields if name != "as_of_us"}, as_of_us=as_of_us)
    return held, {int(shard): offset for shard, offset in (row["reached"] or {}).items()}


def balance_of(account: bytes, held: Held) -> Balance:
    """The same as it is shown."""
    return _balance(account, held._asdict() | {"as_of": UNIX_EPOCH + timedelta(microseconds=held.as_of_us)})


async def find_event_reason(database: Database, operation_id: bytes) -> Reason | None:
    """How an account operation was decided (NONE = done), or None where Postgres does not have it yet."""
    row = await database.row(_EVENT, (UUID(bytes=operation_id),))
    return REASONS[row["reason"]] if row is not None else None


def _balance(account: bytes, row: dict[str, Any]) -> Balance:
    currency: str = row["currency"]
    return Balance(
        account=format_id(ACCOUNT, account),
        currency=currency,
        posted=format_minor(row["posted_minor"], currency),
        posted_minor=row["posted_minor"],
        available=format_minor(row["available_minor"], currency),
        available_minor=row["available_minor"],
        held=format_minor(row["held_minor"], currency),
        held_minor=row["held_minor"],
        incoming=format_minor(row["incoming_minor"], currency),
        incoming_minor=row["incoming_minor"],
        as_of=rfc3339(row["as_of"]),
    )


def _unknown() -> Problem:
    return refused(Reason.ACCOUNT_NOT_FOUND)
