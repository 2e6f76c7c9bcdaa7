"""Goal: a personal value shows itself to nobody who does not ask for it by name."""

import copy
import io
import json
import logging
import pickle
import traceback
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.traceback import Traceback

from runtime.personal_data.personal import Personal

SECRET = "anna@example.com"
SHOWN: list[tuple[str, Callable[[Personal], object]]] = [
    ("repr", repr),
    ("str", str),
    ("format", lambda value: f"{value} {value!r} {value:>40}"),
    ("percent", lambda value: "%s %r" % (value, value)),  # noqa: UP031 - as loggers do it
    ("in a list", lambda value: repr([value, {"email": value}])),
    ("bytes", lambda value: repr(value).encode()),
]


@pytest.mark.parametrize(("_", "show"), SHOWN, ids=[name for name, _ in SHOWN])
def test_nothing_of_it_is_shown(_: str, show: Callable[[Personal], object]) -> None:
    shown = str(show(Personal(SECRET)))
    assert "anna" not in shown
    assert "example" not in shown


ENCODERS: list[tuple[str, Callable[[Personal], object]]] = [
    ("json", json.dumps),
    ("json in a dict", lambda value: json.dumps({"email": value})),
    ("msgspec", msgspec.json.encode),
    ("msgspec in a dict", lambda value: msgspec.json.encode({"email": value})),
    ("pickle", pickle.dumps),
    ("copy", copy.copy),
    ("deepcopy", lambda value: copy.deepcopy([value])),
]


@pytest.mark.parametrize(("_", "encode"), ENCODERS, ids=[name for name, _ in ENCODERS])
def test_it_is_not_encoded(_: str, encode: Callable[[Personal], object]) -> None:
    with pytest.raises(TypeError) as raised:
        encode(Personal(SECRET))
    assert SECRET not in str(raised.value)


def test_it_does_not_leak_into_a_log_or_a_traceback(caplog: pytest.LogCaptureFixture) -> None:
    value = Personal(SECRET)
    try:
        raise ValueError("cannot send to", value)
    except ValueError:
        logging.getLogger("a test").exception("%s failed for %r", "this", value)
        plain = traceback.format_exc()
        console = Console(file=io.StringIO(), record=True, width=200)
        console.print(Traceback(show_locals=True))
    assert "cannot send to" in plain
    assert SECRET not in plain + caplog.text
    shown = console.export_text()
    assert "value = Personal" in shown
    assert f"'{SECRET}'" not in shown.replace(f"SECRET = '{SECRET}'", "")


@given(st.text(), st.text())
def test_it_is_equal_to_its_like_alone(one: str, other: str) -> None:
    assert (Personal(one) == Personal(other)) == (one == other)
    assert len({Personal(one), Personal(other)}) == len({one, other})
    assert Personal(one) != one
    assert Personal(one).reveal() == one
