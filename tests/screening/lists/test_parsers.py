"""Goal: every format gives the same typed entries, what is left out is counted, and what is not understood is refused
with the file and the line.
"""

from collections.abc import Callable

import pytest

from payments.screening.entries import Alias, ListEntry, Quality, Source
from payments.screening.names import NAME_CHARACTERS_MAX, Schema
from screening.lists import eu, ofac, un
from screening.lists.published import ListRefused, NamedFile, PublishedList, Skipped
from tests.screening.lists.samples import ADD_CSV, ALT_CSV, EU_XML, SDN_CSV, SDN_XML, UN_XML, changed, file

WEAK, STRONG = Quality.WEAK, Quality.STRONG
Reader = Callable[[NamedFile], PublishedList]


def test_ofac_xml() -> None:
    found = ofac.read_xml(file("SDN.XML", SDN_XML))
    assert found.entries == (
        ListEntry(
            Source.OFAC,
            "101",
            Schema.PERSON,
            "Tarik OSMANOW",
            (Alias("Tariq USMANOV", STRONG), Alias("THE TAILOR", WEAK)),
            ("1960-05-12", "1961"),
            ("Freedonia", "Elbonia"),
            ("SDGT", "NPWMD"),
        ),
        ListEntry(Source.OFAC, "102", Schema.ORGANIZATION, "ZVEZDA TRADE & SONS LLC", programmes=("CYBER2",)),
        ListEntry(Source.OFAC, "103", Schema.VESSEL, "AURORA 3", programmes=("CYBER2",)),
    )
    assert found.skipped == {Skipped.ENTRY_WITHOUT_NAME: 1, Skipped.BIRTH_DATE_NOT_UNDERSTOOD: 1}


def test_ofac_csv() -> None:
    found = ofac.read_csv(file("SDN.CSV", SDN_CSV), file("ALT.CSV", ALT_CSV), file("ADD.CSV", ADD_CSV))
    assert found.entries == (
        ListEntry(
            Source.OFAC,
            "101",
            Schema.PERSON,
            "OSMANOW, Tarik",
            (Alias("USMANOV, Tariq", STRONG), Alias("THE TAILOR", WEAK)),
            ("1960-05-12", "1961"),
            ("Freedonia", "Elbonia"),
            ("SDGT", "NPWMD"),
        ),
        ListEntry(
            Source.OFAC,
            "102",
            Schema.ORGANIZATION,
            "ZVEZDA TRADE & SONS LLC",
            (Alias("ZTS", STRONG),),
            (),
            ("Freedonia",),
            ("CYBER2",),
        ),
        ListEntry(Source.OFAC, "103", Schema.VESSEL, "AURORA 3", programmes=("CYBER2",)),
    )
    assert found.skipped == {Skipped.ALIAS_OF_NO_ENTRY: 1}


def test_un() -> None:
    found = un.read_xml(file("consolidated.xml", UN_XML))
    assert found.entries == (
        ListEntry(
            Source.UN,
            "6900001",
            Schema.PERSON,
            "TARIK JUSUF OSMANOW",
            (Alias("طارق عثمانوف", STRONG), Alias("Tariq Usmanov", STRONG), Alias("The Tailor", WEAK)),
            ("1960-05-12", "1958/1962"),
            ("Elbonia", "Freedonia"),
            ("Elbonia",),
        ),
        ListEntry(
            Source.UN,
            "6900002",
            Schema.ORGANIZATION,
            "ZVEZDA TRADE",
            (Alias("ZT", STRONG),),
            countries=("Elbonia",),
            programmes=("Elbonia",),
        ),
    )
    assert found.skipped == {Skipped.ALIAS_WITHOUT_NAME: 1}


def test_eu() -> None:
    found = eu.read_xml(file("full.xml", EU_XML))
    assert found.entries == (
        ListEntry(
            Source.EU,
            "13",
            Schema.PERSON,
            "Tarik Osmanow",
            (Alias("Tariq J. Usmanov", STRONG), Alias("The Tailor", WEAK)),
            ("1960-05-12", "1958/1962"),
            ("EL",),
            ("ELB",),
        ),
        ListEntry(Source.EU, "14", Schema.ORGANIZATION, "Zvezda Trade", countries=("EL",), programmes=("FRD",)),
    )
    assert found.skipped == {Skipped.ENTRY_WITHOUT_NAME: 1}


