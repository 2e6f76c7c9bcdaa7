"""A run → sections of rows, the same for every format. Nothing here knows how a file is written.

A cell is a text, a number, a date or an amount; texts are foreign until a format has made them safe.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from typing import Final, NamedTuple
from uuid import UUID

from psycopg import Connection

from ingest_api.http.resources import rfc3339
from payments.identifiers import format_id
from payments.money import Money
from reconciliation.breaks.ageing import BUCKETS, bucket_of
from reconciliation.runs import reads, signing
from reconciliation.runs.rules import INTERNAL
from reconciliation.runs.run import RUN
from reconciliation.runs.sides import BREAK
from reconciliation.store.files import StoredLine, find_line

Cell = str | int | date | Money
Row = Sequence[Cell]

SOURCE_LINES_MAX: Final = 2_000
"""Lines of files that a report shows as they were sent, those of the largest breaks; each is a look-up of 1 ms."""


class Section(NamedTuple):
    """A table with a title; `totals` stand below it, by currency where there are amounts."""

    title: str
    columns: tuple[str, ...]
    rows: list[Row]
    totals: Sequence[Row] = ()


def report_of(connection: Connection, run_id: UUID) -> list[Section] | None:
    """Header, tie-out, match rate, breaks by value, ageing, source lines, files; None for no such run."""
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        run = reads.find_run(connection, run_id)
        if run is None:
            return None
        breaks = list(reads.breaks_of(connection, run_id))
        return [
            _header(run, signing.sign_offs_of(connection, [run_id])),
            _ties(run),
            _totals(run),
            _passes(reads.passes_of(connection, run_id)),
            _breaks(breaks),
            _ageing(breaks),
            _lines(connection, breaks),
            _files(reads.files_of(connection, run_id)),
        ]


def _header(run: reads.Run, signed: Iterable[signing.SignOff]) -> Section:
    rows: list[Row] = [
        ("run", format_id(RUN, run.run_id.bytes)),
        ("rules", f"{run.rule_set}, revision {run.revision}"),
        ("sha-256 of the rules", run.rules_sha256),
        ("days", f"{run.first_day or 'all'} to {run.last_day}"),
        ("zone and calendar", f"{run.zone}, {run.calendar}"),
        ("cut-off", rfc3339(run.cut_off)),
        *_counts(run),
        ("matches", run.matches),
        ("breaks", run.breaks),
        ("run by", run.run_by),
        ("run at", rfc3339(run.run_at)),
        ("result", run.result_hash),
    ]
    for one in signed:
        rows.append(
            ("signed by", f"{one.signed_by}, {rfc3339(one.signed_at)}, {one.live_breaks} breaks open. {one.note}")
        )
        if one.changed_since:
            rows.append(("AFTER SIGN-OFF", f"{one.changed_since} breaks appeared, changed or came back in its days"))
        if one.reopened_at is not None:
            rows.append(("REOPENED", f"by {one.reopened_by}, {rfc3339(one.reopened_at)}: {one.reopened_because}"))
    return Section("Run", ("what", "value"), rows)


def _counts(run: reads.Run) -> list[Row]:
    if run.rule_set == INTERNAL:
        return [("movements and wallets", run.internal_lines), ("asked of providers", run.external_lines)]
    return [("lines of the ledger", run.internal_lines), ("lines of files", run.external_lines)]


def _ties(run: reads.Run) -> Section:
    columns = ("side", "party", "currency", "lines", "opening", "movements", "other", "closing", "unexplained", "kinds")
    rows: list[Row] = []
    for one in run.ties:
        currency = one["currency"]
        kinds = ", ".join(f"{name or '-'} {Money(minor, currency)}" for name, minor in one["types"].items())
        amounts = (
            _money(one[f"{name}_minor"], currency)
            for name in ("opening", "movements", "adjusted", "closing", "unexplained")
        )
        rows.append((one["side"], one["party"], currency, one["lines"], *amounts, kinds))
    return Section("Tie-out", columns, rows)


def _totals(run: reads.Run) -> Section:
    columns = (
        *("currency", "ledger", "files", "difference", "of it breaks", "ledger lines", "ledger lines matched"),
        *("file lines", "file lines matched", "rate by count", "rate by value"),
    )
    rows: list[Row] = []
    for currency, one in run.totals.items():
        lines = one["internal_lines"] + one["external_lines"]
        matched = one["internal_matched_lines"] + one["external_matched_lines"]
        rows.append(
            (
                currency,
                *(Money(one[f"{name}_minor"], currency) for name in ("internal", "external", "difference", "breaks")),
                *(one["internal_lines"], one["internal_matched_lines"]),
                *(one["external_lines"], one["external_matched_lines"]),
                *(_percent(matched, lines), _percent(one["matched_turnover_minor"], one["turnover_minor"])),
            )
        )
    return Section("Both sides", columns, rows)


def _passes(passes: Iterable[tuple[str, int, int, int]]) -> Section:
    return Section("Matches", ("pass", "matches", "ledger lines", "file lines"), [*passes])


def _breaks(breaks: Sequence[reads.RunBreak]) -> Section:
    columns = (
        "break",
        "type",
        "difference",
        "currency",
        "day",
        "age",
        "status",
        "owner",
        "due",
        "signed",
        "reason",
        "keys",
    )
    rows: list[Row] = [
        (
            format_id(BREAK, one.break_id.bytes),
            one.type,
            _money(one.difference_minor, one.currency),
            one.currency,
            one.day,
            one.age_days,
            one.status or "",
            one.owner or "",
            one.due_on or "",
            "after sign-off" if one.after_sign_off else "",
            one.reason,
            ", ".join(f"{name} {value}" for name, value in one.keys.items() if value),
        )
        for one in breaks
    ]
    sums: Counter[str] = Counter()
    for one in breaks:
        sums[one.currency] += one.difference_minor
    totals: list[Row] = [("total", "", _money(minor, currency), currency) for currency, minor in sorted(sums.items())]
    return Section("Breaks, the largest first", columns, rows, totals)


def _ageing(breaks: Sequence[reads.RunBreak]) -> Section:
    """Count and value by type, currency and age."""
    counts: defaultdict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    values: Counter[tuple[str, str]] = Counter()
    for one in breaks:
        key = one.type, one.currency
        counts[key][bucket_of(one.age_days).name] += 1
        values[key] += abs(one.difference_minor)
    rows: list[Row] = [
        (
            *key,
            sum(counts[key].values()),
            _money(values[key], key[1]),
            *(counts[key][bucket.name] for bucket in BUCKETS),
        )
        for key in sorted(counts)
    ]
    columns = ("type", "currency", "breaks", "value", *(f"{bucket.name} days" for bucket in BUCKETS))
    return Section("Ageing, in business days", columns, rows)


def _lines(connection: Connection, breaks: Sequence[reads.RunBreak]) -> Section:
    columns = ("break", "file", "line", "element", "booked", "amount", "currency", "description", "as it was sent")
    rows = [(format_id(BREAK, id_.bytes), *_line_cells(line)) for id_, line in _source_lines(connection, breaks)]
    return Section("Lines of files behind the breaks", columns, [*rows])


def _source_lines(connection: Connection, breaks: Sequence[reads.RunBreak]) -> Iterator[tuple[UUID, StoredLine]]:
    told = 0
    for one in breaks:
        for line_id in one.external:
            if told == SOURCE_LINES_MAX:
                return
            line = find_line(connection, line_id)
            if line is not None:
                told += 1
                yield one.break_id, line


def _line_cells(line: StoredLine) -> Row:
    amount = _money(line.amount_minor, line.currency)
    place = (line.file, line.line_number, line.element, date.fromisoformat(line.booked_on))
    return *place, amount, line.currency, line.description, line.raw


def _files(files: Iterable[reads.RunFile]) -> Section:
    columns = ("file", "source", "format", "sha-256", "lines", "told before", "brought at")
    rows: list[Row] = [(*one[:-1], rfc3339(one.brought_at)) for one in files]
    return Section("Files", columns, rows)


def _money(minor: int | None, currency: str) -> Cell:
    return "" if minor is None or not currency else Money(minor, currency)


def _percent(part: int, whole: int) -> str:
    """Two decimals, rounded down: 100.00 % is all of it."""
    ones, rest = divmod(part * 10_000 // whole if whole else 10_000, 100)
    return f"{ones}.{rest:02} %"
