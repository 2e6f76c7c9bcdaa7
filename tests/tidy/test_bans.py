"""Goal: what the house does without, it does without everywhere; each ban names its replacement."""

import ast
import re
from dataclasses import dataclass
from pathlib import PurePath

import pytest

from schemas.topics import CATALOGUE
from tests.tidy.sources import ROOT, Source, docstrings, python_sources, text_files


@dataclass(frozen=True)
class Ban:
    """A pattern, the folders where it must not occur, and what to use instead."""

    name: str
    pattern: str
    folders: tuple[str, ...]
    instead: str


BANS = (
    Ban("float in money", r"\bfloat\b", ("payments/", "sinks/"), "int minor units and a currency (payments.money)"),
    Ban("clock in decisions", r"datetime\.now|utcnow|\btime\.time\b", ("payments/",), "the record's time, passed in"),
    Ban("chance in decisions", r"\brandom\.|\buuid4\b|\bsecrets\.", ("payments/",), "ids derived from the cause"),
    Ban("left-over work", r"\b(TO" + r"DO|FIX" + r"ME|HA" + r"CK)\b", ("",), "an issue, or do it now"),
    Ban("wildcard import", r"^from \S+ import \*", ("",), "the names that are used"),
    Ban("silenced types", r"# type: ignore(?!\[)", ("",), "the error's code in brackets, and a reason nearby"),
)

_MACHINE_PATH = re.compile(r"(?<![\w.])/(?:work|tmp|root|home/\w+)/\w")
_WASTE_BASKETS = {"utils", "util", "helpers", "helper", "manager", "data", "info", "common", "base", "misc", "core"}
_MEASURED_CORE = "benchmarks/core/"
"""The benchmark of the pure core, payments/: here the word says what is measured."""

BROAD_EXCEPT_ALLOWED = {
    "connectors/rounds.py": "what is looked for beside the money is told of and begun again; money does not wait",
    "ingest_api/http/serving.py": "an unforeseen fault of one request becomes a 500 problem and a log record",
    "runtime/exactly_once/engine.py": "whatever it was, the cycle is in doubt: the worker crashes",
    "runtime/exactly_once/membership.py": "whatever it was, the assignment is in doubt: the worker crashes",
    "runtime/exactly_once/restoring.py": "raised again on the thread that asks for the result",
    "runtime/exactly_once/watchdog.py": "whatever it was, nobody watches any more: the worker crashes",
}
"""Files at a boundary that may catch everything, and why."""


@pytest.mark.parametrize("ban", BANS, ids=lambda ban: ban.name)
def test_banned(ban: Ban) -> None:
    found = [
        f"{source.path}:{number}: {line.strip()}"
        for source in python_sources()
        if source.path.startswith(ban.folders) and not source.path.startswith("tests/tidy/")
        for number, line in enumerate(source.lines, 1)
        if re.search(ban.pattern, line)
    ]
    assert found == [], f"use {ban.instead}"


def test_a_topic_is_named_in_one_place() -> None:
    """Everywhere else: schemas.topics."""
    names = {topic.name for topic in CATALOGUE}
    found = [
        f"{source.path}:{node.lineno}: {node.value}"
        for source in python_sources()
        if source.path != "schemas/topics.py" and not source.is_test
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Constant) and node.value in names and id(node) not in docstrings(source)
    ]
    assert found == [], "use schemas.topics"


def _swallows_everything(handler: ast.ExceptHandler) -> bool:
    """Bare, Exception or BaseException, without raising again at its end."""
    caught = handler.type
    broad = caught is None or (isinstance(caught, ast.Name) and caught.id in {"Exception", "BaseException"})
    last = handler.body[-1]
    return broad and not isinstance(last, ast.Raise)


def test_errors_are_caught_by_name() -> None:
    """The list of boundaries holds just the files that need it."""
    found = {
        source.path
        for source in python_sources()
        if not source.is_test
        for node in ast.walk(source.tree)
        if isinstance(node, ast.ExceptHandler) and _swallows_everything(node)
    }
    assert found == set(BROAD_EXCEPT_ALLOWED), (
        "catch the errors that are expected; a boundary is listed with its reason"
    )


def test_nothing_depends_on_one_machine() -> None:
    """Use a path below the project, `Settings.home`, or tmp_path."""
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}"
        for path in text_files()
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1)
        if _MACHINE_PATH.search(line)
    ]
    assert found == [], "use a path relative to the project, Settings.home, or tmp_path"


@pytest.mark.parametrize("source", python_sources(), ids=lambda source: source.path)
def test_no_file_is_a_waste_basket(source: Source) -> None:
    """Name it after what is in it."""
    path = source.path.removeprefix(_MEASURED_CORE)
    words = {PurePath(part).stem for part in path.split("/")}
    assert not words & _WASTE_BASKETS, "name it after what is in it"
