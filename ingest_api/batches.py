"""POST /transfers:batch: up to 10,000 commands as NDJSON, packed by partition, acknowledged once.

Each line stands for itself: bad ones are answered with their number, the good ones go on. Guarantees: when the receipt
is answered, every accepted line is in Kafka or was decided long ago; after a 503 the same batch may be sent again, each
key counts once.
"""

import asyncio
from typing import Literal, NamedTuple

import msgspec
from fastapi import APIRouter, Request, Response

from ingest_api.http.advice import ADVICE
from ingest_api.http.bodies import (
    AccountLine,
    DepositLine,
    TransferLine,
    account_of_line,
    decode_fault,
    deposit_command,
    key_fault,
    open_command,
    parse_account,
    transfer_command,
)
from ingest_api.http.call import Answer, Call
from ingest_api.http.openapi import describe, lines_schema, request_body
from ingest_api.http.preferences import prefers_representation
from ingest_api.http.resources import BatchReceipt, LineAccepted, LineRefusal, Position, encode
from ingest_api.http.serving import NDJSON_MEDIA, admit, respond, take_tokens
from ingest_api.identity.second_factor.step_up import is_for_two_factors, require_second_factor
from ingest_api.identity.tokens import Principal, Scope
from ingest_api.owners.access import Access
from ingest_api.owners.rights import Action, by_scope, user_of
from ingest_api.problems import Fault, FieldError, Problem
from ingest_api.publisher import Record
from ingest_api.reads.consistency import HEADER, encode_token
from ingest_api.reads.earlier_decisions import Found
from ingest_api.risk.attributes import RiskKeys
from ingest_api.services import Services
from ingest_api.submission import record_headers
from ingest_api.transfers import encoded_headers
from payments.commands import Command, CommandKind
from payments.identifiers import ACCOUNT, PAYMENT, derive_operation_id, format_id, is_system, shard_of_operation
from payments.movements.instructions import AttributedTransfer, Attributes, attributed
from payments.rejections import Reason
from schemas.codec.commands import MAX_ITEMS, encode_batch, encode_body
from schemas.codec.instructions import encode_instruction
from schemas.partitioning import shard_of
from schemas.topics import COMMANDS

router = APIRouter(tags=["transfers"])

LINES_MAX = 10_000
BODY_BYTES_MAX = 8 * 1024 * 1024
LINE_BYTES_MAX = 12_288
"""A line of the longest texts, every character escaped, stays below: (255 + 140 + 2 × 255) × 12 + 600."""

PACK_ITEMS = 250
"""Commands per record. At most 250 × 1.7 kB = 425 kB, below the broker's megabyte; 60, 250 and 1,000 cost this side
the same 8–10 µs a command."""

_TURN_LINES = 200  # × 6 µs: the loop serves other calls after about 1.2 ms
_TRANSFER = msgspec.json.Decoder(TransferLine)
_OTHER = msgspec.json.Decoder(DepositLine | AccountLine)
assert PACK_ITEMS <= MAX_ITEMS


class _Kind(msgspec.Struct):
    kind: Literal["transfer", "deposit", "open_account"] = "transfer"


_KIND = msgspec.json.Decoder(_Kind)
_ACTIONS = {CommandKind.TRANSFER: Action.MOVE_MONEY, CommandKind.DEPOSIT: Action.OPERATE}
_POINTERS = {CommandKind.TRANSFER: "/from_account", CommandKind.DEPOSIT: "/account"}


class Line(NamedTuple):
    """A good line: its number, what it asks for, and the operation that its key means."""

    number: int
    command: Command
    operation_id: bytes
    attributes: Attributes | None = None


class ReadLines(NamedTuple):
    """The lines of a batch, sorted into commands and refusals."""

    good: list[Line]
    refusals: list[LineRefusal]


