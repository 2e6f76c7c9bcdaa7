"""The fields of one logical record of BAI2, taken from its physical lines one after the other."""

import re
from collections.abc import Iterator

from reconciliation.statements.refusals import Reason, Refused
from reconciliation.statements.values import implied_minor, minor, short_day

DESCRIPTION_CHARS_MAX = 4_000
_SPLIT_AMOUNTS = 3
"""Funds type S: immediate, one-day and more-than-one-day availability."""


class Amounts:
    """Amounts of a currency, decimals implied; some banks write the decimal point nevertheless."""

    def __init__(self, currency: str) -> None:
        self._currency = currency

    def read(self, text: str) -> int:
        """Minor units; blank is zero. Raises Refused."""
        text = text.strip()
        if not text:
            return 0
        return minor(text, self._currency) if "." in text and self._currency else implied_minor(text)


class Fields:
    """A cursor over comma-separated fields. A field that is not there is blank."""

    def __init__(self, parts: list[str]) -> None:
        self._parts = parts
        self._next = 0
        self._open: str | None = None
        self._pull()

    def _pull(self) -> bool:
        """Go to the next physical line; False behind the last."""
        if self._next >= len(self._parts):
            self._open = None
            return False
        self._open = self._parts[self._next]
        self._next += 1
        return True

    def take(self) -> str:
        """The next field."""
        if self._open is None and not self._pull():
            return ""
        field, comma, rest = (self._open or "").partition(",")
        self._open = rest if comma else None
        return field.strip()

    def reference(self) -> str:
        """The next field, unless only the text of a continuation is left: a line without commas is no reference."""
        if self._open is None and self._next < len(self._parts) and "," not in self._parts[self._next]:
            return ""
        return self.take()

    def rest(self) -> str:
        """Everything that is left: text may have commas and slashes in it."""
        left = [] if self._open is None else [self._open]
        words = " ".join((*left, *self._parts[self._next :])).split()
        self._open, self._next = None, len(self._parts)
        return " ".join(words)[:DESCRIPTION_CHARS_MAX]

    def _ended(self) -> bool:
        return self._open is None and self._next >= len(self._parts)

    def summaries(self, amounts: Amounts) -> Iterator[tuple[str, int]]:
        """Type code and amount of each balance or summary of an account (03)."""
        while not self._ended():
            code = self.take()
            if not code:
                continue
            if not re.fullmatch(r"\d{1,9}", code, re.ASCII):
                raise Refused(Reason.FIELD, f"{code[:20]!r} is no type code")
            amount = self.take()
            self.take()  # number of items
            self.funds()
            if amount:
                yield code, amounts.read(amount)

    def funds(self) -> str | None:
        """Take a funds type with what belongs to it; the value date, where it names one."""
        kind = self.take().upper()
        match kind:
            case "V":
                date, _time = self.take(), self.take()
                return short_day(date)
            case "S":
                for _ in range(_SPLIT_AMOUNTS):
                    self.take()
            case "D":
                days = self.take()
                for _ in range(2 * min(int(days), 100) if days.isdecimal() else 0):
                    self.take()
            case "" | "0" | "1" | "2" | "Z":
                pass
            case _:
                raise Refused(Reason.FIELD, f"{kind[:10]!r} is no funds type")
        return None
