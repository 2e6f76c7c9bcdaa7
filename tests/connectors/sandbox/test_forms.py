"""Goal: the sandbox reads a form as Stripe's SDK means it.

Method: the SDK's own encoder, over random nested parameters.
"""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from stripe._encode import _api_encode

from connectors.sandbox.forms import decoded

names = st.text(st.characters(codec="ascii", categories=["Ll"]), min_size=1, max_size=6)
texts = st.text(max_size=10)
values = st.recursive(
    texts, lambda inner: st.one_of(st.lists(inner, min_size=1, max_size=3), st.dictionaries(names, inner, min_size=1))
)


@given(st.dictionaries(names, values, max_size=4))
def test_the_sdk_s_form_comes_back_as_it_was(params: dict[str, Any]) -> None:
    pairs = [(str(name), str(value)) for name, value in _api_encode(params)]
    assert decoded(pairs) == params


def test_brackets_without_a_number_are_a_list_too() -> None:
    assert decoded([("expand[]", "a"), ("expand[]", "b")]) == {"expand": ["a", "b"]}
