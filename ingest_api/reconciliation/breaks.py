"""/reconciliation/breaks and /reconciliation/adjustments: what does not tie, and what people do about it."""

import base64
import binascii
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Query, Request, Response
from psycopg import Connection
from pydantic import BaseModel, Field

from ingest_api.http.bodies import decoded
from ingest_api.http.call import Answer, Call
from ingest_api.http.preferences import DEFAULT_WAIT_S
from ingest_api.http.resources import encode
from ingest_api.http.serving import BODY_BYTES_MAX, JSON_MEDIA, admit, respond, show
from ingest_api.identity.tokens import Principal, Scope
from ingest_api.journals.shown import asked_legs
from ingest_api.problems import Fault, FieldError, field_problem
from ingest_api.reads.database import NO_NUL
from ingest_api.reconciliation import cursors
from ingest_api.reconciliation.bodies import AdjustmentBody, AttachmentBody, BreakStepBody
from ingest_api.reconciliation.describing import described, described_bytes
from ingest_api.reconciliation.desk import at_the_desk, id_of, known, taken
from ingest_api.reconciliation.shown_breaks import (
    ATTACHMENT,
    ReconciliationBreakDetail,
    ReconciliationBreakPage,
    WaitingAdjustments,
    shown_adjustment,
    shown_break,
    shown_in_full,
)
from ingest_api.services import Services
from ingest_api.submission import record_headers
from payments.entries import EntryKind
from payments.rejections import Reason
from reconciliation.breaks import desk, posting, reads
from reconciliation.breaks.ageing import BUCKETS, days_of
from reconciliation.breaks.desk import ATTACHMENT_BYTES_MAX, Deed, File, Proposal
from reconciliation.breaks.listing import list_breaks, one_break
from reconciliation.breaks.machine import Kind, Refusal, Status
from reconciliation.breaks.posting import ToPost
from reconciliation.breaks.reads import LIST_MAX, Wanted
from reconciliation.matching.breaks import BreakType
from reconciliation.matching.calendars import Calendar
from reconciliation.runs.sides import BREAK

router = APIRouter(tags=["reconciliation"])

ADJUSTMENTS_MAX: Final = 500
_ATTACHMENT_BODY_MAX: Final = ATTACHMENT_BYTES_MAX * 4 // 3 + BODY_BYTES_MAX
_APPROVING: Final = {"approve", "reject", "post"}

Bucket = Literal["0-1", "2-3", "4-7", "8-30", "31-60", "61-90", ">90"]
Step = Callable[[Connection], Status | Refusal]


class BreakQuery(BaseModel, extra="forbid"):
    """Query of the breaks."""

    order: Literal["value", "age"] = "value"
    rules: str = Field("", max_length=100, pattern=NO_NUL, description="Name of a rule set")
    type: BreakType | None = None
    status: Status | None = Field(None, description="By default all that nobody has dealt with")
    owner: str = Field("", max_length=100, pattern=NO_NUL)
    currency: str = Field("", max_length=3, pattern=NO_NUL)
    age: Bucket | None = Field(None, description="Business days, by TARGET")
    after_sign_off: bool = False
    limit: int = Field(100, ge=1, le=LIST_MAX)
    cursor: str | None = Field(None, max_length=200, description="next_cursor of the page before, in the same order")

    def wanted(self, today: date) -> Wanted:
        """What is asked of the table."""
        bucket = next((bucket for bucket in BUCKETS if bucket.name == self.age), None)
        oldest, youngest = days_of(bucket, today, Calendar.TARGET) if bucket is not None else (None, None)
        return Wanted(
            self.order,
            self.rules,
            self.type or "",
            self.status or "",
            self.owner,
            self.currency,
            oldest,
            youngest,
            self.after_sign_off,
        )


async def _page(services: Services, query: BreakQuery) -> ReconciliationBreakPage:
    kind = int if query.order == "value" else date
    at = cursors.decode(query.cursor, kind) if query.cursor is not None else None
    after = (at[0], at[1]) if at is not None and isinstance(at[0], int | date) else None

    def look(connection: Connection) -> ReconciliationBreakPage:
        wanted = query.wanted(date.today())
        found = list_breaks(connection, wanted, query.limit + 1, datetime.now(UTC), after)
        items = [shown_break(one) for one in found[: query.limit]]
        if len(found) <= query.limit:
            return ReconciliationBreakPage(items, False, None)
        last = found[query.limit - 1].row
        place = abs(last.difference_minor) if query.order == "value" else last.day
        return ReconciliationBreakPage(items, True, cursors.encode(place, last.break_id))

    return await at_the_desk(services.settings, look)


