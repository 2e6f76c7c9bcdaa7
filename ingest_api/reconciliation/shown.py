"""Files, runs and sign-offs as JSON shows them, the same from the command line and over HTTP."""

from typing import Any

import msgspec

from ingest_api.http.resources import rfc3339
from payments.identifiers import format_id
from payments.money import format_minor
from reconciliation.runs import reads as runs
from reconciliation.runs.run import RUN
from reconciliation.runs.signing import SIGN_OFF, SignOff
from reconciliation.store.files import Source, StoredFile, StoredLine
from reconciliation.store.importing import FILE, FileStatus


class ReconciliationSource(msgspec.Struct):
    """Who sends files."""

    source: str
    files: int
    quarantined: int
    lines: int
    newest_at: str | None


class ReconciliationSources(msgspec.Struct):
    """Every source that has sent a file."""

    items: list[ReconciliationSource]


class ReconciliationFile(msgspec.Struct, omit_defaults=True):
    """A file that was brought: `imported`, `refused` (the bytes of `first_import`) or `quarantined` (for `reason`)."""

    id: str
    file: str
    sha256: str
    source: str
    format: str
    status: str
    bytes: int
    lines: int
    repeats: int
    brought_by: str
    brought_at: str
    times: int
    reason: str | None = None
    first_import: str | None = None
    bad_lines: list[Any] = []


class ReconciliationFilePage(msgspec.Struct):
    """Files, newest first. `next_cursor` leads on where `has_more`."""

    items: list[ReconciliationFile]
    has_more: bool
    next_cursor: str | None


class ReconciliationLine(msgspec.Struct):
    """A line of a file. `raw`: the line as it was sent, empty where the format has none."""

    id: str
    file: str
    sha256: str
    line: int
    element: str
    account: str
    amount: str
    amount_minor: int
    currency: str
    booked_on: str
    references: dict[str, str]
    description: str
    type: str
    status: str
    repeat_of: str | None
    raw: str


class ReconciliationRun(msgspec.Struct):
    """A comparison of the ledger with files. Equal inputs have an equal `result_hash`."""

    id: str
    rules: str
    revision: int
    rules_sha256: str
    zone: str
    first_day: str | None
    last_day: str
    as_of: str
    cut_off: str
    internal_lines: int
    external_lines: int
    matches: int
    breaks: int
    totals: dict[str, dict[str, int]]
    ties: list[dict[str, Any]]
    result_hash: str
    run_by: str
    run_at: str
    matches_forgotten_at: str | None
    """Since when its matches are deleted: all else of a run is kept for ever."""
    files: list[dict[str, Any]]
    """Of one run that is looked into; none in a list."""


class ReconciliationRunPage(msgspec.Struct):
    """Runs, newest first. `next_cursor` leads on where `has_more`."""

    items: list[ReconciliationRun]
    has_more: bool
    next_cursor: str | None


class ReconciliationMatch(msgspec.Struct, rename={"pass_": "pass"}):
    """Lines that belong together, and why: `internal` are journals and their legs, `external` lines of files."""

    number: int
    pass_: str
    keys: dict[str, str]
    score: int
    note: str
    amount: str
    currency: str
    internal: list[str]
    external: list[str]


class ReconciliationMatchPage(msgspec.Struct):
    """Matches of a run. `next_cursor` leads on where `has_more`."""

    items: list[ReconciliationMatch]
    has_more: bool
    next_cursor: str | None


class ReconciliationSignOff(msgspec.Struct):
    """A signature under a result. `changed_since`: breaks that appeared, changed or came back in its days."""

    id: str
    run: str
    rules: str
    first_day: str | None
    last_day: str
    result_hash: str
    live_breaks: int
    note: str
    signed_by: str
    signed_at: str
    changed_since: int
    reopened_by: str
    reopened_because: str
    reopened_at: str | None


class ReconciliationSignOffs(msgspec.Struct):
    """The newest first."""

    items: list[ReconciliationSignOff]


