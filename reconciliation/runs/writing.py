"""Step 3 of a run: header, files, matches and breaks as found, and what they mean for the breaks that live on."""

from typing import Final

import msgspec
from psycopg import Connection, Copy

from reconciliation.breaks import automatic, living
from reconciliation.breaks.ageing import age_days
from reconciliation.runs.rules import ReadRules
from reconciliation.runs.run import Result
from reconciliation.store.importing import json_text

_SUGGESTIONS_MAX: Final = 1_000
_RUN: Final = """
INSERT INTO recon_runs (run_id, rule_set, revision, rules, rules_sha256, zone, calendar, first_day, last_day, as_of,
    cut_off, internal_lines, external_lines, matches, breaks, totals, ties, suggestions, result_hash, run_by)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"""
_FILE: Final = "INSERT INTO recon_run_files VALUES (%s, %s)"
_MATCHES: Final = "COPY recon_matches FROM STDIN"
_BREAKS: Final = "COPY recon_run_breaks FROM STDIN"


def write(connection: Connection, read: ReadRules, result: Result, shards: int) -> living.Changes:
    """In one transaction; what it changed among the living breaks. Raises psycopg.Error."""
    with connection.transaction():
        connection.execute("SET LOCAL statement_timeout = 0")
        lock(connection, read.rules.name)
        connection.execute(_RUN, _header(read, result))
        with connection.cursor() as cursor:
            cursor.executemany(_FILE, [(result.run_id, file) for file, _, _ in result.files])
            with cursor.copy(_MATCHES) as copy:
                _copy_matches(copy, result)
            with cursor.copy(_BREAKS) as copy:
                _copy_breaks(copy, read, result)
        changes = living.apply(connection, read.rules, result)
        return changes._replace(adjusted=automatic.adjust(connection, read.rules, result.run_id, shards))


def lock(connection: Connection, rule_set: str) -> None:
    """Who writes about breaks of a rule set does so alone, until the end of the transaction."""
    connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (f"recon run {rule_set}",))


def holds(connection: Connection, name: str) -> bool:
    """Whether this connection is the one that does what is named, or has just become it; until it ends."""
    row = connection.execute("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", (name,)).fetchone()
    return row is not None and bool(row[0])


def _header(read: ReadRules, result: Result) -> tuple[object, ...]:
    rules, asked, outcome = read.rules, result.asked, result.outcome
    suggested = outcome.suggestions[:_SUGGESTIONS_MAX]
    return (
        *(result.run_id, rules.name, rules.revision, read.text, read.sha256, rules.zone, rules.calendar.value),
        *(asked.first, result.span.last, result.as_of, asked.cut_off),
        *(len(result.sides.internal), len(result.sides.external), len(outcome.matches), len(result.breaks)),
        *(json_text(result.totals), json_text(result.ties), json_text(suggested), result.result_hash, asked.by),
    )


def _copy_matches(copy: Copy, result: Result) -> None:
    for number, one in enumerate(result.outcome.matches):
        # Rows are digits, letters and a slash: written as they are, an array takes a fifth of what its dumper needs.
        ours, theirs = (f"{{{','.join([line.row for line in lines])}}}" for lines in (one.internal, one.external))
        amount_minor = sum(line.amount_minor for line in one.internal)
        keys = msgspec.json.encode(one.keys).decode()
        told = (one.pass_, keys, one.score, one.note, amount_minor, one.internal[0].currency)
        copy.write_row((result.run_id, number, *told, ours, theirs))


def _copy_breaks(copy: Copy, read: ReadRules, result: Result) -> None:
    for one in result.breaks:
        broken = one.broken
        age = age_days(one.day, result.as_of, read.rules.calendar)
        told = (broken.type.value, broken.reason, json_text(broken.keys), int(broken.difference), broken.currency)
        copy.write_row((result.run_id, one.break_id, *told, one.day, age, one.internal, one.external))
