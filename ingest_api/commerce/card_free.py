"""Bodies without card numbers: every text, number and name of a document is looked at before anything else reads it."""

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from ingest_api.problems import Fault, FieldError
from runtime.personal_data.card_numbers import holds_card_number

_DECODER: Final = msgspec.json.Decoder(float_hook=str)
"""Numbers with a point as they were written: a card number with `.0` behind it is one."""

_ADVICE: Final = "This looks like a card number. Send the provider's token of the card instead."


def card_number_fault(body: bytes) -> FieldError | None:
    """The first place of a JSON document with what looks like a card number, which is not repeated. Raises what a
    decoder raises where the body is no JSON.
    """
    held = (pointer for pointer, text in _texts(_DECODER.decode(body)) if holds_card_number(text))
    pointer = next(held, None)
    return FieldError(pointer, Fault.CARD_NUMBER, _ADVICE) if pointer is not None else None


def _texts(document: Any) -> Iterator[tuple[str, str]]:
    """Everything that may hold digits, with a pointer to it; a member's name is at its object."""
    waiting = [("", document)]
    while waiting:
        pointer, value = waiting.pop()
        match value:
            case dict():
                yield from ((pointer, name) for name in value)
                waiting += [(f"{pointer}/{name}" if _may_be_shown(name) else pointer, it) for name, it in value.items()]
            case list():
                waiting += [(f"{pointer}/{index}", it) for index, it in enumerate(value)]
            case str() | int():
                yield pointer, str(value)


def _may_be_shown(name: str) -> bool:
    """Names that the API knows are words; any other one is the caller's text."""
    return name.isascii() and name.replace("_", "").isalpha()
