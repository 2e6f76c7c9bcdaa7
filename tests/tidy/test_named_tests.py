"""A document that names a test as its evidence names one that exists."""

import ast
import re

import pytest

from tests.tidy.sources import ROOT, text_files

NAMED = re.compile(r"\b(tests/[\w/]+\.py)(?:::(\w+))?")
EVIDENCE = ("docs/peers_bugs.md", "docs/promises.md", "docs/security.md")


@pytest.mark.parametrize("document", EVIDENCE)
def test_evidence_is_given_by_tests(document: str) -> None:
    assert NAMED.search((ROOT / document).read_text()), "names no test at all"


def test_every_test_that_a_document_names_exists() -> None:
    missing = [
        f"{document.relative_to(ROOT)}: {path}::{name}"
        for document in text_files()
        if document.suffix == ".md" and document.name != "CHANGELOG.md"
        for path, name in NAMED.findall(document.read_text())
        if not _exists(path, name)
    ]
    assert missing == []


def test_every_bug_is_looked_for_or_excused() -> None:
    lines = (ROOT / "docs/peers_bugs.md").read_text().splitlines()
    rows = [line.strip("|").split(" | ") for line in lines if line.startswith("| ")][1:]
    for reported, _, applies, evidence in rows:
        if applies.strip().startswith("yes"):
            assert NAMED.search(evidence), f"no test: {reported}"
        else:
            assert len(evidence.strip(" |")) > 10, f"no reason: {reported}"


def test_no_bug_is_excused_by_what_has_been_built_since() -> None:
    """Refunds, disputes, captures, files and reconciliation are there: their bugs are looked for."""
    text = (ROOT / "docs/peers_bugs.md").read_text()
    excused = [line for line in text.splitlines() if "not built" in line or "there is no reconciliation" in line]
    assert excused == []


def _exists(path: str, name: str) -> bool:
    file = ROOT / path
    if not file.exists():
        return False
    if not name:
        return True
    tree = ast.parse(file.read_text())
    defined = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    assigned = {
        t.id for node in ast.walk(tree) if isinstance(node, ast.Assign) for t in node.targets if isinstance(t, ast.Name)
    }
    return name in defined | assigned
