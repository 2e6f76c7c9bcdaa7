"""What is asked of one account at its partition, commands and instructions alike, and how each was decided.

Guarantees: an instruction that was decided longer ago than the agents remember is answered from its row and not sent.
"""

import time
from collections.abc import Sequence
from functools import partial

from ingest_api.http.call import Call
from ingest_api.http.preferences import DEFAULT_WAIT_S, preferred_wait_s
from ingest_api.reads.accounts import find_event_reason
from ingest_api.reads.earlier_decisions import EarlierDecision
from ingest_api.reads.settled import look_until
from ingest_api.services import Services
from ingest_api.submission import Outcome, record_headers
from ingest_api.transfers import answer_headers
from payments.commands import NO_REPLY, Command, CommandKind
from payments.entries import EntryKind
from payments.identifiers import derive_operation_id
from payments.movements.instructions import Instruction, OpenAccount, SetLimits, SetStanding
from payments.rejections import Reason
from schemas.codec.replies import Reply
from schemas.partitioning import shard_of

Asked = Command | OpenAccount | SetStanding | SetLimits

_NAMES = {OpenAccount: "open_account", SetStanding: "set_standing", SetLimits: "set_limits"}


def name_of(asked: Asked) -> str:
    """How an answer calls it."""
    return asked.kind.name.lower() if isinstance(asked, Command) else _NAMES[type(asked)]


async def ask(services: Services, call: Call, asked: Sequence[Asked]) -> tuple[list[Outcome], dict[str, str]]:
    """Outcomes in this order, in which they are also decided, and the headers of the answer. All are of one account,
    each with a key of its own. Raises QueueFull, DeliveryUnknown.
    """
    asked_s = preferred_wait_s(call.header(b"prefer"))
    deadline = time.monotonic() + (DEFAULT_WAIT_S if asked_s is None else asked_s)
    headers = record_headers(call.request_id, call.header(b"traceparent"))
    outcomes = [await _ask_one(services, one, max(0, deadline - time.monotonic()), headers) for one in asked]
    latest = max((outcome.positions for outcome in outcomes), key=lambda positions: max(positions.values()))
    return outcomes, answer_headers(latest, asked_s)


async def _ask_one(services: Services, asked: Asked, wait_s: float, headers: list[tuple[str, bytes]]) -> Outcome:
    if isinstance(asked, Command):
        return await services.submission.submit(asked, wait_s, headers)
    shard = shard_of(asked.authority, services.settings.shards)
    id_ = derive_operation_id(asked.authority, asked.envelope.idempotency_key, shard)
    found = await services.earlier.find_together(
        [(id_, CommandKind.OPEN_ACCOUNT)]
    )  # whatever is about an account alone
    if id_ in found:
        position = dict([found[id_].position])
        return Outcome(id_, _reply(id_, asked, found[id_]), position, time.monotonic() + wait_s)
    (outcome,) = await services.submission.instruct([asked], wait_s, headers)
    return outcome


def _reply(operation_id: bytes, asked: Instruction, earlier: EarlierDecision) -> Reply:
    """What the agent would answer if it still remembered, as far as the row tells: it has neither type nor limits."""
    match asked:
        case OpenAccount():
            done = EntryKind.ACCOUNT_OPENED, asked.overdraft_limit_minor
        case SetStanding():
            done = EntryKind.STANDING_SET, int(asked.status)
        case _:
            done = EntryKind.LIMITS_SET, 0
    if earlier.kind is EntryKind.REJECTED or (earlier.kind, earlier.body[2]) == done:
        return Reply(NO_REPLY, operation_id, EntryKind.REPLAYED, Reason.NONE, earlier.decided_at_us)
    reason = Reason.IDEMPOTENCY_KEY_REUSED
    return Reply(NO_REPLY, operation_id, EntryKind.KEY_REUSED, reason, earlier.decided_at_us)


async def reason_of(services: Services, outcome: Outcome) -> Reason | None:
    """How it was decided (NONE = done), or None where that is not known yet."""
    if outcome.reply is None:
        return None
    if outcome.reply.kind is not EntryKind.REPLAYED:
        return outcome.reply.reason
    look = partial(find_event_reason, services.database, outcome.operation_id)
    return await look_until(outcome.deadline, look, lambda _: True)


def is_replay(outcome: Outcome) -> bool:
    """True where the same was asked before under the same key."""
    return outcome.reply is not None and outcome.reply.kind is EntryKind.REPLAYED