REFUSED = [
    (ofac.read_xml, SDN_XML, {"<sdnType>Vessel": "<sdnType>Airship"}, r"f, line 26: .*'103'.*'airship'"),
    (ofac.read_xml, SDN_XML, {"<uid>102</uid>": ""}, r"f, line 22: .*uid ''"),
    (ofac.read_xml, SDN_XML, {"<category>weak": "<category>faint"}, r"f, line 4: .*category 'faint'"),
    (ofac.read_xml, SDN_XML, {"</sdnList>": ""}, r"f, line \d+: no well-formed XML"),
    (ofac.read_xml, UN_XML, {}, r"f, line 2: the outermost element is <CONSOLIDATED_LIST>, expected <sdnList>"),
    (un.read_xml, UN_XML, {"<DATAID>6900002</DATAID>": ""}, r"f, line 22: an entry without DATAID"),
    (un.read_xml, UN_XML, {"<QUALITY>Low": "<QUALITY>Poor"}, r"f, line 4: an alias of quality 'Poor'; known are good"),
    (eu.read_xml, EU_XML, {'classificationCode="P"': 'classificationCode="Q"'}, r"f, line 3: .*'13'.*'Q'"),
    (eu.read_xml, EU_XML, {'logicalId="14"': 'logicalId=""'}, r"f, line 16: .*logicalId ''"),
    (eu.read_xml, EU_XML, {'strong="false"': 'strong="maybe"'}, r"f, line 3: a name with strong='maybe'"),
    (ofac.read_csv, SDN_CSV, {'"vessel"': '"airship"'}, r"f, line 3: .*'103'.*'airship'"),
    (ofac.read_csv, SDN_CSV, {'103,"AURORA 3",': "103,"}, r"f, line 3: 11 columns, expected 12; give SDN.CSV"),
    (ofac.read_csv, SDN_CSV, {'"AURORA 3"': '"AURORA" 3"'}, r"f, line 3: no CSV"),
]


@pytest.mark.parametrize(("read", "text", "changes", "message"), REFUSED, ids=[str(at) for at in range(len(REFUSED))])
def test_what_is_not_understood_is_refused_with_its_line(
    read: Reader, text: str, changes: dict[str, str], message: str
) -> None:
    with pytest.raises(ListRefused, match=message):
        read(file("f", changed(text, changes)))


def test_another_encoding_is_refused() -> None:
    csv = file("SDN.CSV", SDN_CSV)._replace(stream=file("", "").stream)
    csv.stream.write(SDN_CSV.replace("AURORA", "AURÓRA").encode("latin-1"))
    csv.stream.seek(0)
    with pytest.raises(ListRefused, match="not in UTF-8; download"):
        ofac.read_csv(csv)


ATTACKS = [
    '<!DOCTYPE sdnList [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]>',
    '<!DOCTYPE sdnList [<!ENTITY a SYSTEM "file:///etc/passwd">]>',
    '<!DOCTYPE sdnList SYSTEM "http://127.0.0.1:1/sdn.dtd">',
]


@pytest.mark.parametrize("attack", ATTACKS, ids=["expansion", "file", "network"])
def test_a_document_type_is_refused_unread(attack: str) -> None:
    text = changed(SDN_XML, {'standalone="yes"?>': f'standalone="yes"?>{attack}'})
    with pytest.raises(ListRefused, match=r"line 1: it declares a document type \(sdnList\)"):
        ofac.read_xml(file("SDN.XML", text))


def test_an_entry_without_end_is_refused() -> None:
    text = changed(SDN_XML, {"<remarks>Made up.</remarks>": "<x/>" * 20_001})
    with pytest.raises(ListRefused, match="more than 20000 elements"):
        ofac.read_xml(file("SDN.XML", text))


def test_a_name_too_long_is_counted() -> None:
    long = "x" * (NAME_CHARACTERS_MAX + 1)
    text = changed(SDN_XML, {"THE TAILOR": long, "AURORA 3": long})
    found = ofac.read_xml(file("SDN.XML", text))
    assert [entry.uid for entry in found.entries] == ["101", "102"]
    assert found.skipped[Skipped.ENTRY_NAME_TOO_LONG] == found.skipped[Skipped.ALIAS_TOO_LONG] == 1


def test_the_size_of_the_chunks_is_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = eu.read_xml(file("full.xml", EU_XML))
    monkeypatch.setattr("screening.lists.xml_records.CHUNK_BYTES", 1)
    assert eu.read_xml(file("full.xml", EU_XML)) == whole
