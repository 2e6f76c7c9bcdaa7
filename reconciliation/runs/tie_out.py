"""What ties, by party and currency, and what the breaks leave to explain. Reads sums; the rest is pure.

Each row is one side: opening + movements + adjustments = closing, each of which comes from another query than the lines
that were matched. A row without balances (payments, reports that state none) proves nothing.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, Final
from uuid import UUID

from msgspec import Struct
from psycopg import Connection

from reconciliation.matching.balances import Balance, accounted, unproven
from reconciliation.matching.breaks import BreakType
from reconciliation.matching.controls import Control
from reconciliation.matching.lines import Line
from reconciliation.matching.results import Break, Outcome
from reconciliation.runs.rules import RunRules
from reconciliation.runs.sides import Sides, Span, system_accounts

INTRADAY: Final = ("camt052", "mt942")
"""Formats that tell a part of a day: their balances do not follow each other."""

_LEDGER: Final = """
SELECT account_id,
    coalesce(sum(-amount_minor) FILTER (WHERE day < %(first)s), 0)::bigint,
    coalesce(sum(-amount_minor) FILTER (WHERE day >= %(first)s AND adjusts), 0)::bigint,
    coalesce(sum(-amount_minor), 0)::bigint
FROM (
    SELECT leg.account_id, leg.amount_minor, (leg.posted_at AT TIME ZONE %(zone)s)::date AS day,
        EXISTS (SELECT FROM causes WHERE operation_id = leg.journal_id AND starts_with(code, 'brk_'))
            OR EXISTS (SELECT FROM recon_proposals AS adjusts WHERE adjusts.journal_id = leg.journal_id)
            OR (NOT %(net)s AND EXISTS (
                SELECT FROM causes WHERE operation_id = leg.journal_id AND code = 'provider_fee'
            )) AS adjusts
    FROM account_legs AS leg WHERE leg.account_id = ANY(%(accounts)s) AND leg.posted_at < %(cut_off)s
) AS leg WHERE day <= %(last)s GROUP BY account_id"""
_STATEMENTS: Final = """
SELECT file.name, file.format, statement.source, statement.account, statement.currency, opening_minor, closing_minor,
    coalesce(to_day, told.day) AS day, told.day AS mode_day, told.sum_minor, told.lines, control_totals,
    encode(file.sha256, 'hex') AS sha256, number
