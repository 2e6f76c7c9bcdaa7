"""Many payments at once: lines, each with a key of its own, and how they are cut into requests.

A batch has at most 10,000 lines and 8 MiB, as the server takes them. Lines are taken from their source as batches are
sent, so a stream of any length needs the memory of one batch.
"""

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import msgspec

from millrace.client.calls import Calls
from millrace.client.exchange import Flow
from millrace.client.faults import InvalidRequest
from millrace.client.models.money import BatchReceipt
from millrace.client.requests import Amount, Ask, Route, amount_text, given

LINES_MAX: Final = 10_000
BYTES_MAX: Final = 8 * 1024 * 1024
_ROUTE: Final = Route("POST", "/v1/transfers:batch", repeats=True)
"""Each line has its own key."""

Line: TypeAlias = dict[str, Any]
"""What `transfer_line`, `deposit_line` or `account_line` answers, or a JSON object of the same form."""


def transfer_line(
    from_account: str, to_account: str, amount: Amount, currency: str, *, idempotency_key: str, description: str = ""
) -> Line:
    """Money from one account to another."""
    return given(
        from_account=from_account,
        to_account=to_account,
        amount=amount_text(amount),
        currency=currency,
        idempotency_key=idempotency_key,
        description=description or None,
    )


def deposit_line(
    account: str, amount: Amount, currency: str, *, idempotency_key: str, method: str = "cash", description: str = ""
) -> Line:
    """Money into an account."""
    return given(
        kind="deposit",
        account=account,
        amount=amount_text(amount),
        currency=currency,
        method=method,
        idempotency_key=idempotency_key,
        description=description or None,
    )


def account_line(currency: str, *, idempotency_key: str, overdraft_limit: Amount = "0") -> Line:
    """A new account; its id is derived from the caller and the key."""
    limit = amount_text(overdraft_limit)
    return given(kind="open_account", currency=currency, overdraft_limit=limit, idempotency_key=idempotency_key)


@dataclass(frozen=True)
class Batch:
    """Lines of one request. `first`: the number of its first line in the whole stream, from 1."""

    first: int
    encoded: tuple[bytes, ...]

    @property
    def after(self) -> int:
        """How many lines of the stream are behind when this batch is."""
        return self.first + len(self.encoded) - 1

    def flow(self, calls: Calls) -> Flow[BatchReceipt]:
        """Send it. A batch without one good line is answered as a receipt, too. Raises ClientError."""
        ask = Ask(body=b"\n".join(self.encoded), headers={"Prefer": "return=representation"})
        try:
            return (yield from calls.flow(_ROUTE, ask, BatchReceipt))
        except InvalidRequest as problem:
            if problem.code != "batch_refused":
                raise
            return msgspec.convert({"positions": [], **problem.members}, BatchReceipt)


class _Cutter:
    def __init__(self, lines_max: int) -> None:
        if not 1 <= lines_max <= LINES_MAX:
            raise ValueError(f"a batch has 1 to {LINES_MAX} lines")
        self._lines_max = lines_max
        self._first = 1
        self._open: list[bytes] = []
        self._bytes = 0

    def add(self, line: Line) -> Batch | None:
        """The batch that is full before this line. Raises ValueError for a line without a key."""
        encoded = msgspec.json.encode(line)
        if not line.get("idempotency_key"):
            raise ValueError(
                f"line {self._first + len(self._open)} has no idempotency_key: sent twice, it would pay twice"
            )
        full = len(self._open) == self._lines_max or self._bytes + len(encoded) >= BYTES_MAX
        batch = self.close() if full else None
        self._open.append(encoded)
        self._bytes += len(encoded) + 1
        return batch

    def close(self) -> Batch | None:
        """What is left."""
        if not self._open:
            return None
        batch = Batch(self._first, tuple(self._open))
        self._first, self._open, self._bytes = batch.after + 1, [], 0
        return batch


def batches_of(lines: Iterable[Line], lines_max: int) -> Iterator[Batch]:
    """Cut a stream of lines. Raises ValueError."""
    cutter = _Cutter(lines_max)
    for line in lines:
        if (batch := cutter.add(line)) is not None:
            yield batch
    if (rest := cutter.close()) is not None:
        yield rest


async def batches_of_async(lines: Iterable[Line] | AsyncIterable[Line], lines_max: int) -> AsyncIterator[Batch]:
    """The same of a stream that may have to be awaited. Raises ValueError."""
    if not isinstance(lines, AsyncIterable):
        for batch in batches_of(lines, lines_max):
            yield batch
        return
    cutter = _Cutter(lines_max)
    async for line in lines:
        if (full := cutter.add(line)) is not None:
            yield full
    if (rest := cutter.close()) is not None:
        yield rest
