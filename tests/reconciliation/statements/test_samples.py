"""Every sample is read or refused as docs/statement_formats.md says, and each of them stands in there."""

from pathlib import Path

import pytest

from reconciliation.statements.parse import Parsed, parsed
from tests.reconciliation.statements.files import SAMPLES

DOCUMENT = Path(__file__).parents[3] / "docs" / "statement_formats.md"


def documented() -> dict[str, tuple[str, str, str]]:
    """Format, result and totals of each sample, as the document has them."""
    rows = DOCUMENT.read_text(encoding="utf-8").partition("## The samples")[2].splitlines()
    cells = [row.removeprefix("| ").removesuffix(" |").split(" | ") for row in rows if "/" in row.partition(" | ")[0]]
    return {name: (form, result, totals) for name, form, result, totals in (one for one in cells if len(one) == 4)}


EXPECTED = documented()


def summary(result: Parsed) -> tuple[str, str, str]:
    """A row of the document, but for the file."""
    if result.status == "refused":
        assert result.reason is not None
        return result.format or "–", "refused", result.reason
    totals = [total for statement, _ in result.statements for total in statement.control_totals]
    wrong = dict.fromkeys(total.name for total in totals if not total.agrees)
    ties = f"differ: {', '.join(wrong)}" if wrong else "agree" if totals else "none stated"
    return result.format, f"{len(result.statements)} / {sum(len(lines) for _, lines in result.statements)}", ties


def test_the_document_lists_the_samples_that_there_are() -> None:
    samples = {
        str(path.relative_to(SAMPLES)) for path in SAMPLES.glob("*/*") if path.parent.name != "camt053_expected_json"
    }
    assert samples == set(EXPECTED)


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_a_sample_gives_what_the_document_says(name: str) -> None:
    assert summary(parsed(SAMPLES / name)) == EXPECTED[name]


@pytest.mark.parametrize("name", [name for name, (_, result, _) in sorted(EXPECTED.items()) if "/ " in result])
def test_a_sample_that_is_cut_is_never_called_whole(name: str, tmp_path: Path) -> None:
    """Cut behind three quarters: refused, or fewer lines and balances than the whole has."""
    whole = parsed(SAMPLES / name)
    content = (SAMPLES / name).read_bytes().rstrip(b"9 \r\n")  # the filler of Nacha's blocks is no content
    path = tmp_path / "cut"
    path.write_bytes(content[: len(content) * 3 // 4])
    cut = parsed(path)
    assert cut.status == "refused" or cut.statements != whole.statements
    if whole.format not in {"mt940", "mt942"}:  # messages of SWIFT stand alone: those before the cut are whole
        assert cut.status == "refused"
