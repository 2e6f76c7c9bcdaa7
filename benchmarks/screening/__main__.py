"""`python -m benchmarks.screening`: one name against a list of made-up entries, and what the index loses.

Times are processor time of this process, so that neighbours on the machine count less. The truth about what is lost is
a comparison with every entry of the list.
"""

import json
import random
import sys
import time
from collections.abc import Callable
from functools import partial
from statistics import median, quantiles
from typing import Annotated, NamedTuple, TypeVar

import typer

from benchmarks.machine import machine
from benchmarks.screening.made_up_names import disguised, made_up_entries
from payments.screening.comparison import compare
from payments.screening.decisions import DEFAULT_THRESHOLDS
from payments.screening.entries import ListEntry
from payments.screening.index import CANDIDATES, NameIndex
from payments.screening.names import Schema, read_name

FLOOR = DEFAULT_THRESHOLDS.possible
SEED = 20261122
LOOKED_AT = (CANDIDATES // 2, CANDIDATES, 2 * CANDIDATES, 4 * CANDIDATES)

T = TypeVar("T")


class Question(NamedTuple):
    """A disguised name, and of what kind it is known to be."""

    text: str
    schema: Schema


def main(
    entries: Annotated[int, typer.Option(min=1_000)] = 20_000,
    questions: Annotated[int, typer.Option(min=10)] = 500,
    checked: Annotated[int, typer.Option(min=1, help="Questions also compared with every entry.")] = 100,
) -> None:
    """Print the figures as JSON."""
    listed = made_up_entries(entries, SEED)
    chance = random.Random(SEED)
    asked = [Question(disguised(one.name, chance), one.schema) for one in chance.choices(listed, k=questions)]
    index, build_ms = _timed_ms(lambda: NameIndex(listed))
    searches_ms = [_timed_ms(partial(index.search, one.text, one.schema, FLOOR))[1] for one in asked]
    wanted, lost = _lost(index, listed, asked[:checked])
    figures = {
        "machine": machine(),
        "entries": entries,
        "index_build_ms": round(build_ms),
        "search_ms_p50": round(median(searches_ms), 2),
        "search_ms_p99": round(quantiles(searches_ms, n=100)[98], 2),
        "checked": checked,
        "found_by_comparing_all": wanted,
        "lost_with_so_many_candidates": lost,
    }
    sys.stdout.write(json.dumps(figures, indent=2) + "\n")


def _timed_ms(work: Callable[[], T]) -> tuple[T, float]:
    started = time.process_time()
    done = work()
    return done, (time.process_time() - started) * 1e3


def _lost(index: NameIndex, listed: list[ListEntry], asked: list[Question]) -> tuple[int, dict[int, int]]:
    """How many entries the slow way finds, and how many of them the index does not, by candidates compared."""
    names = [(entry.key, read_name(entry.name, entry.schema)) for entry in listed]
    wanted, lost = 0, dict.fromkeys(LOOKED_AT, 0)
    for text, schema in asked:
        own, as_organization = read_name(text, schema), read_name(text, Schema.ORGANIZATION)
        truth = {
            key
            for key, name in names
            if compare(own if name.is_person else as_organization, name).score_permille >= FLOOR
        }
        wanted += len(truth)
        for candidates in LOOKED_AT:
            lost[candidates] += len(truth - {one.entry.key for one in index.search(text, schema, FLOOR, candidates)})
    return wanted, lost


if __name__ == "__main__":
    typer.run(main)
