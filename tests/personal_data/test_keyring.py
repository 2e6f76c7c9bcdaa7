"""Goal: keys are made once, read back, and every fault of the file says what to do without showing a key."""

import base64
import json
import re
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from runtime.personal_data.keyring import Keyring, KeyringFault, add_wrapping_key, home_file, new_document
from runtime.settings import Settings


def test_the_home_gets_keys_once_that_its_owner_alone_can_read(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: Keyring.of(settings).index_key, range(8)))
    assert len(set(made)) == 1
    assert stat.S_IMODE(home_file(tmp_path).stat().st_mode) == 0o600
    assert [path.name for path in home_file(tmp_path).parent.iterdir()] == [home_file(tmp_path).name]


def test_a_named_file_wins_and_a_variable_wins_over_it(tmp_path: Path) -> None:
    first, second = new_document(), new_document()
    (tmp_path / "keys.json").write_text(first)
    named = Settings(home=tmp_path, personal_keys_file=tmp_path / "keys.json")
    assert Keyring.of(named).index_key == Keyring.read(first, "").index_key
    given = named.model_copy(update={"personal_keys": SecretStr(second)})
    assert Keyring.of(given).index_key == Keyring.read(second, "").index_key
    assert not home_file(tmp_path).exists()


def test_a_file_that_is_not_there_is_named_with_its_variable(tmp_path: Path) -> None:
    with pytest.raises(KeyringFault, match=r"nowhere: No such file .*: correct MILLRACE_PERSONAL_KEYS_FILE"):
        Keyring.of(Settings(home=tmp_path, personal_keys_file=tmp_path / "nowhere"))


def without(name: str) -> Callable[[dict[str, Any]], None]:
    return lambda document: document.pop(name)


def with_value(name: str, value: object) -> Callable[[dict[str, Any]], None]:
    return lambda document: document.update({name: value})


SHORT = base64.b64encode(b"k" * 31).decode()
SPOILT: list[tuple[str, Callable[[dict[str, Any]], None], str]] = [
    ("no index key", without("index_key"), "index_key"),
    ("no current", without("current"), "current"),
    ("another current", with_value("current", "key-9"), "`current` must name one of `wrapping_keys`"),
    ("a short key", with_value("wrapping_keys", {"key-1": SHORT}), "length"),
    ("no base64", with_value("index_key", "~"), "base64"),
    ("an unknown field", with_value("indexkey", SHORT), "unknown field"),
    ("no JWK", with_value("certificate_key", {"kty": "OKP"}), "Ed25519 key pair"),
]


@pytest.mark.parametrize(("_", "spoil", "says"), SPOILT, ids=[name for name, _, _ in SPOILT])
def test_a_spoilt_file_is_refused_with_the_reason_and_no_key(
    _: str, spoil: Callable[[dict[str, Any]], None], says: str
) -> None:
    document = json.loads(new_document())
    keys = re.findall(r"[\w+/=-]{40,}", json.dumps(document))
    spoil(document)
    with pytest.raises(KeyringFault, match=says) as raised:
        Keyring.read(json.dumps(document), "the file")
    assert not any(key in str(raised.value) for key in [*keys, SHORT])
    assert raised.value.__cause__ is None


def test_what_is_not_json_is_not_repeated() -> None:
    with pytest.raises(KeyringFault, match="it is not JSON") as raised:
        Keyring.read("not json", "the file")
    assert "not json" not in str(raised.value)


def test_a_missing_wrapping_key_says_where_to_put_it_back(keyring: Keyring) -> None:
    with pytest.raises(KeyringFault, match=r"lacks the wrapping key key-0: put it back .* rewrap"):
        keyring.wrapping_key("key-0")


def test_a_new_wrapping_key_becomes_the_current_one_and_the_old_one_stays(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    path.write_text(new_document())
    before = Keyring.read(path.read_text(), "")
    add_wrapping_key(path, "2026-11")
    after = Keyring.read(path.read_text(), "")
    assert (after.current, set(after.wrapping_keys)) == ("2026-11", {"key-1", "2026-11"})
    assert after.wrapping_key("key-1") == before.wrapping_key("key-1")
    assert (after.index_key, after.certificate_key.thumbprint()) == (
        before.index_key,
        before.certificate_key.thumbprint(),
    )
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    for refused in ("2026-11", "No Id", ""):
        text = path.read_text()
        with pytest.raises(KeyringFault):
            add_wrapping_key(path, refused)
        assert path.read_text() == text


def test_the_keyring_shows_no_key(keyring: Keyring) -> None:
    assert keyring.index_key.hex() not in repr(keyring) + str(vars(keyring).keys())
    assert "bytes" not in repr(keyring)
