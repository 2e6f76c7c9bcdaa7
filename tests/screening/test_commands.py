"""Goal: `millrace screening evaluate|check` print for people and for machines, and say what is wrong in a line."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from millrace.cli import EXIT_FAILED, EXIT_USAGE, app
from millrace.commands import output
from screening import cross_validation
from tests.screening.lists.samples import ALT_CSV, EU_XML, SDN_XML, UN_XML
from tests.screening.test_evaluation import PAIRS

runner = CliRunner()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """List files and labelled pairs."""
    for console in (output.screen, output.errors):
        monkeypatch.setattr(console, "_width", 300)
    texts = {"sdn.xml": SDN_XML, "un.xml": UN_XML, "eu.xml": EU_XML, "alt.csv": ALT_CSV, "pairs.csv": PAIRS}
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def evaluated(*arguments: str) -> Any:
    result = runner.invoke(app, ["screening", "evaluate", *arguments, "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_evaluate_as_json(folder: Path) -> None:
    figures = evaluated(str(folder / "pairs.csv"))
    assert figures.pop("us_per_pair") > 0
    assert figures == {"pairs": 5, "precision": 0.6667, "recall": 0.6667, "f1": 0.6667, "threshold": 0.75}


def test_cross_validation(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two folds of two shuffles, for the time it takes."""
    monkeypatch.setattr(cross_validation, "FOLDS", 2)
    monkeypatch.setattr(cross_validation, "SHUFFLES", 2)
    validated = evaluated(str(folder / "pairs.csv"), "--cross-validate")["cross_validation"]
    assert (validated["folds"], validated["shuffles"]) == (2, 2)
    assert 0 <= validated["f1_least"] <= validated["f1_mean"] <= 1
    assert {sum(counts.values()) for counts in validated["weights_chosen"].values()} == {4}
    shown = runner.invoke(app, ["screening", "evaluate", str(folder / "pairs.csv"), "--cross-validate"])
    assert f"{validated['f1_mean']} ± {validated['f1_sd']}" in shown.stdout


def test_evaluate_for_people(folder: Path) -> None:
    result = runner.invoke(app, ["screening", "evaluate", str(folder / "pairs.csv")])
    assert result.exit_code == 0
    assert ["pairs", "5"] in [line.split() for line in result.stdout.splitlines()]


def check(name: str, *arguments: str, lists: list[Path]) -> Any:
    options = [part for path in lists for part in ("--list", str(path))]
    result = runner.invoke(app, ["screening", "check", name, *options, *arguments])
    return result


def test_check_as_json(folder: Path) -> None:
    lists = [folder / "sdn.xml", folder / "un.xml", folder / "eu.xml"]
    result = check("Osmenow, Tarik", "--json", lists=lists)
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    assert found["entries"] == 7
    assert found["skipped"]["eu"] == {"entry_without_name": 1}
    assert {(one["source"], one["uid"], one["verdict"]) for one in found["found"]} == {
        ("ofac", "101", "match"),
        ("un", "6900001", "possible"),
        ("eu", "13", "match"),
    }
    first = found["found"][0]
    assert first["score"] == 0.925
    assert first["differences"] == [["spelling", "osmenow", "osmanow", 75]]
    assert first["programmes"]


def test_check_for_people(folder: Path) -> None:
    result = check("Osmenow, Tarik", lists=[folder / "sdn.xml"])
    assert result.exit_code == 0
    assert "spelling osmenow/osmanow −0.075" in result.stdout
    assert "ofac: 1 left out, entry without name" in result.stderr
    assert "Clear" in check("Jane Belkin", lists=[folder / "sdn.xml"]).stdout


def test_a_schema_is_asked_for(folder: Path) -> None:
    lists = [folder / "sdn.xml"]
    assert "AURORA 3" in check("Aurora III", "--schema", "vessel", lists=lists).stdout
    assert check("Aurora III", "--schema", "boat", lists=lists).exit_code == EXIT_USAGE


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["check", "Tarik", "--list", "{}/alt.csv"], "alt.csv, line 1: aliases or addresses without their entries"),
        (["check", "Tarik", "--list", "{}/none.xml"], "No such file"),
        (["check", "x" * 501, "--list", "{}/sdn.xml"], "a name has at most 500 characters"),
        (["evaluate", "{}/sdn.xml"], "sdn.xml, line 1: no column name1"),
        (["evaluate", "{}/none.csv"], "No such file"),
    ],
    ids=["aliases alone", "no list", "long name", "no pairs", "no file"],
)
def test_what_is_wrong_is_said_in_one_line(folder: Path, arguments: list[str], message: str) -> None:
    given = [one.replace("{}", str(folder)) for one in arguments]
    result = runner.invoke(app, ["screening", *given, "--json"])
    assert result.exit_code == EXIT_FAILED
    assert message in json.loads(result.stdout)["error"]
