"""Goal: what the figures were measured on is said in units people know, and "unknown" where the system does not say."""

import os
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as bounded
from hypothesis import strategies as st

from benchmarks import machine as under_test

CPUINFO = "processor\t: 0\nmodel name\t: AMD EPYC 7B13: rev 2\nprocessor\t: 1\nmodel name\t: another\n"


@pytest.fixture
def proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(under_test, "Path", lambda path: tmp_path / Path(path).name)
    return tmp_path


def test_processor_and_memory_are_the_kernels_words(proc: Path) -> None:
    (proc / "cpuinfo").write_text(CPUINFO)
    (proc / "meminfo").write_text("MemTotal:       24684096 kB\nMemFree: 1 kB\n")
    found = under_test.machine()
    assert found["processor"] == "AMD EPYC 7B13: rev 2", "the first core's, colons and all"
    assert found["memory"] == "23.5 GiB"


@pytest.mark.parametrize("cpuinfo", [None, "", "Features : fp asimd\n"], ids=["no file", "empty", "another processor"])
def test_what_the_system_does_not_say_is_unknown(proc: Path, cpuinfo: str | None) -> None:
    if cpuinfo is not None:
        (proc / "cpuinfo").write_text(cpuinfo)
    found = under_test.machine()
    assert (found["processor"], found["memory"]) == ("unknown", "unknown")


@given(st.integers(0, 1 << 40))
@bounded(max_examples=60)
def test_the_kernels_kilobytes_are_1024_bytes(kib: int) -> None:
    shown = under_test._gib(f"{kib} kB")
    assert shown.endswith(" GiB")
    assert float(shown.removesuffix(" GiB")) == pytest.approx(kib * 1024 / (1 << 30), abs=0.051)


def test_the_rest_is_about_this_machine_and_today() -> None:
    found = under_test.machine()
    assert all(found.values()), found
    assert int(found["cores"]) == os.cpu_count()
    assert date.fromisoformat(found["date"]) >= date(2026, 1, 1)
    assert float(found["load_average"]) >= 0
    assert found["python"].startswith("3.")
