"""A text about a person that does not show itself: not in a log, an error, a traceback, JSON or a pickle."""

import hmac
from typing import Final, NoReturn, SupportsIndex

_SHOWN: Final = "Personal(…)"


class Personal:
    """Wraps the text from where it is read to where it is sealed or answered; `reveal` is the only way to it.

    `json`, `msgspec` and `fastavro` refuse it, because it is none of their types.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself. Every call of this is a place to look at in a review."""
        return self._text

    def __repr__(self) -> str:
        return _SHOWN

    def __str__(self) -> str:
        return _SHOWN

    def __format__(self, _: str) -> str:
        return _SHOWN

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Personal) and hmac.compare_digest(self._text.encode(), other._text.encode())

    def __hash__(self) -> int:
        return hash((Personal, self._text))

    def __reduce_ex__(self, _: SupportsIndex) -> NoReturn:
        raise TypeError("a personal value is neither copied nor pickled: seal it")