class Pack:
    """The commands of one batch, packed by shard as they come."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self._open: dict[int, tuple[bytes, list[bytes]]] = {}

    def add(self, line: Line) -> None:
        shard = shard_of_operation(line.operation_id)
        if line.attributes is not None:
            self._add_alone(shard, attributed(line.command, line.attributes))
            return
        opened = self._open.get(shard)
        if opened is None:
            opened = self._open[shard] = (line.command.authority, [])
        bodies = opened[1]
        bodies.append(encode_body(line.command))
        if len(bodies) == PACK_ITEMS:
            self._close(shard)

    def _add_alone(self, shard: int, transfer: AttributedTransfer) -> None:
        """Behind the lines before it: those of one account are decided in their order."""
        if shard in self._open:
            self._close(shard)
        self.records.append(Record(shard, transfer.authority, encode_instruction(transfer)))

    def _close(self, shard: int) -> None:
        first_authority, bodies = self._open.pop(shard)
        self.records.append(Record(shard, first_authority, encode_batch(bodies)))

    def finish(self) -> list[Record]:
        for shard in list(self._open):
            self._close(shard)
        return self.records


async def accept_batch(services: Services, call: Call) -> Answer:
    """Take every good line, answer every bad one, acknowledge once."""
    principal = admit(services, call, None, NDJSON_MEDIA, 0)
    with services.bodies.reserved(call.body_bytes(BODY_BYTES_MAX)):
        return await _accept(services, call, principal)


async def _accept(services: Services, call: Call, principal: Principal) -> Answer:
    lines = split_lines(await call.body(BODY_BYTES_MAX))
    take_tokens(services, principal, len(lines))
    read = await read_lines(lines, principal, services.settings.shards, services.risk_keys)
    await refuse_others_accounts(services.access, principal, read)
    await refuse_money_out(services, principal, read)
    found = await services.earlier.find([(line.operation_id, line.command.kind) for line in read.good])
    accepted, fresh = _sort_out(read, found) if found else (read.good, read.good)
    if not accepted:
        raise Problem(
            Fault.BATCH_REFUSED,
            "Every line has a fault; nothing was taken.",
            members={"accepted": 0, "rejected": read.refusals},
        )
    headers = record_headers(call.request_id, call.header(b"traceparent"))
    positions = dict(sorted(earlier.position for earlier in found.values()))
    if fresh:
        positions |= await services.publisher.send(await pack(fresh), headers).wait()
    return _receipt(call, accepted, read.refusals, positions)


async def refuse_others_accounts(access: Access, principal: Principal, read: ReadLines) -> None:
    """Only lines about accounts with which the principal may do this stay good. A query for each kind at most."""
    for kind, action in _ACTIONS.items():
        if by_scope(principal.scopes, action):
            continue
        named = {line.number: line.command.authority for line in read.good if line.command.kind is kind}
        denials = await access.denials(principal, named.values(), action)
        for number, account in named.items():
            if account in denials:
                denial = denials[account]
                read.refusals.append(LineRefusal(number, str(denial.code), denial.detail, _POINTERS[kind]))
        read.good[:] = [line for line in read.good if named.get(line.number) not in denials]
    read.refusals.sort(key=lambda refusal: refusal.line)


async def refuse_money_out(services: Services, principal: Principal, read: ReadLines) -> None:
    """Lines by which a user sends out more than is free stay good where a second factor was given. Raises
    DatabaseUnavailable.
    """
    if user_of(principal) is None:
        return
    above = {line.number for line in read.good if _needs_second_factor(services, principal, line.command)}
    if not above:
        return
    try:
        await require_second_factor(services, principal)
    except Problem as problem:
        refusals = [LineRefusal(number, str(problem.code), problem.detail, "/amount") for number in above]
        read.refusals[:] = sorted((*read.refusals, *refusals), key=lambda refusal: refusal.line)
        read.good[:] = [line for line in read.good if line.number not in above]


def _needs_second_factor(services: Services, principal: Principal, command: Command) -> bool:
    is_out = command.kind is CommandKind.TRANSFER and is_system(command.payee)
    return is_out and is_for_two_factors(services, principal, command.amount_minor, command.currency)


def _sort_out(read: ReadLines, found: Found) -> tuple[list[Line], list[Line]]:
    """Lines accepted, and those of them to be sent. A line decided long ago is refused where it says otherwise now."""
    reused = [
        line for line in read.good if line.operation_id in found and not found[line.operation_id].is_of(line.command)
    ]
    read.refusals.extend(map(_key_reused, reused))
    read.refusals.sort(key=lambda refusal: refusal.line)
    refused = {line.number for line in reused}
    accepted = [line for line in read.good if line.number not in refused]
    return accepted, [line for line in accepted if line.operation_id not in found]


def _key_reused(line: Line) -> LineRefusal:
    reason = Reason.IDEMPOTENCY_KEY_REUSED
    return LineRefusal(line.number, str(reason), ADVICE[reason], "/idempotency_key")


async def pack(lines: list[Line]) -> list[Record]:
    """The records of these lines, letting other calls in between."""
    packed = Pack()
    for start in range(0, len(lines), _TURN_LINES):
        for line in lines[start : start + _TURN_LINES]:
            packed.add(line)
        await asyncio.sleep(0)
    return packed.finish()


def _receipt(call: Call, accepted: list[Line], refusals: list[LineRefusal], positions: dict[int, int]) -> Answer:
    where = [Position(COMMANDS.name, shard, offset) for shard, offset in sorted(positions.items())]
    receipt = BatchReceipt(len(accepted), refusals, where)
    headers = {HEADER: encode_token(positions)}
    if prefers_representation(call.header(b"prefer")):
        receipt.lines = [LineAccepted(line.number, _id_of(line)) for line in accepted]
        headers["Preference-Applied"] = "return=representation"
    return Answer(202, encode(receipt), encoded_headers(headers))


def split_lines(body: bytes) -> list[tuple[int, bytes]]:
    """Number (from 1) and text of every line that is not blank. Raises Problem for none or too many."""
    if body.count(b"\n") > 2 * LINES_MAX:
        raise _too_many()
    lines = [(number, line) for number, line in enumerate(body.split(b"\n"), 1) if line and not line.isspace()]
    if not lines:
        raise Problem(Fault.BATCH_EMPTY, "Send one JSON object per line.")
    if len(lines) > LINES_MAX:
        raise _too_many()
    return lines


def _too_many() -> Problem:
    return Problem(Fault.TOO_MANY_LINES, f"At most {LINES_MAX} lines in one batch; nothing was taken.")


async def read_lines(
    lines: list[tuple[int, bytes]], principal: Principal, shards: int, risk_keys: RiskKeys
) -> ReadLines:
    """Sort the lines into commands and refusals, letting other calls in between."""
    read = ReadLines([], [])
    for start in range(0, len(lines), _TURN_LINES):
        for number, line in lines[start : start + _TURN_LINES]:
            asked = read_line(line, principal, risk_keys)
            if isinstance(asked, FieldError):
                read.refusals.append(LineRefusal(number, str(asked.code), asked.detail, asked.pointer))
                continue
            command, attributes = (asked, None) if isinstance(asked, Command) else (asked.command, asked.attributes)
            authority = command.authority
            operation_id = derive_operation_id(authority, command.idempotency_key, shard_of(authority, shards))
            read.good.append(Line(number, command, operation_id, attributes))
        await asyncio.sleep(0)
    return read


def _id_of(line: Line) -> str:
    if line.command.kind is CommandKind.OPEN_ACCOUNT:
        return format_id(ACCOUNT, line.command.payer)
    return format_id(PAYMENT, line.operation_id)


def read_line(line: bytes, principal: Principal, risk_keys: RiskKeys) -> Command | AttributedTransfer | FieldError:
    """What a line asks for, or what is wrong with it. Never raises, whatever the bytes are."""
    if len(line) > LINE_BYTES_MAX:
        return FieldError("", Fault.LINE_TOO_LONG, f"At most {LINE_BYTES_MAX} bytes a line.")
    try:
        body = _TRANSFER.decode(line)
    except (ValueError, RecursionError) as error:
        return _read_other(line, principal, error)
    command = (
        _permitted(principal, Scope.PAYMENTS_WRITE)
        or key_fault(body.idempotency_key, "/idempotency_key")
        or transfer_command(body, body.idempotency_key)
    )
    if body.risk is None or isinstance(command, FieldError):
        return command
    attributes = risk_keys.attributes(body.risk)
    return attributes if isinstance(attributes, FieldError) else attributed(command, attributes)


def _read_other(line: bytes, principal: Principal, error: Exception) -> Command | FieldError:
    """A line that is no transfer: another kind, or a fault."""
    try:
        if _KIND.decode(line).kind == "transfer":
            return decode_fault(error)
        body: DepositLine | AccountLine = _OTHER.decode(line)
    except (ValueError, RecursionError) as fault:
        return decode_fault(fault)
    fault_of_key = key_fault(body.idempotency_key, "/idempotency_key")
    if fault_of_key is not None:
        return fault_of_key
    return _deposit(body, principal) if isinstance(body, DepositLine) else _opening(body, principal)


def _deposit(line: DepositLine, principal: Principal) -> Command | FieldError:
    account = parse_account(line.account, "/account")
    if isinstance(account, FieldError):
        return account
    return _permitted(principal, Scope.PAYMENTS_WRITE) or deposit_command(line, account, line.idempotency_key)


def _opening(line: AccountLine, principal: Principal) -> Command | FieldError:
    if user_of(principal) is not None:
        return FieldError("/kind", Fault.ROLE_INSUFFICIENT, "A user's account is opened by POST /v1/accounts.")
    account = account_of_line(line, principal.subject)
    return _permitted(principal, Scope.ACCOUNTS_WRITE) or open_command(line, account, line.idempotency_key)


def _permitted(principal: Principal, scope: Scope) -> FieldError | None:
    if scope in principal.scopes:
        return None
    return FieldError("Authorization", Fault.SCOPE_INSUFFICIENT, f"The token lacks the scope {scope}.")


_DESCRIBED = describe("Many commands at once", Scope.PAYMENTS_WRITE, BatchReceipt, body=TransferLine, statuses=(202,))
_DESCRIBED["openapi_extra"] = {
    "security": [{"bearer": [Scope.PAYMENTS_WRITE, Scope.ACCOUNTS_WRITE]}],
    "requestBody": request_body("application/x-ndjson", lines_schema()),
    "parameters": [
        {
            "name": "Prefer",
            "in": "header",
            "schema": {"type": "string"},
            "description": "return=representation: the receipt names the id of every accepted line",
        }
    ],
}


@router.post("/transfers:batch", **_DESCRIBED)
async def post_batch(request: Request) -> Response:
    """NDJSON, at most 10,000 lines and 8 MiB, each with its own key. Bad lines are answered, the good ones go on."""
    return await respond(request, accept_batch)
