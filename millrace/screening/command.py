"""`millrace screening evaluate|check`: how good the name comparison is, and who on a list a name may be."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
from rich.table import Table
from rich.text import Text

from millrace.commands.output import Shown, faults_shown, print_json, screen
from millrace.environment import EnvironmentFault
from millrace.environment.progress import Progress, Silent
from payments.screening.comparison import SCORE_MAX, Deduction
from payments.screening.decisions import Hit, Subject
from payments.screening.decisions import screen as screen_subject
from payments.screening.index import NameIndex
from payments.screening.names import Schema
from screening import cross_validation
from screening.evaluation import PairsRefused, evaluate, read_pairs
from screening.lists.files import read_files
from screening.lists.published import ListRefused, PublishedList


class FoundEntry(msgspec.Struct):
    """An entry that the name may be."""

    verdict: str
    score: float
    source: str
    uid: str
    name: str
    quality: str
    schema: str
    programmes: tuple[str, ...]
    birth_dates: tuple[str, ...]
    countries: tuple[str, ...]
    differences: tuple[Deduction, ...]


def run_evaluate(pairs: Path, *, cross_validate: bool, as_json: bool) -> None:
    """Figures of the comparison on labelled pairs."""
    progress = _progress(as_json=as_json)
    with faults_shown(as_json=as_json), refusals_shown():
        labelled = read_pairs(pairs)
        progress.step(f"comparing {len(labelled):,} pairs")
        figures = msgspec.to_builtins(evaluate(labelled))
        if cross_validate:
            with progress.bytes("folds", cross_validation.FOLDS * cross_validation.SHUFFLES) as on_fold:
                figures["cross_validation"] = cross_validation.cross_validate(labelled, on_fold)
    if as_json:
        print_json(figures)
    else:
        _print_figures(figures)


def _print_figures(figures: dict[str, Any]) -> None:
    table = Table(box=None, show_header=False)
    validated = figures.pop("cross_validation", None)
    for name, value in figures.items():
        table.add_row(name.replace("_", " "), str(value))
    if validated is not None:
        table.add_row("cross-validated f1", f"{validated.f1_mean} ± {validated.f1_sd}, least {validated.f1_least}")
    screen.print(table)


def run_check(name: str, files: Sequence[Path], *, schema: Schema | None, as_json: bool) -> None:
    """Who on the lists the name may be; exit code 0 either way."""
    progress = _progress(as_json=as_json)
    with faults_shown(as_json=as_json), refusals_shown():
        lists = list(read_lists(files, progress))
        progress.step(f"index of {sum(len(one.entries) for one in lists):,} entries")
        index = NameIndex(entry for one in lists for entry in one.entries)
        hits = screen_subject(index, Subject("", (name,), schema))
    if as_json:
        skipped = {one.source: one.skipped for one in lists}
        print_json({"entries": sum(len(one.entries) for one in lists), "skipped": skipped, "found": _found(hits)})
    else:
        _print_hits(hits)


def read_lists(files: Sequence[Path], progress: Progress) -> Iterator[PublishedList]:
    """The lists in these files; tells what is left out. Raises ListRefused, OSError."""
    progress.step(f"reading {', '.join(path.name for path in files)}")
    for one in read_files(files):
        for reason, count in one.skipped.items():
            progress.step(f"{one.source}: {count} left out, {reason.replace('_', ' ')}")
        yield one


def _found(hits: Sequence[Hit]) -> list[FoundEntry]:
    return [
        FoundEntry(
            hit.verdict,
            hit.found.comparison.score_permille / SCORE_MAX,
            hit.found.entry.source,
            hit.found.entry.uid,
            hit.found.name,
            hit.found.quality,
            hit.found.entry.schema,
            hit.found.entry.programmes,
            hit.found.entry.birth_dates,
            hit.found.entry.countries,
            hit.found.comparison.deductions,
        )
        for hit in hits
    ]


def _print_hits(hits: Sequence[Hit]) -> None:
    table = Table("verdict", "score", "list", "uid", "name", "born", "programme", "what differs", box=None)
    for one in _found(hits):
        differences = "; ".join(map(_difference, one.differences))
        cells = one.source, one.uid, one.name, ", ".join(one.birth_dates), ", ".join(one.programmes), differences
        table.add_row(one.verdict, f"{one.score:.3f}", *map(Text, cells))
    screen.print(table if hits else "Clear: nobody on these lists is named like that.")


def _difference(deduction: Deduction) -> str:
    words = "/".join(filter(None, (deduction.left, deduction.right)))
    return f"{deduction.difference.replace('_', ' ')} {words} −{deduction.permille / SCORE_MAX:g}"


def _progress(*, as_json: bool) -> Progress:
    return Silent() if as_json else Shown()


@contextmanager
def refusals_shown() -> Iterator[None]:
    """A file that is refused, or a name that is too long, is said in one line."""
    try:
        yield
    except (ListRefused, PairsRefused, OSError, ValueError) as error:
        raise EnvironmentFault(str(error)) from error
