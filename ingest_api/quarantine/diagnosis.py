"""What is wrong with a record in quarantine, whether it could be decided now, and what to do about it.

Reads the bytes that were kept, with the codec of this release: what an older one could not read may be readable today.
Keeps and writes nothing.
"""

from typing import Final, NamedTuple

from ingest_api.quarantine.cases import Case
from payments.commands import MAX_DESCRIPTION_CHARS, MAX_KEY_CHARS, Command
from payments.errors import UndecodableRecord
from payments.identifiers import derive_operation_id
from payments.rejections import Reason
from schemas.codec.commands import ReadableFields, as_record, decode_body, form_refusal, items, readable_fields
from schemas.codec.quarantine import KEPT_VALUE_BYTES
from schemas.partitioning import shard_of
from schemas.registry import by_id
from schemas.topics import COMMANDS
from schemas.wire import FRAME_BYTES


class Target(NamedTuple):
    """What a redrive produces to payments.commands."""

    partition: int
    key: bytes | None
    value: bytes


class Diagnosis(NamedTuple):
    """`target` is what would be sent, and None only where the bytes are not complete; `ready` = it would be decided."""

    commands: list[Command]
    """What the record asks for, as far as it decodes."""
    fields: ReadableFields | None
    """What can be read of a record that does not decode."""
    ready: bool
    target: Target | None
    wrong: str
    advice: str

    def operation_ids(self, shards: int) -> list[bytes]:
        """The ids under which these commands are decided: the same after a redrive as from any other sender."""
        return [
            derive_operation_id(c.authority, c.idempotency_key, shard_of(c.authority, shards)) for c in self.commands
        ]


_AGAIN: Final = "Ask the sender to send it again, corrected; then discard this one and say so."
_REDRIVE: Final = "Redrive it: the same command, with the same idempotency key, goes"
_WRONG: Final[dict[Reason | None, str]] = {
    Reason.IDEMPOTENCY_KEY_MISSING: "It has no idempotency key: a repeat could not be told from a new payment.",
    Reason.TEXT_TOO_LONG: f"The key has more than {MAX_KEY_CHARS} or the description more than {MAX_DESCRIPTION_CHARS}"
    " characters.",
    Reason.MALFORMED: "It holds U+0000, or does not name the parties of its kind: two of a payment, one otherwise.",
}
"""Why a command that decodes can't be decided."""


def diagnose(case: Case, shards: int) -> Diagnosis:
    """What to make of a case that was read with its bytes."""
    if case.origin.topic != COMMANDS.name or case.value_bytes >= KEPT_VALUE_BYTES:
        wrong = f"Only the first {KEPT_VALUE_BYTES:,} bytes were kept, or it is no command: there is nothing to send."
        return Diagnosis([], None, False, None, wrong, _AGAIN)
    value = _record_value(case)
    try:
        commands = [decode_body(body) for body in items(value)]
    except UndecodableRecord:
        return _unreadable(case, value)
    refusals = [refusal for command in commands if (refusal := form_refusal(command)) is not None]
    target = _target(case, commands, value, shards)
    if refusals or not commands:
        wrong = _WRONG[refusals[0]] if refusals else "The packed record holds no command."
        return Diagnosis(commands, None, False, target, wrong, _AGAIN)
    return Diagnosis(commands, None, True, target, *_explained(case, target))


def _record_value(case: Case) -> bytes:
    """The bytes as a record. Kept is a command body, but for a record that was broken as a whole (malformed, item 0):
    its bytes are sent as they came, unless they read as a body and as nothing else.
    """
    if case.reason != Reason.MALFORMED or case.origin.item > 0:
        return as_record(case.value)
    return as_record(case.value) if not _decodes(case.value) and _decodes(as_record(case.value)) else case.value


def _decodes(value: bytes) -> bool:
    try:
        return [decode_body(body) for body in items(value)] != []
    except UndecodableRecord:
        return False


def _target(case: Case, commands: list[Command], value: bytes, shards: int) -> Target:
    """One command goes to the partition of its account, anything else to where it came from."""
    if len(commands) != 1:
        return Target(case.origin.partition, case.key, value)
    authority = commands[0].authority
    return Target(shard_of(authority, shards), authority, value)


def _unreadable(case: Case, value: bytes) -> Diagnosis:
    target = Target(case.origin.partition, case.key, value)
    fields = None if _is_framed(case.value) else readable_fields(case.value)
    return Diagnosis([], fields, False, target, f"The bytes are no command: {case.detail}.", _AGAIN)


def _is_framed(value: bytes) -> bool:
    """True where the bytes begin like a whole record of the contract, and not like a command body."""
    return value[:1] == b"\0" and by_id(int.from_bytes(value[1:FRAME_BYTES], "big")) is not None


def _explained(case: Case, target: Target) -> tuple[str, str]:
    if case.reason == Reason.WRONG_PARTITION:
        return (
            f"The command reached partition {case.origin.partition}; its account belongs to {target.partition}.",
            f"{_REDRIVE} to partition {target.partition}. Then correct the sender: the key of the record is the account"
            " (16 bytes), partitioned by murmur2 as in the Java client.",
        )
    return "This release can read it; the one that set it aside could not.", f"{_REDRIVE} to {target.partition}."
