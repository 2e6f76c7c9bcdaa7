"""What every caller was told, and whether it can all be true at once.

As in Jepsen's histories an attempt ends *ok* (the answer shows the payment), *failed* (a rule refused it, or nothing
was taken) or *unknown* (no answer, or one that says so). All attempts with one key are one payment: they must name the
same id, agree on its outcome, and the tables must show that outcome once.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

import msgspec

REFUSALS = (404, 409, 422)
NOTHING_TAKEN = 429
FINDINGS_MAX = 10


class Told(StrEnum):
    """How an attempt ended for its caller."""

    OK = "ok"
    FAILED = "failed"
    UNKNOWN = "unknown"


class ShownPayment(msgspec.Struct, frozen=True):
    """The payment as an answer shows it."""

    id: str
    status: str
    final: bool
    from_account: str
    to_account: str
    amount_minor: int
    reason: str | None = None


class Attempt(NamedTuple):
    """One request and its answer."""

    key: str
    told: Told
    started_s: float
    ended_s: float
    payment: ShownPayment | None = None
    replayed: bool = False


class Expected(NamedTuple):
    """What was asked for under a key."""

    payer: str
    payee: str
    amount_minor: int


class Row(NamedTuple):
    """A payment in Postgres: its id as the API writes it, and its status word."""

    id: str
    status: str


class _Problem(msgspec.Struct):
    payment: ShownPayment | None = None


_PAYMENT, _PROBLEM = msgspec.json.Decoder(ShownPayment), msgspec.json.Decoder(_Problem)


def read_answer(status: int, body: bytes) -> tuple[Told, ShownPayment | None]:
    """What an answer tells. A refusal shows its payment; a 5xx says that nobody knows."""
    if 200 <= status < 300:
        return Told.OK, _PAYMENT.decode(body)
    if status in REFUSALS:
        return Told.FAILED, _PROBLEM.decode(body).payment
    return Told.FAILED if status == NOTHING_TAKEN else Told.UNKNOWN, None


def disagreements(attempts: Iterable[Attempt], asked: Mapping[str, Expected], rows: Sequence[Row]) -> list[str]:
    """Everything that can't be true at once; empty where all is well."""
    by_key: defaultdict[str, list[Attempt]] = defaultdict(list)
    for attempt in attempts:
        by_key[attempt.key].append(attempt)
    counts = Counter(row.id for row in rows)
    states = {row.id: row.status for row in rows}
    found = [
        f"key {key}: {finding}"
        for key, of_key in by_key.items()
        for finding in _of_key(of_key, asked[key], counts, states)
    ]
    ids = Counter({p.id for a in of_key if (p := a.payment)}.pop() for of_key in by_key.values() if _shown(of_key))
    found += [f"payment {id_} answers {count} keys" for id_, count in ids.items() if count > 1]
    return found[:FINDINGS_MAX]


def _shown(attempts: Sequence[Attempt]) -> list[ShownPayment]:
    return [attempt.payment for attempt in attempts if attempt.payment is not None]


def _of_key(
    attempts: Sequence[Attempt], asked: Expected, counts: Mapping[str, int], states: Mapping[str, str]
) -> Iterator[str]:
    shown = _shown(attempts)
    if not shown:
        if not any(attempt.told is Told.UNKNOWN for attempt in attempts):
            yield "refused without its payment"
        return
    ids = {payment.id for payment in shown}
    if len(ids) > 1:
        yield f"answered with {len(ids)} payments"
    if {Expected(p.from_account, p.to_account, p.amount_minor) for p in shown} != {asked}:
        yield "answered with another payment's accounts or amount"
    finals = {(payment.status, payment.reason) for payment in shown if payment.final}
    if len(finals) > 1:
        yield f"answered with {sorted(map(str, finals))}"
    for id_ in ids:
        if counts.get(id_, 0) != 1:
            yield f"{counts.get(id_, 0)} rows of {id_}"
        elif finals and {states[id_]} != {status for status, _ in finals}:
            yield f"answered {sorted(status for status, _ in finals)}, the tables show {states[id_]}"
    if _one_after_another([a for a in attempts if a.payment and a.payment.final and not a.replayed]):
        yield "answered as new after it had been answered"


def _one_after_another(attempts: Sequence[Attempt]) -> bool:
    """Whether one began after another had ended."""
    return any(a.started_s > min(b.ended_s for b in attempts) for a in attempts)
