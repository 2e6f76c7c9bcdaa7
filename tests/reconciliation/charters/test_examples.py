"""Goal: OpenRec's examples give the groups that its own tests expect (celerity/tests/examples.rs), checked by hand.

A group is written as lines of the files: {"INV": [2], "PAY": [2, 4]}; line 1 is the header.
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from typer.testing import CliRunner

from millrace.cli import EXIT_FAILED, app

FILES = Path(__file__).parent / "openrec"


class Example(NamedTuple):
    """A charter with its files; lines as (file, line)."""

    charter: str
    internal: str
    external: tuple[str, ...]
    matches: list[list[tuple[str, int]]]
    breaks: list[tuple[str, str, list[tuple[str, int]]]]
    more: tuple[str, ...] = ()


def whole(number: str, *groups: list[tuple[str, int]]) -> list[list[tuple[str, int]]]:
    """Names of files in full: "invoices" → "01-invoices.csv"."""
    return [[(f"{number}-{name}.csv", line) for name, line in group] for group in groups]


TWO_PAYMENTS_AND_ONE = (
    [("invoices", 2), ("payments", 2), ("payments", 4)],
    [("invoices", 3), ("payments", 3)],
)
CONVERTED = (
    [("invoices", 2), ("payments", 2)],
    [("invoices", 3), ("payments", 3), ("payments", 4)],
    [("invoices", 4), ("payments", 5)],
)
EXAMPLES = [
    Example("01-Basic-Match", "01-invoices", ("01-payments",), whole("01", *TWO_PAYMENTS_AND_ONE), []),
    # 400.99 × 0.844 + 50 × 0.846 = 380.73556, exactly the invoice
    Example("02-Projected-Columns", "02-invoices", ("02-payments",), whole("02", *CONVERTED), []),
    # 1050.99 against 1050.00: within 1.00
    Example("03-Net-With-Tolerance", "03-invoices", ("03-payments",), whole("03", *TWO_PAYMENTS_AND_ONE), []),
    Example(
        "04-3-Way-Match",
        "04-invoices",
        ("04-payments", "04-receipts"),
        whole(
            "04",
            [("invoices", 3), ("payments", 3), ("payments", 4), ("receipts", 3), ("receipts", 4)],
            [("invoices", 2), ("payments", 2), ("receipts", 2)],
            [("invoices", 4), ("payments", 5), ("receipts", 5)],
        ),
        [],
    ),
    # stage 1 by reference takes INV0002, stage 2 by date the rest
    Example(
        "05-2-Stage-Match",
        "05-invoices",
        ("05-payments",),
        whole(
            "05",
            [("invoices", 3), ("payments", 3)],
            [("invoices", 2), ("payments", 2), ("payments", 4)],
        ),
        [],
    ),
    Example(
        "07-Unmatched-Data",
        "07-invoices",
        ("07-payments-a",),
        whole("07", [("invoices", 3), ("payments-a", 3)]),
        [("AMOUNT_MISMATCH", "1000.00", [("07-invoices.csv", 2), ("07-payments-a.csv", 2)])],
    ),
    Example(
        "07-Unmatched-Data",
        "07-invoices",
        ("07-payments-a", "07-payments-b"),
        whole(
            "07",
            [("invoices", 2), ("payments-a", 2), ("payments-b", 2)],
            [("invoices", 3), ("payments-a", 3)],
        ),
        [],
    ),
    # the first custom constraint answers false for every group
    Example(
        "08-Custom-Constraints",
        "08-invoices",
        ("08-payments",),
        [],
        [("MISSING_EXTERNAL", "", [("08-invoices.csv", line)]) for line in (2, 3)]
        + [("MISSING_INTERNAL", "", [("08-payments.csv", line)]) for line in (2, 3, 4)],
    ),
    # P1 has its decimal point in the wrong place: 509.9 + 1000 against 1050.99
    Example(
        "09-Changesets",
        "09-invoices",
        ("09-payments",),
        [],
        [
            ("AMOUNT_MISMATCH", "-458.91", [("09-invoices.csv", 2), ("09-payments.csv", 2), ("09-payments.csv", 3)]),
            ("MISSING_EXTERNAL", "", [("09-invoices.csv", 3)]),
        ],
    ),
    Example(
        "09-Changesets",
        "09-invoices",
        ("09-payments",),
        whole("09", [("invoices", 2), ("payments", 2), ("payments", 3)]),
        [],
        ("--changes", str(FILES / "09-changeset.json")),
    ),
    Example("11-Group-By-Dates", "11-invoices", ("11-payments",), whole("11", *CONVERTED), []),
    Example("12-FXRate-Lookups", "12-invoices", ("12-payments",), whole("12", *CONVERTED), []),
]


def lines(group: dict[str, Any]) -> list[tuple[str, int]]:
    return [(line["file"], line["line"]) for line in (*group["internal"], *group["external"])]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda one: f"{one.charter}-{len(one.external)}{len(one.more)}")
def test_an_example_gives_its_groups(example: Example) -> None:
    external = [part for name in example.external for part in ("--external", str(FILES / f"{name}.csv"))]
    arguments = ["--internal", str(FILES / f"{example.internal}.csv"), *external, *example.more]
    answer = CliRunner().invoke(
        app, ["recon", "match", *arguments, "--rules", str(FILES / f"{example.charter}.yaml"), "--json"]
    )
    assert answer.exit_code == 0, answer.output
    told = json.loads(answer.stdout)
    assert [lines(match) for match in told["matches"]] == example.matches
    assert [(one["type"], one["difference"], lines(one)) for one in told["breaks"]] == example.breaks


def test_a_match_says_why_and_shows_the_lines_as_they_are() -> None:
    files = [part for name in ("invoices", "payments") for part in (str(FILES / f"05-{name}.csv"),)]
    arguments = ["--internal", files[0], "--external", files[1], "--rules", str(FILES / "05-2-Stage-Match.yaml")]
    told = json.loads(CliRunner().invoke(app, ["recon", "match", *arguments, "--json"]).stdout)
    assert {key: told["matches"][1][key] for key in ("pass", "keys", "score")} == {
        "pass": "stage 2: group by INVOICE_DATE",
        "keys": {"INVOICE_DATE": "2021-11-25T00:00:00.000Z"},
        "score": 100,
    }
    assert told["matches"][0]["external"][0]["fields"]["Payment Date"] == "27/11/2021"


def test_a_file_is_recognised_by_its_columns_when_its_name_says_nothing(tmp_path: Path) -> None:
    for name in ("invoices", "payments"):
        (tmp_path / f"{name}.txt").write_bytes((FILES / f"02-{name}.csv").read_bytes())
    arguments = ["--internal", str(tmp_path / "payments.txt"), "--external", str(tmp_path / "invoices.txt")]
    answer = CliRunner().invoke(
        app, ["recon", "match", *arguments, "--rules", str(FILES / "02-Projected-Columns.yaml"), "--json"]
    )
    assert (len(json.loads(answer.stdout)["matches"]), answer.exit_code) == (3, 0)


def test_files_may_have_something_in_front_of_their_names(tmp_path: Path) -> None:
    for file in FILES.glob("*.csv"):
        (tmp_path / f"20220118_084109873_{file.name}").write_bytes(file.read_bytes())
    sides = [tmp_path / f"20220118_084109873_12-{name}.csv" for name in ("invoices", "payments")]
    arguments = ["--internal", str(sides[0]), "--external", str(sides[1])]
    answer = CliRunner().invoke(
        app, ["recon", "match", *arguments, "--rules", str(FILES / "12-FXRate-Lookups.yaml"), "--json"]
    )
    assert answer.exit_code == 0, answer.output
    assert [lines(match)[0][1] for match in json.loads(answer.stdout)["matches"]] == [2, 3, 4]


def test_a_charter_of_comments_is_refused() -> None:
    arguments = ["--internal", str(FILES / "05-invoices.csv"), "--rules", str(FILES / "06-Filtering.yaml")]
    answer = CliRunner().invoke(app, ["recon", "match", *arguments])
    assert (answer.exit_code, "matching.source_files" in answer.stderr) == (EXIT_FAILED, True)


def test_breaks_without_a_difference_are_shown_to_people() -> None:
    """They have no sum, and no amount to be sorted by."""
    files = ("--internal", str(FILES / "09-invoices.csv"), "--external", str(FILES / "09-payments.csv"))
    answer = CliRunner().invoke(app, ["recon", "match", *files, "--rules", str(FILES / "09-Changesets.yaml")])
    assert answer.exit_code == 0, answer.output
    assert "2 breaks: 1 AMOUNT_MISMATCH, 1 MISSING_EXTERNAL" in answer.stdout
