"""One day: does the notification name every payment that the report counts? Pure.

A notification that names less than the report, in no direction more, is cut (`TRUNCATED_SOURCE`): what is missing is
known to the minor unit although nobody can say which payments. Any other difference is one of amounts.
"""

from collections import defaultdict
from enum import StrEnum
from typing import NamedTuple

from reconciliation.matching.breaks import BreakType
from reconciliation.matching.passes.subsets import only_subset
from reconciliation.ties.reading import Detail, Notification, Report, Sum


class Status(StrEnum):
    """Of one day."""

    TIED = "tied"
    BROKEN = "broken"
    SINGLE_SIDED = "single_sided"


class Participant(NamedTuple):
    """A sum of the report, and the payments that make it, where only one set of banks can."""

    participant: str
    debit: bool
    amount_minor: int
    matched: bool
    agents: tuple[str, ...] = ()
    details: int = 0


class Day(NamedTuple):
    """The answer for one date. `type` says why it is broken, or which file is missing."""

    date: str
    status: Status
    type: str = ""
    missing_debit_minor: int = 0
    missing_credit_minor: int = 0
    currency: str = ""
    details: int = 0
    participants: tuple[Participant, ...] = ()
    reason: str = ""
    """Why a file of the day can't be read."""


def unread(date: str, report: Report | None, reason: str) -> Day:
    """A day with a file that can't be read: nothing of it counts, so all is missing that its report counts."""
    debit, credit = (report.total_minor(debit=debit) if report else 0 for debit in (True, False))
    currency = report.currency if report else ""
    return Day(date, Status.BROKEN, BreakType.TRUNCATED_SOURCE, debit, credit, currency, reason=reason)


def tie(date: str, report: Report | None, notification: Notification | None) -> Day:
    """Compare the two of one day; either may be missing, not both."""
    if report is None or notification is None:
        missing = BreakType.MISSING_INTERNAL if report is None else BreakType.MISSING_EXTERNAL
        return Day(date, Status.SINGLE_SIDED, missing, details=len(notification.details) if notification else 0)
    debit, credit = (report.total_minor(debit=debit) - notification.total_minor(debit=debit) for debit in (True, False))
    kind = _kind(report, debit, credit)
    return Day(
        date,
        Status.BROKEN if kind else Status.TIED,
        kind,
        debit,
        credit,
        report.currency,
        len(notification.details),
        () if kind else participants(report, notification),
    )


def _kind(report: Report, missing_debit_minor: int, missing_credit_minor: int) -> str:
    net_minor = report.total_minor(debit=False) - report.total_minor(debit=True)
    if report.opening_minor + net_minor != report.closing_minor:
        return BreakType.UNBALANCED_BATCH
    if missing_debit_minor == missing_credit_minor == 0:
        return ""
    if missing_debit_minor >= 0 and missing_credit_minor >= 0:
        return BreakType.TRUNCATED_SOURCE
    return BreakType.AMOUNT_MISMATCH


def participants(report: Report, notification: Notification) -> tuple[Participant, ...]:
    """Which payments make which sum (N:1), smallest first: what is taken makes the next answer plainer."""
    found: list[Participant] = []
    for debit in (True, False):
        agents = _by_agent(notification, debit=debit)
        sums = [one for one in report.sums if one.debit == debit]
        while sums:
            settled = next(((one, part) for one in _smallest_first(sums) if (part := _part(one, sums, agents))), None)
            if settled is None:
                break
            found.append(_matched(*settled, agents))
            sums.remove(settled[0])
        found += [Participant(*one, matched=False) for one in sums]
    return tuple(sorted(found))


def _smallest_first(sums: list[Sum]) -> list[Sum]:
    return sorted(sums, key=lambda one: (one.amount_minor, one.participant))


def _by_agent(notification: Notification, *, debit: bool) -> dict[str, list[Detail]]:
    agents = defaultdict(list)
    for detail in notification.details:
        if detail.debit == debit:
            agents[detail.agent].append(detail)
    return dict(agents)


def _part(one: Sum, sums: list[Sum], agents: dict[str, list[Detail]]) -> tuple[str, ...] | None:
    """The banks behind one sum: a participant's own payments, and of the banks that are no participants the only
    subset that makes the rest; all that are left where it is the last sum.
    """
    totals = {name: sum(detail.amount_minor for detail in details) for name, details in sorted(agents.items())}
    if len(sums) == 1 and sum(totals.values()) == one.amount_minor:
        return tuple(totals)
    rest_minor = one.amount_minor - totals.get(one.participant, 0)
    own = (one.participant,) if one.participant in totals else ()
    if rest_minor == 0:
        return own
    behind = [name for name in totals if name not in {other.participant for other in sums}]
    subset = only_subset([totals[name] for name in behind], rest_minor)
    return None if subset is None else (*own, *(behind[index] for index in subset))


def _matched(one: Sum, part: tuple[str, ...], agents: dict[str, list[Detail]]) -> Participant:
    details = sum(len(agents.pop(name)) for name in part)
    return Participant(*one, matched=True, agents=part, details=details)