def shown_source(one: Source) -> ReconciliationSource:
    """With the time as text."""
    newest = rfc3339(one.newest_at) if one.newest_at else None
    return ReconciliationSource(one.source, one.files, one.quarantined, one.lines, newest)


def shown_file(one: StoredFile) -> ReconciliationFile:
    """As it was brought."""
    return ReconciliationFile(
        id=format_id(FILE, one.file_id.bytes),
        file=one.name,
        sha256=one.sha256,
        source=one.source,
        format=one.format,
        status=FileStatus(one.status).name.lower(),
        bytes=one.bytes,
        lines=one.lines,
        repeats=one.repeats,
        brought_by=one.brought_by,
        brought_at=rfc3339(one.brought_at),
        times=one.times,
        reason=one.reason or None,
        first_import=format_id(FILE, one.first_file.bytes) if one.first_file else None,
        bad_lines=one.bad_lines,
    )


def shown_line(one: StoredLine) -> ReconciliationLine:
    """With its text in the file."""
    return ReconciliationLine(
        id=str(one.line_id),
        file=one.file,
        sha256=one.sha256,
        line=one.line_number,
        element=one.element,
        account=one.account,
        amount=format_minor(one.amount_minor, one.currency),
        amount_minor=one.amount_minor,
        currency=one.currency,
        booked_on=one.booked_on,
        references=one.references,
        description=one.description,
        type=one.type,
        status=one.status,
        repeat_of=str(one.repeat_of) if one.repeat_of is not None else None,
        raw=one.raw,
    )


def shown_run(one: runs.Run, files: list[runs.RunFile]) -> ReconciliationRun:
    """The header."""
    return ReconciliationRun(
        id=format_id(RUN, one.run_id.bytes),
        rules=one.rule_set,
        revision=one.revision,
        rules_sha256=one.rules_sha256,
        zone=one.zone,
        first_day=one.first_day.isoformat() if one.first_day else None,
        last_day=one.last_day.isoformat(),
        as_of=one.as_of.isoformat(),
        cut_off=rfc3339(one.cut_off),
        internal_lines=one.internal_lines,
        external_lines=one.external_lines,
        matches=one.matches,
        breaks=one.breaks,
        totals=one.totals,
        ties=one.ties,
        result_hash=one.result_hash,
        run_by=one.run_by,
        run_at=rfc3339(one.run_at),
        matches_forgotten_at=rfc3339(one.forgotten_at) if one.forgotten_at else None,
        files=[file._asdict() | {"brought_at": rfc3339(file.brought_at)} for file in files],
    )


def shown_match(one: runs.StoredMatch) -> ReconciliationMatch:
    """With the amount as text."""
    amount = format_minor(one.amount_minor, one.currency)
    external = list(map(str, one.external))
    return ReconciliationMatch(
        one.number, one.pass_, one.keys, one.score, one.note, amount, one.currency, one.internal, external
    )


def shown_sign_off(one: SignOff) -> ReconciliationSignOff:
    """A signature and what has happened since."""
    return ReconciliationSignOff(
        id=format_id(SIGN_OFF, one.sign_off_id.bytes),
        run=format_id(RUN, one.run_id.bytes),
        rules=one.rule_set,
        first_day=one.first_day.isoformat() if one.first_day else None,
        last_day=one.last_day.isoformat(),
        result_hash=one.result_hash,
        live_breaks=one.live_breaks,
        note=one.note,
        signed_by=one.signed_by,
        signed_at=rfc3339(one.signed_at),
        changed_since=one.changed_since,
        reopened_by=one.reopened_by,
        reopened_because=one.reopened_because,
        reopened_at=rfc3339(one.reopened_at) if one.reopened_at else None,
    )


RESOURCES = (
    *(ReconciliationSources, ReconciliationFilePage, ReconciliationFile, ReconciliationLine, ReconciliationRunPage),
    *(ReconciliationRun, ReconciliationMatchPage, ReconciliationSignOffs, ReconciliationSignOff),
)
