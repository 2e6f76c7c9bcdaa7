"""What an internal run leaves: its header, its findings as breaks, and in their trail how they were repaired."""

import hashlib
from datetime import date, timedelta
from typing import Final
from uuid import UUID

import msgspec
from psycopg import Connection

from reconciliation.breaks import desk, living
from reconciliation.breaks.ageing import age_days
from reconciliation.breaks.desk import Deed
from reconciliation.breaks.identity import break_id
from reconciliation.internal.findings import KINDS, Finding, Severity
from reconciliation.internal.run import Result
from reconciliation.internal.windows import AT_THE_PROVIDER, EXECUTING, IN_FLIGHT, LOOKUP_LAG, UNASKED
from reconciliation.matching.calendars import Calendar
from reconciliation.matching.lines import Line
from reconciliation.matching.results import Break
from reconciliation.runs.rules import INTERNAL, BreakRules, RunRules, Statements
from reconciliation.runs.run import Found
from reconciliation.runs.writing import lock
from reconciliation.store.importing import json_text

REVISION: Final = 1
"""Of the comparison: counted up with every change of what is found."""

_SLA_DAYS: Final = {Severity.HIGH: 0, Severity.MEDIUM: 1, Severity.LOW: 5}
RULES: Final = RunRules(
    version=1,
    name=INTERNAL,
    revision=REVISION,
    calendar=Calendar.EVERY_DAY,
    statements=Statements(sources=[INTERNAL]),
    breaks=BreakRules(sla_days={type_: _SLA_DAYS[kind.severity] for type_, kind in KINDS.items()}),
)
"""Payments are made on every day, so breaks age by every day: a wrong one is due on the day on which it is found."""

_RUN: Final = """
INSERT INTO recon_runs (run_id, rule_set, revision, rules, rules_sha256, zone, calendar, first_day, last_day,
    as_of, cut_off, internal_lines, external_lines, matches, breaks, totals, ties, suggestions, result_hash, run_by)
VALUES (%s, %s, %s, %s, %s, %s, %s, NULL, %s, %s, %s, %s, %s, %s, %s, %s, '[]', '[]', %s, %s)"""
_BREAK: Final = """
INSERT INTO recon_run_breaks (run_id, break_id, type, reason, keys, difference_minor, currency, day, age_days, internal,
    external)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, '{}')"""
_FINDING: Final = """
INSERT INTO recon_findings (break_id, subject_id, severity, repair, legs, attempt, ledger_shard, ledger_offset,
    entry_index)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (break_id) DO UPDATE SET severity = EXCLUDED.severity, repair = EXCLUDED.repair, legs = EXCLUDED.legs,
    attempt = EXCLUDED.attempt, ledger_shard = EXCLUDED.ledger_shard, ledger_offset = EXCLUDED.ledger_offset,
    entry_index = EXCLUDED.entry_index"""
_ENDED: Final = """
SELECT ended.break_id, max(inquiry.attempt), max(request.outcome), max(request.provider_reference)
FROM recon_breaks AS ended
JOIN recon_inquiries AS inquiry USING (break_id)
JOIN provider_requests AS request USING (request_id)
WHERE ended.rule_set = %s AND ended.status = 'closed' AND ended.changed_at = now() AND NOT request.is_open
    AND inquiry.sent_at IS NOT NULL AND inquiry.attempt <= request.attempt
GROUP BY ended.break_id"""


def write(connection: Connection, result: Result) -> living.Changes:
    """In one transaction; what it changed among the living breaks. Raises psycopg.Error."""
    found = [_found(one) for one in result.findings]
    as_of, cut_off = _as_of(result), result.asked.now - IN_FLIGHT
    with connection.transaction():
        lock(connection, INTERNAL)
        connection.execute(_RUN, _header(result))
        with connection.cursor() as cursor:
            cursor.executemany(_BREAK, [_row(result.run_id, one, as_of) for one in found])
        if living.looks_back(connection, RULES, cut_off, result.run_id):
            return living.Changes()
        said = living.Said(result.asked.by, result.run_id, as_of, date.min, as_of, found)
        changes = living.take_over(connection, RULES, said)
        with connection.cursor() as cursor:
            rows = zip(found, result.findings, strict=True)
            cursor.executemany(_FINDING, [_finding_row(one.break_id, finding) for one, finding in rows])
        _tell_how_repaired(connection, result.asked.by)
        return changes


def id_of(finding: Finding) -> UUID:
    """The break that this is, in every run."""
    return break_id(INTERNAL, finding.type, {}, [_about(finding)], [])


def _about(finding: Finding) -> str:
    return f"{finding.subject.hex}/{finding.aspect}"


def _found(finding: Finding) -> Found:
    broken: Break[Line] = Break(
        finding.type, finding.reason, finding.evidence, finding.difference_minor, finding.currency, (), ()
    )
    return Found(id_of(finding), broken, finding.day, [_about(finding)], [])


def _as_of(result: Result) -> date:
    return (result.asked.now - timedelta(microseconds=1)).date()


def _header(result: Result) -> tuple[object, ...]:
    text = _policy()
    as_of, checked = _as_of(result), result.movements + result.wallets
    broken = len({one.subject for one in result.findings})
    return (
        *(result.run_id, INTERNAL, REVISION, text, hashlib.sha256(text.encode()).digest(), RULES.zone),
        *(RULES.calendar.value, as_of, as_of, result.asked.now - IN_FLIGHT, checked, result.providers_asked),
        *(checked - broken, len(result.findings), json_text({}), result.result_hash, result.asked.by),
    )


def _policy() -> str:
    """What the run went by, kept with it as the rules of other runs are."""
    windows = {
        "in_flight": IN_FLIGHT,
        "unasked": UNASKED,
        "lookup_lag": LOOKUP_LAG,
        "executing": {operation.name.lower(): window for operation, window in EXECUTING.items()},
        "at_the_provider": {operation.name.lower(): window for operation, window in AT_THE_PROVIDER.items()},
    }
    return msgspec.json.encode({"name": INTERNAL, "revision": REVISION, "windows": windows}).decode()


def _row(run_id: UUID, one: Found, as_of: date) -> tuple[object, ...]:
    broken = one.broken
    told = (broken.type.value, broken.reason, json_text(broken.keys), int(broken.difference), broken.currency)
    return run_id, one.break_id, *told, one.day, age_days(one.day, as_of, RULES.calendar), one.internal


def _finding_row(id_: UUID, finding: Finding) -> tuple[object, ...]:
    legs = json_text([(account.hex, minor, currency) for account, minor, currency in finding.legs])
    place = finding.asked_in if finding.asked_in is not None else (None, None, None)
    return id_, finding.subject, finding.severity.value, finding.repair.value, legs, finding.attempt, *place


def _tell_how_repaired(connection: Connection, by: str) -> None:
    """In the trail of each break that this run has closed and an inquiry had repaired."""
    for id_, attempt, outcome, reference in connection.execute(_ENDED, (INTERNAL,)).fetchall():
        named = f" ({reference})" if reference else ""
        desk.comment(connection, id_, Deed(by, f"repaired by inquiry: attempt {attempt} was answered {outcome}{named}"))
