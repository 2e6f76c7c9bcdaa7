"""Goal: the format of a file is read from what is in it, and OFAC's three CSV files are one list."""

from pathlib import Path

import pytest

from payments.screening.entries import Source
from screening.lists.files import read_files
from screening.lists.published import ListRefused
from tests.screening.lists.samples import ADD_CSV, ALT_CSV, EU_XML, SDN_CSV, SDN_XML, UN_XML


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    texts = {"a": SDN_CSV, "b": ALT_CSV, "c": ADD_CSV, "d": UN_XML, "e": "\ufeff" + EU_XML, "f": SDN_XML}
    for name, text in texts.items():
        (tmp_path / name).write_text(text, encoding="utf-8", newline="")
    return tmp_path


def test_files_in_any_order_and_of_any_name(folder: Path) -> None:
    found = list(read_files(folder / name for name in "cdbea"))
    assert [(one.source, len(one.entries)) for one in found] == [(Source.UN, 2), (Source.EU, 2), (Source.OFAC, 3)]
    assert found[2].entries[0].countries == ("Freedonia", "Elbonia")
    assert len(found[2].entries[0].aliases) == 2


def test_entries_may_come_without_aliases(folder: Path) -> None:
    [found] = read_files([folder / "a"])
    assert len(found.entries) == 3


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ("bc", "b, line 1: aliases or addresses without their entries; give SDN.CSV too"),
        ("aa", "a, line 1: a second SDN.CSV after a; give each file once"),
        ("g", "g, line 1: XML with the outermost element <html>; give OFAC's"),
        ("h", "h, line 1: neither XML nor OFAC's CSV"),
        ("i", "i, line 1: neither XML nor OFAC's CSV"),
    ],
)
def test_other_files_are_refused(folder: Path, names: str, message: str) -> None:
    (folder / "g").write_text("<!-- moved --><html><body>Moved</body></html>")
    (folder / "h").write_text("a,b\n1,2\n")
    (folder / "i").write_text("")
    with pytest.raises(ListRefused) as refused:
        list(read_files(folder / name for name in names))
    assert str(refused.value).startswith(message)
