"""Goal: a file is in the books of reconciliation whole or not at all, once, and every line of it counts once.

Method: small MT940 files with real Postgres; what is stored is read back from the tables.
"""

import hashlib
from pathlib import Path

import pytest
from psycopg import Connection

from reconciliation.store import contents
from reconciliation.store.contents import raw_line
from reconciliation.store.files import find_line, page_of_files, sources
from reconciliation.store.importing import FileStatus
from tests.reconciliation.conftest import Bring

RENT = ":61:261102C1000,00NTRFINV-7//B2\n:86:rent"
WITHOUT_NUMBER = ":61:2611021102D1,00NMSCNONREF\n:86:tram"


def statement(*movements: str, closing: str = "C261102EUR997,50", account: str = "NL01") -> str:
    lines = (":20:S1", f":25:{account}", ":28C:1/1", ":60F:C261101EUR0,00", *movements, f":62F:{closing}", "-")
    return "\n".join(lines) + "\n"


def stored(books: Connection) -> list[tuple[object, ...]]:
    query = "SELECT amount_minor, currency, booked_on::text, repeat_of IS NULL FROM recon_lines ORDER BY line_id"
    return books.execute(query).fetchall()


DAY = statement(":61:2611021102D2,50NMSCNONREF//B1\n:86:coffee", RENT)


def test_a_file_is_stored_with_every_line_and_where_it_stands(books: Connection, bring: Bring) -> None:
    found = bring("day.sta", DAY)
    assert (found.status, found.format, found.lines, found.repeats) == (FileStatus.IMPORTED, "mt940", 2, 0)
    assert stored(books) == [(-250, "EUR", "2026-11-02", True), (100_000, "EUR", "2026-11-02", True)]
    opening = books.execute("SELECT account, currency, opening_minor, closing_minor FROM recon_statements").fetchall()
    assert opening == [("NL01", "EUR", 0, 99_750)]
    row = books.execute("SELECT line_id FROM recon_lines WHERE amount_minor > 0").fetchone()
    assert row is not None
    line = find_line(books, row[0])
    assert line is not None
    assert (line.file, line.line_number, line.raw) == ("day.sta", 7, RENT.splitlines()[0])
    assert line.sha256 == hashlib.sha256(DAY.encode()).hexdigest()
    assert [(one.source, one.files, one.lines) for one in sources(books)] == [("bank", 1, 2)]


def test_the_same_bytes_are_refused_with_the_import_that_has_them(books: Connection, bring: Bring) -> None:
    first = bring("day.sta", DAY)
    for name in ("again.sta", "other.sta"):
        again = bring(name, DAY, source="another bank")
        assert (again.status, again.first_file) == (FileStatus.REFUSED, first.file_id)
    assert len(stored(books)) == 2
    assert [(one.status, one.times) for one in page_of_files(books, 10)] == [(2, 2), (1, 1)]


def test_a_file_that_ends_early_lies_whole_in_quarantine_and_leaves_nothing_else(
    books: Connection, bring: Bring
) -> None:
    cut = statement(RENT, ":61:xx", closing="C261102EUR1000,00")
    found = bring("cut.sta", cut)
    assert found.status is FileStatus.QUARANTINED
    assert found.reason
    assert stored(books) == []
    assert books.execute("SELECT count(*) FROM recon_statements").fetchone() == (0,)
    assert books.execute("SELECT content FROM recon_contents").fetchall() == [(cut.encode(),)]
    assert bring("cut.sta", cut).file_id == found.file_id, "told once, however often it is brought"
    assert bring("day.sta", DAY).status is FileStatus.IMPORTED, "what failed hinders nothing"


def test_a_line_of_two_files_counts_once_and_two_equal_lines_of_one_file_twice(books: Connection, bring: Bring) -> None:
    twice = statement(RENT, WITHOUT_NUMBER, WITHOUT_NUMBER, closing="C261102EUR998,00")
    assert bring("twice.sta", twice).repeats == 0
    with_another = statement(RENT, WITHOUT_NUMBER, WITHOUT_NUMBER, WITHOUT_NUMBER, closing="C261102EUR997,00")
    assert bring("more.sta", with_another)[-2:] == (4, 3)
    other_account = statement(RENT, closing="C261102EUR1000,00", account="NL02")
    assert bring("account.sta", other_account).repeats == 0
    assert bring("source.sta", statement(RENT, closing="C261102EUR1000,00") + "\n", "other").repeats == 0
    assert sum(int(counts) for *_, counts in stored(books)) == 3 + 1 + 1 + 1  # type: ignore[call-overload]


@pytest.mark.parametrize("piece_bytes", [1, 4, 1_000])
def test_a_line_is_found_again_wherever_the_pieces_end(
    books: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, piece_bytes: int
) -> None:
    monkeypatch.setattr(contents, "PIECE_BYTES", piece_bytes)
    text = b"one\r\n\ntwo and more\nthree"
    (tmp_path / "lines.txt").write_bytes(text)
    digest = hashlib.sha256(text).digest()
    contents.keep(books, tmp_path / "lines.txt", digest)
    assert [raw_line(books, digest, number) for number in range(1, 6)] == [b"one", b"", b"two and more", b"three", b""]


def test_a_file_that_is_still_being_written_is_trouble_with_that_file_alone(books: Connection, tmp_path: Path) -> None:
    path = tmp_path / "growing.sta"
    path.write_bytes(b"more than there was")
    with pytest.raises(OSError, match="was changed while it was being read"):
        contents.keep(books, path, hashlib.sha256(b"what there was").digest())