def _detail(connection: Connection, break_id: str) -> ReconciliationBreakDetail:
    posting.settle(connection)
    found = one_break(connection, id_of(BREAK, break_id, Fault.BREAK_UNKNOWN), datetime.now(UTC))
    if found is None:
        taken(Refusal.UNKNOWN)
    return shown_in_full(connection, known(found))


async def step(services: Services, call: Call, break_id: str) -> Answer:
    """One deed about a break; an approved adjustment is posted at once."""
    principal = admit(services, call, Scope.RECONCILIATION_WRITE, JSON_MEDIA, 1)
    body: BreakStepBody = decoded(BreakStepBody, await call.body(BODY_BYTES_MAX))
    if body.action in _APPROVING:
        services.tokens.principal(call.header(b"authorization"), Scope.RECONCILIATION_APPROVE)
    if body.action == "assign" and not body.owner.strip():
        raise field_problem(FieldError("/owner", Fault.FIELD_MISSING, "Name who deals with it."))
    id_ = id_of(BREAK, break_id, Fault.BREAK_UNKNOWN)
    deed = Deed(principal.subject, body.because)
    steps: dict[str, Step] = {
        "assign": lambda connection: desk.assign(connection, id_, body.owner, deed),
        "comment": lambda connection: desk.comment(connection, id_, deed),
        "reopen": lambda connection: desk.reopen(connection, id_, deed),
        "approve": lambda connection: desk.approve(connection, id_, deed, services.settings.shards),
        "reject": lambda connection: desk.reject(connection, id_, deed),
        "withdraw": lambda connection: desk.withdraw(connection, id_, deed),
    }
    if body.action in steps:
        taken(await at_the_desk(services.settings, steps[body.action]))
    if body.action in {"approve", "post"}:
        await _post(services, call, break_id)
    return await _done(services, call, principal, body.action, break_id)


async def _post(services: Services, call: Call, break_id: str) -> None:
    """Send the journal and take over what is said of it. Raises QueueFull, DeliveryUnknown: `post` sends it again."""
    id_ = id_of(BREAK, break_id, Fault.BREAK_UNKNOWN)

    def waiting(connection: Connection) -> ToPost | None:
        posting.settle(connection)
        return next((one for one in posting.to_post(connection) if one.break_id == id_), None)

    to_post = await at_the_desk(services.settings, waiting)
    if to_post is None:
        return
    headers = record_headers(call.request_id, call.header(b"traceparent"))
    (outcome,) = await services.submission.instruct([to_post.asked], DEFAULT_WAIT_S, headers)
    reply = outcome.reply
    if reply is None or reply.kind is EntryKind.REPLAYED:
        return
    if reply.kind is EntryKind.JOURNAL_POSTED or reply.reason is not Reason.NONE:
        refusal = "" if reply.reason is Reason.NONE else str(reply.reason)
        await at_the_desk(services.settings, lambda desk_: desk.settled(desk_, id_, refusal, posting.LEDGER))


async def propose(services: Services, call: Call, break_id: str) -> Answer:
    """What should be done about a break; a second person decides."""
    principal = admit(services, call, Scope.RECONCILIATION_WRITE, JSON_MEDIA, 1)
    body: AdjustmentBody = decoded(AdjustmentBody, await call.body(BODY_BYTES_MAX))
    legs = asked_legs(body.legs)
    if isinstance(legs, FieldError):
        raise field_problem(legs)
    id_ = id_of(BREAK, break_id, Fault.BREAK_UNKNOWN)
    proposal, deed = Proposal(Kind(body.kind), body.reason_code, legs), Deed(principal.subject, body.because)
    taken(await at_the_desk(services.settings, lambda connection: desk.propose(connection, id_, proposal, deed)))
    return await _done(services, call, principal, "propose", break_id)


async def attach(services: Services, call: Call, break_id: str) -> Answer:
    """Put a document to a break."""
    principal = admit(services, call, Scope.RECONCILIATION_WRITE, JSON_MEDIA, 1)
    body: AttachmentBody = decoded(AttachmentBody, await call.body(_ATTACHMENT_BODY_MAX))
    try:
        content = base64.b64decode(body.content_base64, validate=True)
    except (ValueError, binascii.Error):
        raise field_problem(FieldError("/content_base64", Fault.FIELD_INVALID, "Send base64 (RFC 4648).")) from None
    id_ = id_of(BREAK, break_id, Fault.BREAK_UNKNOWN)
    file, deed = File(body.name, body.media_type, content), Deed(principal.subject, body.because)
    taken(await at_the_desk(services.settings, lambda connection: desk.attach(connection, id_, file, deed)))
    return await _done(services, call, principal, "attach", break_id)


