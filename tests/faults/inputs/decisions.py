"""Whether the ledger decided what was asked for: every input once, in the order of the log, and rightly.

The inputs are read from payments.commands itself and folded beside the ledger: which key is new, who has what. Only the
order in which a shard took commands and credits in turn is taken from the ledger, because nothing else knows it.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from tests.faults.inputs.decoding import Undecodable, body_of, decoded, record_name, schema_named

COMMAND, COMMAND_BATCH = "Command", "CommandBatch"
COMMAND_SCHEMA_ID = 2
FINDINGS_MAX = 3
"""Of each reading: one wrong balance makes every later decision about the account a wrong one."""

Place = tuple[int, int]
"""Offset, and item of a packed record."""


class Asked(NamedTuple):
    """One input. What is neither a command nor spoilt (an instruction, a tick) has no kind and is not judged."""

    place: Place
    kind: str = ""
    payer: str = ""
    payee: str = ""
    amount_minor: int = 0
    currency: str = ""
    key: str = ""

    @property
    def authority(self) -> str:
        return self.payee if self.kind == "deposit" else self.payer


SPOILT = "spoilt"
"""The kind of an input that can't be decided."""


class Decisions:
    """One per installation: its books go on from run to run."""

    def __init__(self, available: Mapping[str, int], finding: Callable[[str], None]) -> None:
        self._available = available
        self._finding = finding
        self._found = 0
        self._waiting: dict[int, deque[Asked]] = {}
        self._last: dict[int, Place] = {}
        self._known: dict[tuple[str, str], Asked] = {}

    def read(self, shard: int, records: Iterable[tuple[int, bytes]]) -> None:
        """Further inputs of a shard, in the order of the log."""
        self._found = 0
        self._waiting.setdefault(shard, deque()).extend(
            asked for offset, value in records for asked in inputs_of(offset, value)
        )

    def judge(self, shard: int, entry: Mapping[str, Any]) -> None:
        """An entry that a command's record led to, before it changes any balance."""
        place = int.from_bytes(entry["source_offset"]), int.from_bytes(entry["source_item"])
        if place == self._last.get(shard):
            return  # it follows from the decision
        self._last[shard] = place
        self._pass_over(shard, lambda asked: asked.place < place)
        waiting = self._waiting[shard]
        if not waiting or waiting[0].place != place:
            self._say(shard, place, f"{entry['kind']}, and no such input waits to be decided")
            return
        asked = waiting.popleft()
        if asked.kind:
            self._compare(shard, asked, entry)

    def end(self, shard: int, next_offset: int) -> None:
        """A ledger record names every input below this offset as decided."""
        self._pass_over(shard, lambda asked: asked.place[0] < next_offset)

    def _pass_over(self, shard: int, is_behind: Callable[[Asked], bool]) -> None:
        waiting = self._waiting[shard]
        while waiting and is_behind(waiting[0]):
            asked = waiting.popleft()
            if asked.kind:
                self._say(shard, asked.place, f"{asked.kind} was passed over")

    def _compare(self, shard: int, asked: Asked, entry: Mapping[str, Any]) -> None:
        expected = self._expected(asked)
        found = entry["kind"]
        if asked.kind != SPOILT:
            self._known.setdefault((asked.authority, asked.key), asked)
            named = entry["debit_account"].hex(), entry["credit_account"].hex(), int(entry["amount_minor"])
            if named != (asked.payer, asked.payee, asked.amount_minor):
                self._say(shard, asked.place, f"{found} of {named}, {asked} was asked for")
        if expected and found != expected:
            self._say(shard, asked.place, f"{found}, where {asked.kind} had to become {expected}")

    def _expected(self, asked: Asked) -> str:
        """The kind of entry that has to stand there; nothing where this fold can't tell."""
        if asked.kind == SPOILT:
            return "quarantined"
        known = self._known.get((asked.authority, asked.key))
        if known is not None:
            return "replayed" if known._replace(place=asked.place) == asked else "key_reused"
        is_open = asked.authority in self._available
        if asked.kind == "open_account":
            return "rejected" if is_open else "account_opened"
        if asked.kind == "deposit":
            return "posted" if is_open else "rejected"
        if asked.kind == "transfer":
            can_pay = is_open and asked.payer != asked.payee and self._available[asked.payer] >= asked.amount_minor
            return "reserved" if can_pay else "rejected"
        return ""

    def _say(self, shard: int, place: Place, text: str) -> None:
        self._found += 1
        if self._found <= FINDINGS_MAX:
            self._finding(f"commands shard {shard} offset {place[0]} item {place[1]}: {text}")


def inputs_of(offset: int, value: bytes) -> Iterator[Asked]:
    """The inputs that a record of payments.commands holds."""
    try:
        name = record_name(value)
        if name not in (COMMAND, COMMAND_BATCH):
            yield Asked((offset, 0))
            return
        record = decoded(value)
    except Undecodable:
        yield Asked((offset, 0), SPOILT)
        return
    if name == COMMAND:
        yield _asked((offset, 0), record)
        return
    for item, body in enumerate(record["items"]):
        yield _item((offset, item), body)


def _item(place: Place, body: bytes) -> Asked:
    try:
        return _asked(place, body_of(body, schema_named(COMMAND_SCHEMA_ID)[1], COMMAND))
    except Undecodable:
        return Asked(place, SPOILT)


def _asked(place: Place, record: Mapping[str, Any]) -> Asked:
    payer, payee = record["payer"].hex(), record["payee"].hex()
    amount_minor, currency = int(record["amount_minor"]), record["currency"].decode()
    return Asked(place, record["kind"], payer, payee, amount_minor, currency, record["idempotency_key"])
