"""Goal: the table shows every figure measured, names its machine, and replaces the old one and nothing else."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from benchmarks import report
from benchmarks.__main__ import Results
from benchmarks.modes import Throughput, Wait

MACHINE = {
    "processor": "Xeon 8370C",
    "cores": "2",
    "memory": "7.8 GiB",
    "load_average": "0.3",
    "kernel": "6.1.0",
    "python": "3.11.7",
    "date": "2026-01-02",
}
BATCH = Throughput(12_345, 13_579, 24_680, {"broker": 31.5, "worker-0": 20.0}, 100_000, 3)
SINGLE = Throughput(2_345, 2_999, 3_210, {"broker": 80.5, "api-0": 150.0}, 20_000, 5)
WAIT = Wait(100, 41.5, 77.25, 99.0, 130.5, 2_000, 1_999)
RESULTS = Results(BATCH, SINGLE, WAIT, MACHINE, {"shards": "4", "workers": "2"})


def changed(**fields: Any) -> Results:
    return msgspec.structs.replace(RESULTS, **fields)


def rows(results: Results) -> dict[str, list[str]]:
    """First cell → the others."""
    cells = [line.strip("| ").split(" | ") for line in report.table(results).splitlines() if line.startswith("| ")]
    return {first: others for first, *others in cells}


@pytest.fixture
def readme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "README.md"
    monkeypatch.setattr(report, "README", path)
    return path


@pytest.mark.parametrize(
    ("load", "cells"),
    [
        ("batch", ["12,345", "13,579", "24,680", "3 × 100,000"]),
        ("single", ["2,345", "2,999", "3,210", "5 × 20,000"]),
    ],
)
def test_a_row_is_the_median_the_best_what_http_accepted_and_how_much_was_run(load: str, cells: list[str]) -> None:
    assert rows(RESULTS)[load] == cells


@pytest.mark.parametrize(
    ("process", "cells"),
    [("broker", ["31.5", "80.5"]), ("worker-0", ["20.0", "0"]), ("api-0", ["0", "150.0"])],
)
def test_a_process_of_either_load_has_a_row_with_both_in_their_columns(process: str, cells: list[str]) -> None:
    assert rows(RESULTS)[process] == cells


def test_figures_without_their_machine_and_its_load_are_not_shown() -> None:
    first = report.table(RESULTS).splitlines()[0]
    for name in ("date", "processor", "cores", "memory", "load_average", "python"):
        assert MACHINE[name] in first, name


def test_the_wait_says_rate_every_percentile_and_how_many_were_final() -> None:
    [line] = [line for line in report.table(RESULTS).splitlines() if line.startswith("`Prefer: wait`")]
    for words in ("100/s", "p50 41.5 ms", "p90 77.25 ms", "p99 99.0 ms", "max 130.5 ms", "(1,999 of 2,000 final)"):
        assert words in line


def test_every_setting_is_named_with_its_value() -> None:
    assert report.table(RESULTS).splitlines()[-1] == "Settings: shards 4, workers 2."


def test_every_table_has_as_many_cells_in_each_row() -> None:
    blocks = [block for block in report.table(RESULTS).split("\n\n") if block.startswith("|")]
    assert len(blocks) == 2
    for block in blocks:
        assert len({line.count("|") for line in block.splitlines()}) == 1, block


def test_what_stands_around_the_marks_stays_and_what_is_between_them_goes(readme: Path) -> None:
    readme.write_text(f"# Title\n\ntext\n{report.BEGIN}\nold figures\n{report.END}\n\nafter\n")
    report.write(RESULTS)
    text = readme.read_text()
    assert text.startswith(f"# Title\n\ntext\n{report.BEGIN}\n")
    assert text.endswith(f"\n{report.END}\n\nafter\n")
    assert "old figures" not in text
    assert report.table(RESULTS) in text


def test_writing_again_leaves_one_table(readme: Path) -> None:
    readme.write_text(f"{report.BEGIN}\n{report.END}\n")
    report.write(changed(machine={**MACHINE, "date": "2025-12-31"}))
    for _ in range(2):
        report.write(RESULTS)
    text = readme.read_text()
    assert text.count("| batch | 12,345") == text.count(report.BEGIN) == text.count(report.END) == 1
    assert "2025-12-31" not in text


def test_the_readme_of_the_project_has_its_marks_once_and_in_order() -> None:
    text = report.README.read_text()
    assert text.count(report.BEGIN) == text.count(report.END) == 1
    assert text.index(report.BEGIN) < text.index(report.END)


@pytest.mark.parametrize("text", ["", "# no marks\n", f"{report.BEGIN}\n", f"{report.END}\n{report.BEGIN}\n"])
def test_a_readme_without_both_marks_in_order_is_refused_and_left_as_it_was(readme: Path, text: str) -> None:
    readme.write_text(text)
    with pytest.raises(ValueError, match=r"README\.md: .*results: begin.*results: end"):
        report.write(RESULTS)
    assert readme.read_text() == text
