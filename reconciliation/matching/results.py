"""What every matcher answers: which lines belong together and why, and what is broken between the rest."""

from typing import Generic, TypeVar

from msgspec import Struct

from reconciliation.matching.breaks import BreakType

L = TypeVar("L")


class Match(Struct, Generic[L], frozen=True, gc=False, rename={"pass_": "pass"}):
    """Lines that belong together. `score` is 0 to 100: below 100 a person should look; `note` is what still differs."""

    pass_: str
    keys: dict[str, str]
    score: int
    internal: tuple[L, ...]
    external: tuple[L, ...]
    note: str = ""


class Break(Struct, Generic[L], frozen=True, gc=False):
    """One disagreement. `difference` is internal − external: minor units, or a decimal where there is no currency."""

    type: BreakType
    reason: str
    keys: dict[str, str]
    difference: int | str
    currency: str
    internal: tuple[L, ...]
    external: tuple[L, ...]


class Outcome(Struct, Generic[L], frozen=True):
    """Every line is in exactly one match or one break. `suggestions` are for people: they match nothing."""

    matches: list[Match[L]]
    breaks: list[Break[L]]
    suggestions: list[Match[L]] = []
