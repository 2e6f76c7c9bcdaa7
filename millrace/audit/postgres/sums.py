"""Tables that hold sums and positions, compared by key: accounts, balances, outcome_counts, sink_lanes, sink_progress;
and account_sums, of which there may be any, compared with the legs of their time.

Keeps the expected rows of one table at a time (an account is about a kilobyte while it is compared).
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from millrace.audit.ledger.fold import Fold
from millrace.audit.postgres.snapshot import DatabaseSnapshot
from millrace.audit.report import AuditReport, Differs, Invariant

ACCOUNTS = ("account_id", "currency", "type", "status", "overdraft_limit_minor", "opened_at", "changed_at")
BALANCES = ("account_id", "currency", "posted_minor", "available_minor", "changed_at")
OUTCOME_COUNTS = ("shard", "kind", "entries")

WRONG_SPANS = """
SELECT span.account_id, span.until, span.posted_minor, legs.posted_minor FROM (
    SELECT account_id, until, posted_minor,
        lag(until, 1, '-infinity') OVER (PARTITION BY account_id ORDER BY until) AS since
    FROM account_sums
) AS span
CROSS JOIN LATERAL (
    SELECT coalesce(sum(amount_minor), 0) AS posted_minor FROM account_legs
    WHERE account_id = span.account_id AND posted_at >= span.since AND posted_at < span.until
) AS legs
WHERE legs.posted_minor <> span.posted_minor ORDER BY 1, 2 LIMIT 1"""

Rows = Iterator[tuple[Any, ...]]
_UNIX_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def compare_sums(
    snapshot: DatabaseSnapshot, fold: Fold, counts: Counter[tuple[int, int]], report: AuditReport, stack: ExitStack
) -> None:
    """accounts, balances and outcome_counts. Sets the drift before it raises Differs."""
    accounts = {
        UUID(bytes=id_): (
            account.currency,
            int(account.type),
            int(account.status),
            account.limit,
            _time(account.opened_at_us),
            _time(account.changed_at_us),
        )
        for id_, account in fold.accounts.items()
    }
    compare_keyed("accounts", ACCOUNTS, accounts, selected(snapshot, "accounts", ACCOUNTS, stack))
    balances = {
        UUID(bytes=id_): (currency, posted, available, _time(changed_at_us))
        for id_, (currency, posted, available, changed_at_us) in fold.positions().items()
    }
    report.drift_minor = _drift(balances, selected(snapshot, "balances", BALANCES, stack))
    compare_keyed("balances", BALANCES, balances, selected(snapshot, "balances", BALANCES, stack))
    expected = {key: (count,) for key, count in counts.items()}
    rows = selected(snapshot, "outcome_counts", OUTCOME_COUNTS, stack)
    compare_keyed("outcome_counts", OUTCOME_COUNTS, expected, rows, keys=2)


def compare_spans(snapshot: DatabaseSnapshot, stack: ExitStack) -> None:
    """account_sums: every span with the legs of its time. Raises Differs at the first that has another sum."""
    for account_id, until, posted_minor, summed_minor in snapshot.rows(WRONG_SPANS, stack):
        place = _place("account_sums", ("account_id", "until"), (account_id, until))
        raise Differs(Invariant.TABLES, place, f"posted_minor {summed_minor}", f"posted_minor {posted_minor}")


def compare_keyed(
    table: str, columns: tuple[str, ...], expected: Mapping[Any, tuple[Any, ...]], rows: Iterable[Any], keys: int = 1
) -> None:
    """Rows by their first `keys` columns. Raises Differs at the first that differs, is not expected, or is missing."""
    missing = dict(expected)
    for row in rows:
        key = row[0] if keys == 1 else row[:keys]
        place = _place(table, columns[:keys], row[:keys])
        wanted = missing.pop(key, None)
        if wanted is None:
            raise Differs(Invariant.TABLES, place, "no such row", _named(columns[keys:], row[keys:]))
        if wanted != row[keys:]:
            raise Differs(Invariant.TABLES, place, *_differing(columns[keys:], wanted, row[keys:]))
    for key, wanted in missing.items():
        place = _place(table, columns[:keys], key if keys > 1 else (key,))
        raise Differs(Invariant.TABLES, place, _named(columns[keys:], wanted), "no such row")


def selected(snapshot: DatabaseSnapshot, table: str, columns: tuple[str, ...], stack: ExitStack) -> Rows:
    """These columns of every row, ordered by the key."""
    return snapshot.rows(f"SELECT {', '.join(columns)} FROM {table} ORDER BY 1, 2", stack)


def _drift(expected: Mapping[UUID, tuple[Any, ...]], rows: Rows) -> int:
    found = {row[0]: (row[2], row[3]) for row in rows}
    drift = 0
    for account_id in expected.keys() | found.keys():
        _, posted, available, _ = expected.get(account_id, ("", 0, 0, None))
        shown_posted, shown_available = found.get(account_id, (0, 0))
        drift += abs(posted - shown_posted) + abs(available - shown_available)
    return drift


def _time(unix_us: int) -> datetime:
    return _UNIX_EPOCH + timedelta(microseconds=unix_us)


def _place(table: str, names: Iterable[str], values: Iterable[Any]) -> str:
    return f"table {table}, {_named(names, values)}"


def _named(names: Iterable[str], values: Iterable[Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in zip(names, values, strict=True))


def _differing(names: Sequence[str], wanted: Sequence[Any], found: Sequence[Any]) -> tuple[str, str]:
    """Both sides, cut to the columns that differ."""
    at = [index for index in range(len(names)) if wanted[index] != found[index]]
    return tuple(_named([names[i] for i in at], [side[i] for i in at]) for side in (wanted, found))  # type: ignore[return-value]
