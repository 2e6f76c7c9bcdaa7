"""POST /transfers:batch: up to 10,000 commands as NDJSON, packed by partition, acknowledged once.

Each line stands for itself: bad ones are answered with their number, the good ones go on. Guarantees: when the receipt
is answered, Kafka has every accepted line; after a 503 the same batch may be sent again, each key counts once.
"""

import asyncio
from typing import Any, Literal, NamedTuple

import msgspec
from fastapi import APIRouter, Request, Response

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
from ingest_api.identity.tokens import Principal, Scope
from ingest_api.problems import Fault, FieldError, Problem
from ingest_api.publisher import Record
from ingest_api.reads.consistency import HEADER, encode_token
from ingest_api.services import Services
from ingest_api.submission import record_headers
from ingest_api.transfers import encoded_headers
from payments.commands import Command, CommandKind
from payments.identifiers import ACCOUNT, PAYMENT, derive_operation_id, format_id
from schemas.codec.commands import MAX_ITEMS, encode_batch, encode_body
from schemas.partitioning import shard_of
from schemas.topics import COMMANDS

router = APIRouter(tags=["transfers"])

LINES_MAX = 10_000
BODY_BYTES_MAX = 8 * 1024 * 1024
LINE_BYTES_MAX = 8_192
"""A line of the longest texts, every character escaped, stays below: (255 + 140) × 12 + 400."""

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


class Pack:
    """The commands of one batch, packed by shard as they come."""

    def __init__(self, shards: int) -> None:
        self.records: list[Record] = []
        self.accepted = 0
        self._shards = shards
        self._open: dict[int, tuple[bytes, list[bytes]]] = {}

    def add(self, command: Command) -> None:
        authority = command.authority
        shard = shard_of(authority, self._shards)
        opened = self._open.get(shard)
        if opened is None:
            opened = self._open[shard] = (authority, [])
        bodies = opened[1]
        bodies.append(encode_body(command))
        self.accepted += 1
        if len(bodies) == PACK_ITEMS:
            self._close(shard)

    def _close(self, shard: int) -> None:
        first_authority, bodies = self._open.pop(shard)
        self.records.append(Record(shard, first_authority, encode_batch(bodies)))

    def finish(self) -> list[Record]:
        for shard in list(self._open):
            self._close(shard)
        return self.records


class ReadLines(NamedTuple):
    """What became of the lines of a batch."""

    pack: Pack
    refusals: list[LineRefusal]
    lines: list[LineAccepted] | None


async def accept_batch(services: Services, call: Call) -> Answer:
    """Take every good line, answer every bad one, acknowledge once."""
    principal = admit(services, call, None, NDJSON_MEDIA, 0)
    with services.bodies.reserved(call.body_bytes(BODY_BYTES_MAX)):
        return await _accept(services, call, principal)


async def _accept(services: Services, call: Call, principal: Principal) -> Answer:
    lines = split_lines(await call.body(BODY_BYTES_MAX))
    take_tokens(services, principal, len(lines))
    representation = prefers_representation(call.header(b"prefer"))
    read = await read_lines(lines, principal, services.settings.shards, representation)
    if not read.pack.accepted:
        raise Problem(Fault.BATCH_REFUSED, "Every line has a fault; nothing was taken.", members=_refused(read))
    headers = record_headers(call.request_id, call.header(b"traceparent"))
    positions = await services.publisher.send(read.pack.finish(), headers).wait()
    return _receipt(read, positions, representation)


def _refused(read: ReadLines) -> dict[str, Any]:
    return {"accepted": 0, "rejected": read.refusals}


def _receipt(read: ReadLines, positions: dict[int, int], representation: bool) -> Answer:
    where = [Position(COMMANDS.name, shard, offset) for shard, offset in sorted(positions.items())]
    receipt = BatchReceipt(read.pack.accepted, read.refusals, where, read.lines)
    headers = {HEADER: encode_token(positions)}
    if representation:
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
    lines: list[tuple[int, bytes]], principal: Principal, shards: int, representation: bool
) -> ReadLines:
    """Sort the lines into commands and refusals, letting other calls in between."""
    read = ReadLines(Pack(shards), [], [] if representation else None)
    for start in range(0, len(lines), _TURN_LINES):
        for number, line in lines[start : start + _TURN_LINES]:
            command = read_line(line, principal)
            if isinstance(command, FieldError):
                read.refusals.append(LineRefusal(number, str(command.code), command.detail, command.pointer))
                continue
            read.pack.add(command)
            if read.lines is not None:
                read.lines.append(LineAccepted(number, _id_of(command, shards)))
        await asyncio.sleep(0)
    return read


def _id_of(command: Command, shards: int) -> str:
    if command.kind is CommandKind.OPEN_ACCOUNT:
        return format_id(ACCOUNT, command.payer)
    shard = shard_of(command.authority, shards)
    return format_id(PAYMENT, derive_operation_id(command.authority, command.idempotency_key, shard))


def read_line(line: bytes, principal: Principal) -> Command | FieldError:
    """The command of a line, or what is wrong with it. Never raises, whatever the bytes are."""
    if len(line) > LINE_BYTES_MAX:
        return FieldError("", Fault.LINE_TOO_LONG, f"At most {LINE_BYTES_MAX} bytes a line.")
    try:
        body = _TRANSFER.decode(line)
    except (ValueError, RecursionError) as error:
        return _read_other(line, principal, error)
    return (
        _permitted(principal, Scope.PAYMENTS_WRITE)
        or key_fault(body.idempotency_key, "/idempotency_key")
        or transfer_command(body, body.idempotency_key)
    )


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