FROM recon_statements AS statement JOIN recon_files AS file USING (file_id)
CROSS JOIN LATERAL (
    SELECT coalesce(sum(amount_minor) FILTER (WHERE status IN ('', 'BOOK')), 0)::bigint AS sum_minor,
        count(*) AS lines, mode() WITHIN GROUP (ORDER BY booked_on) AS day
    FROM recon_lines AS line WHERE line.statement_id = statement.statement_id
) AS told
WHERE statement.source = ANY(%(sources)s) {wanted}
ORDER BY statement.source COLLATE "C", statement.account COLLATE "C", statement.currency COLLATE "C", day,
    file.name COLLATE "C", file.sha256, number"""
_UNTIL: Final = """AND file.brought_at < %(cut_off)s AND coalesce(to_day, told.day) BETWEEN %(first)s AND %(last)s"""
_OF_FILES: Final = "AND file.file_id = ANY(%(files)s)"


class Tie(Struct, frozen=True):
    """One account of one side. `unexplained_minor` is what opening, movements and adjustments lack of the closing."""

    side: str
    party: str
    currency: str
    lines: int
    opening_minor: int | None
    movements_minor: int
    adjusted_minor: int
    closing_minor: int | None
    unexplained_minor: int | None
    types: dict[str, int]
    """Movements by kind of line: charges, fees, refunds, chargebacks as the source calls them."""


class Total(Struct, frozen=True):
    """One currency: what is matched and what is open, in lines and minor units, and the rest of the difference."""

    internal_lines: int
    internal_matched_lines: int
    external_lines: int
    external_matched_lines: int
    internal_minor: int
    internal_matched_minor: int
    external_minor: int
    external_matched_minor: int
    difference_minor: int
    breaks_minor: int
    turnover_minor: int
    """Of both sides without signs; the part of it that is matched is the match rate by value."""
    matched_turnover_minor: int


class Stated(Struct, frozen=True):
    """One statement of a file, and what its lines say."""

    file: str
    format: str
    source: str
    account: str
    currency: str
    opening_minor: int | None
    closing_minor: int | None
    day: Any
    mode_day: Any
    sum_minor: int
    lines: int
    control_totals: list[dict[str, Any]]
    sha256: str = ""
    number: int = 0

    @property
    def place(self) -> tuple[object, ...]:
        """The order of all statements."""
        return self.source, self.account, self.currency, self.day, self.file, self.sha256, self.number

    @property
    def party(self) -> str:
        """As lines name it."""
        return f"{self.source} {self.account}".strip()

    @property
    def is_balanced_day(self) -> bool:
        """Whether it states both balances of whole days."""
        return None not in (self.opening_minor, self.closing_minor) and self.format not in INTRADAY

    @property
    def missing_minor(self) -> int:
        """Of the first total that is not made; banks and providers put sums before counts."""
        return next((one["stated"] - one["actual"] for one in self.control_totals if one["stated"] != one["actual"]), 0)


def read_statements(connection: Connection, rules: RunRules, span: Span) -> list[Stated]:
    """Statements of the sources whose days are in the span."""
    return _statements(connection, rules, _UNTIL, span._asdict())


def statements_of(connection: Connection, rules: RunRules, files: Sequence[UUID]) -> list[Stated]:
    """Those of these files, whatever their days."""
    return _statements(connection, rules, _OF_FILES, {"files": list(files)})


def _statements(connection: Connection, rules: RunRules, wanted: str, named: dict[str, Any]) -> list[Stated]:
    query = _STATEMENTS.format(wanted=wanted).encode()
    return [Stated(*row) for row in connection.execute(query, named | {"sources": rules.statements.sources})]


def controls_of(statements: Iterable[Stated], rules: RunRules) -> list[Control]:
    """Files that have less than their own totals. Several of one name are told apart by a number."""
    told: Counter[str] = Counter()
    found = []
    for one in statements:
        if one.missing_minor and one.lines:
            told[one.file] += 1
            name = one.file if told[one.file] == 1 else f"{one.file} ({told[one.file]})"
            found.append(Control(name, rules.name, one.currency, one.mode_day or one.day, one.missing_minor))
    return found


def unproven_statements(statements: Iterable[Stated], rules: RunRules) -> list[Break[Line]]:
    """Statements that do not add up, or do not follow each other; what is cut has its own break."""
    made = [one for one in statements if one.is_balanced_day]
    cut = {(one.party, one.day.isoformat()) for one in made if one.missing_minor}
    proof = unproven(
        (
            Balance(one.party, one.currency, one.day, one.opening_minor or 0, one.sum_minor, one.closing_minor or 0)
            for one in made
        ),
        rules.calendar,
    )
    return [
        one
        for one in proof
        if one.type is not BreakType.UNBALANCED_BATCH or (one.keys["account"], one.keys["date"]) not in cut
    ]


def ties_of(connection: Connection, rules: RunRules, span: Span, sides: Sides, statements: list[Stated]) -> list[Tie]:
    """A row for each account and currency of both sides."""
    moved = _moved(sides, span)
    return sorted(
        [*_ledger(connection, rules, span, moved), *_stated(statements, moved)],
        key=lambda one: (one.side, one.party, one.currency),
    )


class _Moved(Struct):
    """What the lines of one party and currency come to."""

    lines: int
    minor: int
    types: Counter[str]


Parties = dict[tuple[str, str, str], _Moved]


def _moved(sides: Sides, span: Span) -> Parties:
    found: Parties = {}
    for side, lines in (("internal", sides.internal), ("external", sides.external)):
        for line in lines:
            if span.first <= line.date <= span.last:
                key = side, line.party, line.currency
                moved = found.get(key)
                if moved is None:
                    moved = found[key] = _Moved(0, 0, Counter())
                moved.lines += 1
                moved.minor += line.amount_minor
                moved.types[line.type] += line.amount_minor
    return found


def _ledger(connection: Connection, rules: RunRules, span: Span, moved: Parties) -> list[Tie]:
    accounts = system_accounts(rules.books)
    is_net = rules.statements.amount == "net"
    named = span._asdict() | {"zone": rules.zone, "accounts": [account.hex() for account in accounts], "net": is_net}
    sums = {accounts[row[0].bytes]: row[1:] for row in connection.execute(_LEDGER, named)} if accounts else {}
    names = sums.keys() | {(party, currency) for side, party, currency in moved if side == "internal"}
    ties = []
    for party, currency in names:
        opening, adjusted, closing = sums.get((party, currency), (None, 0, None))
        ties.append(_tie("internal", party, currency, moved, (opening, adjusted, closing)))
    return ties


def _stated(statements: list[Stated], moved: Parties) -> list[Tie]:
    """The first opening and the last closing of each account; what lies between is what its statements list."""
    of_account: defaultdict[tuple[str, str], list[Stated]] = defaultdict(list)
    for one in statements:
        of_account[one.party, one.currency].append(one)
    for side, party, currency in moved:
        if side == "external":
            of_account.setdefault((party, currency), [])
    return [
        _tie("external", party, currency, moved, _frame([one for one in listed if one.is_balanced_day], moved))
        for (party, currency), listed in of_account.items()
    ]


def _frame(listed: list[Stated], moved: Parties) -> tuple[int | None, int, int | None]:
    """`adjusted`: what statements list and the matcher does not look at, such as payouts."""
    if not listed:
        return None, 0, None
    first, last = listed[0], listed[-1]
    looked_at = moved.get(("external", first.party, first.currency))
    left_out = sum(one.sum_minor for one in listed) - (looked_at.minor if looked_at else 0)
    return first.opening_minor, left_out, last.closing_minor


def _tie(side: str, party: str, currency: str, moved: Parties, frame: tuple[int | None, int, int | None]) -> Tie:
    own = moved.get((side, party, currency)) or _Moved(0, 0, Counter())
    opening, adjusted, closing = frame
    rest = None if opening is None or closing is None else closing - opening - own.minor - adjusted
    return Tie(
        side, party, currency, own.lines, opening, own.minor, adjusted, closing, rest, dict(sorted(own.types.items()))
    )


def totals_of(outcome: Outcome[Line]) -> dict[str, Total]:
    """By currency: the difference of both sides is that of the breaks and of what tolerances allowed."""
    lines: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for word, found in (("matched", outcome.matches), ("open", outcome.breaks)):
        for one in found:
            for side, told in (("internal", one.internal), ("external", one.external)):
                for line in told:
                    lines[line.currency][f"{side} {word}"] += 1
                    lines[line.currency][word] += abs(line.amount_minor)
    differences: Counter[str] = Counter()
    for broken in outcome.breaks:  # line by line: what came in another currency is missing in one and too much there
        for sign, told in ((1, broken.internal), (-1, broken.external)):
            for line in told:
                differences[line.currency] += sign * line.amount_minor
    return {
        currency: _total(lines[currency], sums, differences[currency]) for currency, sums in accounted(outcome).items()
    }


def _total(count: Counter[str], sums: tuple[int, int, int, int], breaks_minor: int) -> Total:
    ours, ours_open, theirs, theirs_open = sums
    return Total(
        internal_lines=count["internal matched"] + count["internal open"],
        internal_matched_lines=count["internal matched"],
        external_lines=count["external matched"] + count["external open"],
        external_matched_lines=count["external matched"],
        internal_minor=ours + ours_open,
        internal_matched_minor=ours,
        external_minor=theirs + theirs_open,
        external_matched_minor=theirs,
        difference_minor=ours + ours_open - theirs - theirs_open,
        breaks_minor=breaks_minor,
        turnover_minor=count["matched"] + count["open"],
        matched_turnover_minor=count["matched"],
    )
