"""Goal: nothing grows too big to be read. The budgets of the whole: median and 95th percentile of function lengths."""

import ast
from collections import Counter
from statistics import median, quantiles

import pytest

from tests.tidy.sources import Source, length, python_sources

FILE_LINES_MAX = 400
TEST_FILE_LINES_MAX = 600
FUNCTION_LINES_MAX = 60
FUNCTION_LINES_MEDIAN_MAX = 10
FUNCTION_LINES_P95_MAX = 35
FOLDER_FILES_MAX = 12

_CODE = [source for source in python_sources() if not source.is_test]


@pytest.mark.parametrize("source", python_sources(), ids=lambda source: source.path)
def test_a_file_is_short_and_says_what_it_is_for(source: Source) -> None:
    """Too long: split by decision, not by layer. No docstring: say its role (reads, keeps, writes, guarantees)."""
    limit = TEST_FILE_LINES_MAX if source.is_test else FILE_LINES_MAX
    assert len(source.lines) <= limit, f"{source.path}: {len(source.lines)} lines, at most {limit}: split it"
    assert not source.text.strip() or ast.get_docstring(source.tree), f"{source.path}: no module docstring"


def test_functions_are_short() -> None:
    too_long = [
        f"{source.path}:{function.lineno} {function.name}: {length(function)} lines"
        for source in python_sources()
        for function in source.functions()
        if length(function) > FUNCTION_LINES_MAX
    ]
    assert too_long == [], "split them"


def test_most_functions_are_much_shorter() -> None:
    lengths = [length(function) for source in _CODE for function in source.functions()]
    percentile_95 = quantiles(lengths, n=20)[-1]
    assert median(lengths) <= FUNCTION_LINES_MEDIAN_MAX
    assert percentile_95 <= FUNCTION_LINES_P95_MAX


def test_folders_are_small() -> None:
    counts = Counter(
        source.path.rpartition("/")[0] for source in python_sources() if not source.path.endswith("__init__.py")
    )
    too_full = {folder: count for folder, count in counts.items() if count > FOLDER_FILES_MAX}
    assert too_full == {}, "make a folder for what belongs together"
