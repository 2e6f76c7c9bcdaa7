"""Journals of several legs."""

from dataclasses import dataclass

from payments.identifiers import NIL
from payments.items.details import Posting
from payments.movements.instructions.instruction import Instruction


@dataclass(frozen=True, slots=True, kw_only=True)
class PostJournal(Instruction):
    """A balanced journal of two to MAX_LEGS legs, posted whole or not at all. The first leg's account coordinates."""

    legs: tuple[Posting, ...]
    code: str = ""
    """Why, where it is an adjustment: break id or reason."""

    @property
    def authority(self) -> bytes:
        return self.legs[0].account if self.legs else NIL
