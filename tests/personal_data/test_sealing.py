"""Goal: a sealed text opens in the place it was sealed for, under its key, unchanged, and nowhere else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.personal_data import sealing
from runtime.personal_data.keyring import Keyring, KeyringFault, new_document
from runtime.personal_data.sealing import Tampered, WrappedKey
from tests.personal_data.conftest import ANNA, BERTA

KEY, OTHER_KEY = b"k" * 32, b"o" * 32

subjects = st.binary(min_size=16, max_size=16)
fields = st.text(max_size=20)
versions = st.integers(1, 2**31 - 1)
places = st.tuples(subjects, fields, versions)


@given(places, st.text(max_size=200))
def test_what_is_sealed_opens_in_its_place(place: tuple[bytes, str, int], text: str) -> None:
    sealed = sealing.seal_value(KEY, *place, text)
    assert sealing.open_value(KEY, *place, sealed) == text
    assert len(sealed) == 12 + len(text.encode()) + 16
    assert sealing.seal_value(KEY, *place, text) != sealed, "a nonce was used twice"


@given(places, places)
def test_it_opens_in_no_other_place(place: tuple[bytes, str, int], other: tuple[bytes, str, int]) -> None:
    sealed = sealing.seal_value(KEY, *place, "anna@example.com")
    if place == other:
        return
    with pytest.raises(Tampered):
        sealing.open_value(KEY, *other, sealed)


PLACES = [(BERTA, "email", 1), (ANNA, "phone", 1), (ANNA, "email", 2), (ANNA, "email1", 1), (ANNA, "", 1)]


@pytest.mark.parametrize("other", PLACES, ids=range(len(PLACES)))
def test_it_moves_to_no_other_subject_field_or_version(other: tuple[bytes, str, int]) -> None:
    sealed = sealing.seal_value(KEY, ANNA, "email", 1, "anna@example.com")
    with pytest.raises(Tampered, match="does not open in the place where it was found"):
        sealing.open_value(KEY, *other, sealed)
    with pytest.raises(Tampered):
        sealing.open_value(OTHER_KEY, ANNA, "email", 1, sealed)


@given(st.text(max_size=40), st.data())
def test_a_changed_byte_is_noticed(text: str, data: st.DataObject) -> None:
    sealed = bytearray(sealing.seal_value(KEY, ANNA, "email", 1, text))
    sealed[data.draw(st.integers(0, len(sealed) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(Tampered):
        sealing.open_value(KEY, ANNA, "email", 1, bytes(sealed))


@pytest.mark.parametrize("length", [0, 1, 12, 27])
def test_a_cut_text_is_noticed(length: int) -> None:
    with pytest.raises(Tampered):
        sealing.open_value(KEY, ANNA, "email", 1, sealing.seal_value(KEY, ANNA, "email", 1, "x")[:length])


def test_a_subjects_key_opens_for_that_subject_under_its_wrapping_key_alone(keyring: Keyring) -> None:
    wrapped = sealing.wrap(keyring, ANNA, KEY)
    assert wrapped.wrapping_key == keyring.current
    assert sealing.unwrap(keyring, ANNA, wrapped) == KEY
    with pytest.raises(Tampered):
        sealing.unwrap(keyring, BERTA, wrapped)
    with pytest.raises(Tampered):
        sealing.unwrap(Keyring.read(new_document(), ""), ANNA, wrapped)
    with pytest.raises(KeyringFault, match="key-0"):
        sealing.unwrap(keyring, ANNA, WrappedKey("key-0", wrapped.wrapped))


def test_a_fingerprint_tells_keys_apart() -> None:
    assert sealing.fingerprint(KEY) == sealing.fingerprint(b"k" * 32) != sealing.fingerprint(OTHER_KEY)
    assert len(sealing.fingerprint(KEY)) == 16
