"""POST /ledger and /ledger/splits: a journal, all or nothing. The account of its first leg coordinates, and is the
scope of its key.
"""

from ingest_api.account_changes.asking import is_replay
from ingest_api.account_changes.changing import key_of
from ingest_api.http.bodies import decoded
from ingest_api.http.call import Answer, Call
from ingest_api.http.preferences import required_key
from ingest_api.http.resources import rfc3339, rfc3339_of_us
from ingest_api.http.serving import BODY_BYTES_MAX, JSON_MEDIA, admit
from ingest_api.identity.tokens import Principal, Scope
from ingest_api.instructions.asking import answer, ask, refusal, require_taken, reused
from ingest_api.journals.reads import FoundJournal, find_journal
from ingest_api.journals.shown import Asked, Journal, JournalBody, asked_journal, shown_legs
from ingest_api.owners.rights import Action
from ingest_api.problems import Fault, FieldError, Problem, field_problem
from ingest_api.reads.settled import look_until
from ingest_api.services import Services
from ingest_api.submission import Outcome
from payments.entries import EntryKind
from payments.identifiers import JOURNAL, PAYMENT, format_id, parse_id
from payments.items.details import Posting
from payments.movements.instructions import Envelope, PostJournal
from payments.rejections import Reason

_PLAIN_LEGS = 2


async def post_journal(services: Services, call: Call) -> Answer:
    """Post a journal of any legs."""
    key = admitted(services, call)
    asked = asked_journal(decoded(JournalBody, await call.body(BODY_BYTES_MAX)))
    if isinstance(asked, FieldError):
        raise field_problem(asked)
    return await post_legs(services, call, key, asked)


def admitted(services: Services, call: Call) -> str:
    """The key of a call of somebody who may post journals. Raises Problem."""
    admit(services, call, Scope.LEDGER_WRITE, JSON_MEDIA, 1)
    return required_key(call.header(b"idempotency-key"))


async def post_legs(services: Services, call: Call, key: str, journal: Asked) -> Answer:
    """Post them, all or none. Raises Problem."""
    envelope = Envelope(key_of("journal", key), description=journal.description)
    asked = PostJournal(envelope=envelope, legs=journal.legs, code=journal.reason)
    (outcome,), headers = await ask(services, call, [asked])
    await require_taken(services, outcome, headers)
    replayed = is_replay(outcome)
    found = await _earlier(services, outcome) if replayed else None
    if found is not None and found.legs != asked.legs:
        raise reused()
    if found is not None and found.refusal is not Reason.NONE:
        raise refusal(found.refusal, headers, replayed=replayed)
    shown = _asked(asked, outcome) if found is None else _shown(outcome.operation_id, found, list(found.legs))
    return answer(shown, f"/v1/journals/{shown.id}", headers, done=shown.status == "posted", replayed=replayed)


async def _earlier(services: Services, outcome: Outcome) -> FoundJournal | None:
    return await look_until(
        outcome.deadline,
        lambda: find_journal(services.database, outcome.operation_id),
        lambda journal: journal.is_final,
    )


def _asked(asked: PostJournal, outcome: Outcome) -> Journal:
    """A journal that Postgres does not have yet, as its reply tells it."""
    reply = outcome.reply
    posted = reply is not None and reply.kind is EntryKind.JOURNAL_POSTED
    return Journal(
        id=format_id(JOURNAL, outcome.operation_id),
        status="posted" if posted else "received",
        legs=shown_legs(asked.legs),
        description=asked.envelope.description,
        reason=asked.code,
        code=None,
        opened_at=None,
        posted_at=rfc3339_of_us(reply.decided_at_us) if reply is not None and posted else None,
    )


async def known_journal(services: Services, principal: Principal, journal_id: str) -> Journal:
    """A journal, by its own id or its payment's, with the legs that the principal may look at: all of a journal of two
    legs, since each party of a payment knows the other. Raises Problem, DatabaseUnavailable.
    """
    parsed = parse_id(JOURNAL, journal_id) or parse_id(PAYMENT, journal_id)
    found = await find_journal(services.database, parsed) if parsed is not None else None
    if parsed is None or found is None:
        raise _unknown()
    accounts = {leg.account for leg in found.legs}
    denied = await services.access.denials(principal, accounts, Action.VIEW)
    if len(denied) == len(accounts):
        raise _unknown()
    is_plain = len(found.legs) == _PLAIN_LEGS
    return _shown(parsed, found, [leg for leg in found.legs if is_plain or leg.account not in denied])


def _shown(journal_id: bytes, found: FoundJournal, legs: list[Posting]) -> Journal:
    return Journal(
        id=format_id(JOURNAL, journal_id),
        status="posted" if found.posted_at else "cancelled" if found.refusal is not Reason.NONE else "pending",
        legs=shown_legs(legs),
        description=found.description,
        reason=found.reason,
        code=str(found.refusal) if found.refusal is not Reason.NONE else None,
        opened_at=rfc3339(found.opened_at),
        posted_at=rfc3339(found.posted_at) if found.posted_at else None,
    )


def _unknown() -> Problem:
    detail = "Check the id. A journal posted just now is visible when its Consistency-Token is sent with the request."
    return Problem(Fault.JOURNAL_UNKNOWN, detail)
