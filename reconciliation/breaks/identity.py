"""Which break of today is the one of yesterday. Pure.

A break is about its first internal line, else its first external one: what was missing yesterday and differs in its
amount today is one break, with one id. Where it names no line, its type and keys are what it is about.
"""

from collections.abc import Iterable
from uuid import UUID

from payments.identifiers import NIL, derive_consequence_id
from reconciliation.matching.breaks import BreakType


def break_id(
    rule_set: str, type_: BreakType, keys: dict[str, str], internal: Iterable[str], external: Iterable[str]
) -> UUID:
    """`internal` and `external` are the keys of lines, which are the same in every run."""
    ours, theirs = min(internal, default=""), min(external, default="")
    about = ("i", ours) if ours else ("e", theirs) if theirs else (type_.value, *sorted(map("=".join, keys.items())))
    return UUID(bytes=derive_consequence_id(NIL, "\x1f".join(("break", rule_set, *about))))
