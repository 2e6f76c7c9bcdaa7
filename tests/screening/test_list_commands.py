"""Goal: `millrace screening load|status` make a list the one in force once, and say in a line why not."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from millrace.cli import EXIT_FAILED, EXIT_USAGE, app
from tests.screening.lists.samples import SDN_XML, UN_XML


@pytest.fixture
def folder(tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MILLRACE_HOME", str(tmp_path))
    monkeypatch.setenv("DATABASE_URL", database)
    for name, text in {"sdn.xml": SDN_XML, "un.xml": UN_XML, "page.xml": "<html></html>", "notes.txt": "a,b"}.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def screening(*arguments: str, exit_code: int = 0) -> Any:
    result = CliRunner().invoke(app, ["screening", *arguments, "--json"])
    assert result.exit_code == exit_code, result.output
    return json.loads(result.stdout)


def test_a_list_that_is_loaded_twice_is_one_version(folder: Path) -> None:
    first = screening("load", str(folder / "sdn.xml"), "--list", "ofac", "--version", "2026-11-20")
    assert (first["source"], first["version"], first["is_new"], first["added"]) == ("ofac", 1, True, 3)
    assert first["skipped"] == {"birth_date_not_understood": 1, "entry_without_name": 1}
    again = screening("load", str(folder / "sdn.xml"), "--list", "ofac")
    assert (again["version"], again["is_new"], again["added"]) == (1, False, 0)
    [listed] = screening("status")["lists"]
    assert (listed["source"], listed["version"], listed["label"], listed["entries"]) == ("ofac", 1, "2026-11-20", 3)


@pytest.mark.parametrize(
    ("file", "says"),
    [
        ("un.xml", "the files hold the list of un, not of ofac: say --list un"),
        ("page.xml", "page.xml, line 1: XML with the outermost element <html>; give OFAC's SDN.XML"),
        ("notes.txt", "notes.txt, line 1: neither XML nor OFAC's CSV (2 columns); give OFAC's SDN.XML"),
        ("missing.xml", "No such file"),
    ],
)
def test_another_file_is_refused_in_a_line_and_changes_nothing(folder: Path, file: str, says: str) -> None:
    refused = screening("load", str(folder / file), "--list", "ofac", exit_code=EXIT_FAILED)
    assert says in refused["error"]
    assert screening("status")["lists"] == []


def test_a_file_that_was_cut_short_is_refused_unless_told_otherwise(folder: Path) -> None:
    screening("load", str(folder / "sdn.xml"), "--list", "ofac")
    beginning, end = SDN_XML.index("<sdnEntry>"), SDN_XML.rindex("</sdnEntry>")
    (folder / "short.xml").write_text(SDN_XML[: SDN_XML.index("</sdnEntry>", beginning)] + SDN_XML[end:])
    arguments = ["load", str(folder / "short.xml"), "--list", "ofac"]
    assert "--may-shrink" in screening(*arguments, exit_code=EXIT_FAILED)["error"]
    assert screening(*arguments, "--may-shrink")["removed"] == 2


def test_an_unknown_publisher(folder: Path) -> None:
    result = CliRunner().invoke(app, ["screening", "load", str(folder / "sdn.xml"), "--list", "moon"])
    assert result.exit_code == EXIT_USAGE
    assert "one of ofac, un, eu" in result.output


def test_rescreen_where_nothing_has_run_yet(folder: Path) -> None:
    screening("load", str(folder / "un.xml"), "--list", "un")
    assert "millrace up" in screening("rescreen", exit_code=EXIT_FAILED)["error"]
