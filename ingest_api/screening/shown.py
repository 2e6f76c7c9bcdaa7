"""What operators send of parties, and what analysts see of hits. Names go out to who may read them, nowhere else."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Literal

import msgspec

from ingest_api.aliases.parties import USER
from ingest_api.http.resources import rfc3339
from payments.identifiers import format_id
from payments.screening.comparison import SCORE_MAX
from payments.screening.entries import ListEntry
from payments.screening.names import NAME_CHARACTERS_MAX
from screening.hits import HitStatus

NAMES_MAX: Final = 20
"""20 × 3 ms: one party is screened in 60 ms at most."""

_NameText = Annotated[str, msgspec.Meta(min_length=1, max_length=NAME_CHARACTERS_MAX)]
_REASON_CHARS_MAX: Final = 1_000

WORDS: Final = {
    HitStatus.OPEN: "open",
    HitStatus.CLEARED: "false_positive",
    HitStatus.CONFIRMED: "true_match",
    HitStatus.WITHDRAWN: "withdrawn",
}
DECISIONS: Final = {WORDS[status]: status for status in (HitStatus.CLEARED, HitStatus.CONFIRMED)}
HitStatusText = Literal["open", "false_positive", "true_match", "withdrawn"]


class PartyBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """All names of a user, or of the holder of a bank account that a user has linked: they replace those before."""

    type: Literal["person", "organization"]
    names: Annotated[tuple[_NameText, ...], msgspec.Meta(min_length=1, max_length=NAMES_MAX)]


class Party(msgspec.Struct):
    """Who is screened. `status`: `clear`, `waiting_for_verification` or `true_match`; but for `clear` the user's
    accounts give no money. `screened_version`: the newest list that the names were compared with.
    """

    id: str
    user: str
    type: str
    names: list[str]
    status: str
    screened_version: int | None


class HitDecisionBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Who the party is or is not, and why. A true match becomes a false positive when two analysts say so."""

    decision: Literal["true_match", "false_positive"]
    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=_REASON_CHARS_MAX)]


class ListDifference(msgspec.Struct):
    """What differs from the listed name, with the listed word, and what it costs of the score."""

    difference: str
    listed: str
    cost: str


class HitDecision(msgspec.Struct):
    """What somebody has decided."""

    decision: str
    reason: str
    by: str
    at: str


class ScreeningHit(msgspec.Struct):
    """An entry of a list that a party may be. `names` are the party's, `listed_name` and what follows the entry's."""

    id: str
    status: str
    party: str
    user: str
    names: list[str]
    list: str
    uid: str
    listed_name: str
    listed_aliases: Sequence[str]
    birth_dates: Sequence[str]
    countries: Sequence[str]
    programmes: Sequence[str]
    verdict: str
    score: str
    differences: Sequence[ListDifference]
    found_at: str
    decisions: Sequence[HitDecision]


class ScreeningHitPage(msgspec.Struct):
    """Hits, the oldest first. `next_cursor` leads on where `has_more`."""

    items: list[ScreeningHit]
    has_more: bool
    next_cursor: str | None


RESOURCES: Final = (PartyBody, Party, HitDecisionBody, ScreeningHit, ScreeningHitPage)


def shown_party(row: Mapping[str, Any], names: Sequence[str]) -> Party:
    """A row of reads.PARTY with its names."""
    return Party(
        id=row["party_id"],
        user=format_id(USER, row["user_id"].bytes),
        type=row["schema"],
        names=list(names),
        status=row["status"],
        screened_version=row["screened_version"],
    )


def shown_hit(row: Mapping[str, Any], names: Sequence[str]) -> ScreeningHit:
    """A row of reads.HITS with the names of its party."""
    entry = msgspec.convert(row["content"], ListEntry)
    return ScreeningHit(
        id=str(row["hit"]),
        status=WORDS[HitStatus(row["status"])],
        party=row["subject_id"],
        user=format_id(USER, row["user_id"].bytes),
        names=list(names),
        list=row["source"],
        uid=row["uid"],
        listed_name=entry.name,
        listed_aliases=[alias.text for alias in entry.aliases],
        birth_dates=entry.birth_dates,
        countries=entry.countries,
        programmes=entry.programmes,
        verdict=row["verdict"],
        score=_thousandths(row["score_permille"]),
        differences=[
            ListDifference(kind, word, _thousandths(cost)) for kind, word, cost in row["explanation"]["differences"]
        ],
        found_at=rfc3339(row["found_at"]),
        decisions=[_decision(*one) for one in zip(*(row[part] for part in _DECISION_PARTS), strict=True)],
    )


_DECISION_PARTS: Final = ("decided", "because_of", "deciders", "decided_times")


def _decision(status: int, because: str, by: str, at: Any) -> HitDecision:
    return HitDecision(WORDS[HitStatus(status)], because, by, rfc3339(at))


def _thousandths(permille: int) -> str:
    whole, rest = divmod(permille, SCORE_MAX)
    return f"{whole}.{rest:03}"