async def _done(services: Services, call: Call, principal: Principal, action: str, break_id: str) -> Answer:
    shown = await at_the_desk(services.settings, lambda connection: _detail(connection, break_id))
    await services.audit.record(
        *(principal.subject, f"reconciliation.{action}", shown.id),
        request_id=call.request_id,
        after={"status": shown.status, "because": shown.trail[-1].because},
    )
    return Answer(200, encode(shown))


async def download(services: Services, call: Call, break_id: str, attachment_id: str) -> Answer:
    """What is attached, never shown by a browser as a page of ours."""
    services.tokens.principal(call.header(b"authorization"), Scope.RECONCILIATION_READ)
    ids = id_of(BREAK, break_id, Fault.BREAK_UNKNOWN), id_of(ATTACHMENT, attachment_id)
    _, _, content = known(await at_the_desk(services.settings, lambda connection: reads.content_of(connection, *ids)))
    return Answer(200, content, [(b"content-disposition", b"attachment")], b"application/octet-stream")


@router.get("/reconciliation/breaks", **described("Breaks", Scope.RECONCILIATION_READ, ReconciliationBreakPage))
async def get_breaks(request: Request, query: Annotated[BreakQuery, Query()]) -> Response:
    """What does not tie, the largest or the oldest first; at most 10,000 at once."""
    return await show(request, Scope.RECONCILIATION_READ, lambda services, _: _page(services, query))


@router.get(
    "/reconciliation/breaks/{break_id}", **described("One break", Scope.RECONCILIATION_READ, ReconciliationBreakDetail)
)
async def get_break(request: Request, break_id: str) -> Response:
    """With the lines of the files as they were sent, its trail, what was proposed and what is attached."""

    async def look(services: Services, _: Principal) -> ReconciliationBreakDetail:
        return await at_the_desk(services.settings, lambda connection: _detail(connection, break_id))

    return await show(request, Scope.RECONCILIATION_READ, look)


@router.post(
    "/reconciliation/breaks/{break_id}/steps",
    **described("Do something about a break", Scope.RECONCILIATION_WRITE, ReconciliationBreakDetail, BreakStepBody),
)
async def post_step(request: Request, break_id: str) -> Response:
    """Approve, reject and post need `reconciliation:approve`, too. Who approves is never who proposed."""
    return await respond(request, lambda services, call: step(services, call, break_id))


@router.post(
    "/reconciliation/breaks/{break_id}/adjustments",
    **described("Propose an adjustment", Scope.RECONCILIATION_WRITE, ReconciliationBreakDetail, AdjustmentBody),
)
async def post_adjustment(request: Request, break_id: str) -> Response:
    """A journal that balances, or an explanation; nothing moves before a second person approves it."""
    return await respond(request, lambda services, call: propose(services, call, break_id))


@router.post(
    "/reconciliation/breaks/{break_id}/attachments",
    **described("Attach a document", Scope.RECONCILIATION_WRITE, ReconciliationBreakDetail, AttachmentBody),
)
async def post_attachment(request: Request, break_id: str) -> Response:
    """At most 1 MiB, and ten of them."""
    return await respond(request, lambda services, call: attach(services, call, break_id))


@router.get(
    "/reconciliation/breaks/{break_id}/attachments/{attachment_id}",
    **described_bytes("One document", Scope.RECONCILIATION_READ, ReconciliationBreakDetail, "application/octet-stream"),
)
async def get_attachment(request: Request, break_id: str, attachment_id: str) -> Response:
    """Its bytes, to be saved."""
    return await respond(request, lambda services, call: download(services, call, break_id, attachment_id))


@router.get(
    "/reconciliation/adjustments",
    **described("What waits for approval", Scope.RECONCILIATION_READ, WaitingAdjustments),
)
async def get_adjustments(request: Request) -> Response:
    """The oldest first; those of a break are shown with it, whatever became of them."""

    async def look(services: Services, _: Principal) -> WaitingAdjustments:
        found = await at_the_desk(services.settings, lambda desk_: reads.waiting_proposals(desk_, ADJUSTMENTS_MAX))
        return WaitingAdjustments([shown_adjustment(one, break_id) for break_id, one in found])

    return await show(request, Scope.RECONCILIATION_READ, look)
