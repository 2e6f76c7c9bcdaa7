"""Goal: tests as large as the source, and a number that says so."""

import pytest

from tests.support.report_line import report_line
from tests.tidy.sources import python_sources


def test_the_ratio_of_test_to_source_lines_is_reported(pytestconfig: pytest.Config) -> None:
    lines = {True: 0, False: 0}
    for source in python_sources():
        lines[source.is_test] += sum(1 for line in source.lines if line.strip())
    ratio = lines[True] / lines[False]
    report_line(pytestconfig, f"test lines : source lines = {lines[True]} : {lines[False]} = {ratio:.2f}")
    assert lines[True] > 0
