"""Instructions on their way: sent, waited for, and what is answered where one is refused.

Guarantees: an instruction that was decided before, however long ago, is not decided again; it answers what has become
of it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, TypeVar

from ingest_api.account_changes.asking import is_replay
from ingest_api.http.call import Answer, Call
from ingest_api.http.preferences import DEFAULT_WAIT_S, preferred_wait_s
from ingest_api.http.resources import encode
from ingest_api.problems import FieldError, Problem, field_problem, refused
from ingest_api.reads.consistency import HEADER, await_visible
from ingest_api.reads.decisions import find_refusal
from ingest_api.reads.settled import look_until
from ingest_api.services import Services
from ingest_api.submission import Outcome, record_headers
from ingest_api.transfers import answer_headers, encoded_headers, outcome_answer
from payments.commands import Command, CommandKind
from payments.movements.instructions import Headline, Instruction
from payments.rejections import Reason

Found = TypeVar("Found")
REPLAYED = {"Idempotency-Replayed": "true"}
_LOOK_AGAIN_AFTER_S: Final = (0.02, 0.04, 0.08, 0.16, 0.32)
"""0.62 s in all, for what is not the caller's as for what is not there."""


async def ask(
    services: Services, call: Call, instructions: Sequence[Instruction]
) -> tuple[list[Outcome], dict[str, str]]:
    """What became of instructions, and the headers of the answer. Raises QueueFull, DeliveryUnknown."""
    asked_s = preferred_wait_s(call.header(b"prefer"))
    wait_s = DEFAULT_WAIT_S if asked_s is None else asked_s
    headers = record_headers(call.request_id, call.header(b"traceparent"))
    told = await asyncio.gather(
        *(services.submission.instruct(one, wait_s, headers) for one in _by_authority(instructions).values())
    )
    positions: dict[int, int] = {}
    for outcomes in told:
        for shard, offset in outcomes[0].positions.items():
            positions[shard] = max(offset, positions.get(shard, -1))
    return [outcome for outcomes in told for outcome in outcomes], answer_headers(positions, asked_s)


async def sought(services: Services, call: Call, look: Callable[[], Awaitable[Found]]) -> Found:
    """What a step is about, which the caller may have made just now. With a Consistency-Token it is looked for once
    Postgres shows that write; without one, again for a moment while it is not found: the sink is milliseconds behind.
    Raises what `look` raises, Problem 503, DatabaseUnavailable.
    """
    token = call.header(HEADER.lower().encode())
    await await_visible(services.database, token)
    pauses_s = () if token is not None else _LOOK_AGAIN_AFTER_S
    for pause_s in pauses_s:
        try:
            return await look()
        except Problem as problem:
            if problem.status != 404:
                raise
        await asyncio.sleep(pause_s)
    return await look()


def _by_authority(instructions: Sequence[Instruction]) -> dict[bytes, list[Instruction]]:
    found: dict[bytes, list[Instruction]] = {}
    for asked in instructions:
        found.setdefault(asked.authority, []).append(asked)
    return found


async def require_taken(services: Services, outcome: Outcome, headers: Mapping[str, str]) -> None:
    """Raises Problem where the instruction was refused, now or when it first came."""
    reason = await refusal_of(services, outcome)
    if reason is not Reason.NONE:
        raise refusal(reason, headers, replayed=is_replay(outcome))


def refusal(reason: Reason, headers: Mapping[str, str], *, replayed: bool) -> Problem:
    """The answer to what was refused, or came to nothing."""
    problem = refused(reason)
    problem.headers = {**headers, **(REPLAYED if replayed else {})}
    return problem


async def refusal_of(services: Services, outcome: Outcome) -> Reason:
    """Why it was refused; NONE where it was taken, or nobody knows yet."""
    if outcome.reply is None:
        return Reason.NONE
    if not is_replay(outcome):
        return outcome.reply.reason
    found = await look_until(
        outcome.deadline, lambda: find_refusal(services.database, outcome.operation_id), lambda _: True
    )
    return found or Reason.NONE


async def taken(services: Services, call: Call, asked: Instruction) -> tuple[Outcome, dict[str, str], bool]:
    """The outcome of one instruction that was taken, the headers of its answer, and whether Postgres shows what it did
    in its own shard. Raises Problem where it was refused, QueueFull, DeliveryUnknown.
    """
    (outcome,), headers = await ask(services, call, [asked])
    await require_taken(services, outcome, headers)
    shown = await look_until(
        outcome.deadline, lambda: find_refusal(services.database, outcome.operation_id), lambda _: True
    )
    return outcome, headers, shown is not None


def step_answer(resource: object, location: str, headers: Mapping[str, str], outcome: Outcome, *, done: bool) -> Answer:
    """Something as it stands after a step: 200 once the step shows, 202 before."""
    named = {**headers, "Location": location, **(REPLAYED if is_replay(outcome) else {})}
    return Answer(200 if done else 202, encode(resource), encoded_headers(named))


async def move(services: Services, call: Call, asked: Instruction, paid: Headline) -> Answer:
    """Answered as POST /transfers: with the payment that an instruction becomes. Raises as `taken`."""
    (outcome,), headers = await ask(services, call, [asked])
    await require_taken(services, outcome, headers)
    key, reply_to, description, _ = asked.envelope
    command = Command(CommandKind.TRANSFER, *paid, reply_to, key, description)
    return await outcome_answer(services.database, command, outcome, headers)


def answer(resource: object, location: str, headers: Mapping[str, str], *, done: bool, replayed: bool) -> Answer:
    """201 once it is done, 202 before; a repetition is answered 200."""
    status = 202 if not done else 200 if replayed else 201
    named = {**headers, "Location": location, **(REPLAYED if replayed else {})}
    return Answer(status, encode(resource), encoded_headers(named))


def required(fault: FieldError | None) -> None:
    """Raises Problem where there is a fault."""
    if fault is not None:
        raise field_problem(fault)


def reused() -> Problem:
    """The key was used for something else."""
    return refused(Reason.IDEMPOTENCY_KEY_REUSED)
