"""How good the comparison is on labelled pairs.

Reads a CSV file with the columns name1, name2, is_match and schema; others are ignored.
"""

import csv
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from payments.screening.comparison import SCORE_MAX, compare
from payments.screening.decisions import DEFAULT_THRESHOLDS
from payments.screening.names import Schema, read_name
from payments.screening.spelling import consonants_of, word

COLUMNS: Final = ("name1", "name2", "is_match", "schema")

_LABELS: Final = {"true": True, "1": True, "false": False, "0": False}
_SCHEMAS: Final = {"person": Schema.PERSON, "vessel": Schema.VESSEL, "airplane": Schema.AIRCRAFT}
"""Any other kind (Company, Organization, LegalEntity, none) is read as an organisation."""


class PairsRefused(Exception):
    """The file of pairs is not one: line, what is wrong, what to do."""


class Pair(NamedTuple):
    """Two names, and whether they are of the same one."""

    name1: str
    name2: str
    is_match: bool
    schema: Schema


class Scored(NamedTuple):
    """A score, and whether the names are of the same one."""

    permille: int
    is_match: bool


class Evaluation(msgspec.Struct):
    """`us_per_pair`: processor time for reading both names and comparing them, each word for the first time."""

    pairs: int
    precision: float
    recall: float
    f1: float
    us_per_pair: float
    threshold: float


def read_pairs(path: Path) -> list[Pair]:
    """The pairs of the file. Raises PairsRefused, OSError."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.DictReader(file)
        try:
            missing = [column for column in COLUMNS if column not in (rows.fieldnames or ())]
            if missing:
                raise PairsRefused(f"{path.name}, line 1: no column {', '.join(missing)}; the first line names them")
            pairs = [_pair(row, f"{path.name}, line {rows.line_num}") for row in rows]
        except (csv.Error, UnicodeDecodeError) as error:
            raise PairsRefused(f"{path.name}, line {rows.line_num + 1}: {error}; give CSV in UTF-8") from error
    if not pairs:
        raise PairsRefused(f"{path.name}: no pairs; each line after the first is one")
    return pairs


def _pair(row: dict[str, str | None], place: str) -> Pair:
    name1, name2, said, schema = ((row[column] or "").strip() for column in COLUMNS)
    is_match = _LABELS.get(said.lower())
    if is_match is None:
        raise PairsRefused(f"{place}: is_match is {said!r}; write true, false, 1 or 0")
    if not name1 or not name2:
        raise PairsRefused(f"{place}: a name is empty; give both")
    return Pair(name1, name2, is_match, _SCHEMAS.get(schema.lower(), Schema.ORGANIZATION))


def evaluate(pairs: Sequence[Pair]) -> Evaluation:
    """Precision, recall and F1 at the threshold for a possible match. Raises ValueError for a name that is too long."""
    for pair in pairs:
        read_name(pair.name1, pair.schema)  # anyascii loads the table of a script when it meets the script
    word.cache_clear()
    consonants_of.cache_clear()
    started = time.process_time()
    scored = [_scored(pair) for pair in pairs]
    elapsed_s = time.process_time() - started
    threshold = DEFAULT_THRESHOLDS.possible
    precision, recall, f1 = quality(scored, threshold)
    us_per_pair = round(elapsed_s / len(pairs) * 1e6, 1)
    return Evaluation(len(pairs), precision, recall, f1, us_per_pair, threshold / SCORE_MAX)


def _scored(pair: Pair) -> Scored:
    left, right = read_name(pair.name1, pair.schema), read_name(pair.name2, pair.schema)
    return Scored(compare(left, right).score_permille, pair.is_match)


def quality(scored: Iterable[Scored], threshold: int) -> tuple[float, float, float]:
    """Precision, recall and F1, to four digits; 0 where nothing was found."""
    found = missed = wrong = 0
    for permille, is_match in scored:
        found += is_match and permille >= threshold
        missed += is_match and permille < threshold
        wrong += not is_match and permille >= threshold
    if not found:
        return 0.0, 0.0, 0.0
    shares = found / (found + wrong), found / (found + missed), 2 * found / (2 * found + wrong + missed)
    return round(shares[0], 4), round(shares[1], 4), round(shares[2], 4)
