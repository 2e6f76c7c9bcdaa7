"""docs/events.md is what its sources say, and the check notices when it is not."""

from pathlib import Path

import pytest

from payments.entries import EntryKind
from payments.postings import MOVEMENTS
from payments.rejections import Reason
from schemas import documents
from schemas.registry import registered
from schemas.topics import CATALOGUE


def test_the_committed_page_is_up_to_date() -> None:
    assert documents.PAGE.read_text() == documents.page(), "run `python -m schemas.documents`"


def test_the_page_names_everything() -> None:
    page = documents.page()
    names = [topic.name for topic in CATALOGUE] + [schema.record for schema in registered()]
    names += [kind.name for kind in EntryKind] + [kind.name for kind in MOVEMENTS]
    names += [reason.value for reason in Reason if reason is not Reason.NONE]
    assert [name for name in names if name not in page] == []


def test_every_row_of_a_table_has_the_cells_of_its_head() -> None:
    width = 0
    for line in documents.page().splitlines():
        cells = line.replace("\\|", "").count("|")
        assert cells in (0, width) or width == 0, line
        width = cells


def test_the_check_refuses_a_page_that_is_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "PAGE", tmp_path / "events.md")
    monkeypatch.setattr("sys.argv", ["documents", "--check"])
    with pytest.raises(SystemExit, match="behind"):
        documents.main()
    monkeypatch.setattr("sys.argv", ["documents"])
    documents.main()
    documents.PAGE.write_text(documents.PAGE.read_text().replace("insufficient_funds", "no_money"))
    monkeypatch.setattr("sys.argv", ["documents", "--check"])
    with pytest.raises(SystemExit, match="behind"):
        documents.main()
