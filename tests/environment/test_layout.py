"""Goal: one home holds everything, readable by its owner alone, and shows no password."""

import os
import stat
import uuid
from pathlib import Path

import pytest

from millrace.environment.brokers import broker
from millrace.environment.faults import EnvironmentFault
from millrace.environment.layout import Addresses, Home, cache_of, read_addresses
from runtime.settings import Settings


def _addresses(database_url: str) -> Addresses:
    return Addresses("127.0.0.1:9092", database_url, 0, 1)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://ledger:s3cret@db.example/books", "postgresql://ledger:***@db.example/books"),
        ("postgresql://ledger:p%40ss@db.example:5432/books", "postgresql://ledger:***@db.example:5432/books"),
        ("postgresql://:s3cret@db.example/books", "postgresql://:***@db.example/books"),
        ("postgresql://ledger@db.example:5432/books", "postgresql://ledger@db.example:5432/books"),
        ("postgresql://db.example:5432/books", "postgresql://db.example:5432/books"),
        ("postgresql://u@127.0.0.1:1/x?passfile=/a:b@c", "postgresql://u@127.0.0.1:1/x?passfile=/a:b@c"),
    ],
)
def test_a_password_is_not_shown(url: str, shown: str) -> None:
    assert _addresses(url).shown().database_url == shown


def test_files_are_for_the_owner_alone_and_replaced_whole(tmp_path: Path) -> None:
    home = Home(tmp_path)
    for content in (b"first", b"second"):
        home.write(home.addresses, content)
        assert home.addresses.read_bytes() == content
    assert stat.S_IMODE(home.addresses.stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == ["environment.json"]  # noqa: PTH208 - the folder's whole content


@pytest.mark.parametrize("content", [b"", b"{}", b"not json", b'{"brokers": 1}'])
def test_addresses_that_cannot_be_read_are_no_addresses(tmp_path: Path, content: bytes) -> None:
    home = Home(tmp_path)
    home.addresses.write_bytes(content)
    assert read_addresses(home) is None


def test_a_socket_path_is_never_too_long(tmp_path: Path) -> None:
    assert Home(tmp_path).control_socket == tmp_path / "control.sock"
    deep = Home(tmp_path / ("x" * 90) / ("y" * 90))
    assert len(os.fsencode(deep.control_socket)) <= 100
    assert deep.control_socket != Home(tmp_path / ("x" * 90)).control_socket


def test_a_home_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EnvironmentFault, match=r"can't create .*file/home .*MILLRACE_HOME"):
        Home(tmp_path / "file" / "home").create()


def test_wiping_also_deletes_what_a_link_points_to(tmp_path: Path) -> None:
    books, home = tmp_path / "books", Home(tmp_path / "home")
    for folder in (books, home.root):
        folder.mkdir()
    (books / "page").write_text("")
    home.postgres.symlink_to(books)
    home.wipe()
    assert list(tmp_path.iterdir()) == []


def test_caches_are_per_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert cache_of(Settings(cache_dir=tmp_path)) == tmp_path
    monkeypatch.setattr("millrace.environment.layout.os.geteuid", lambda: 0)
    assert cache_of(Settings(cache_dir=None)) == Path("/var/cache/millrace")
    monkeypatch.setattr("millrace.environment.layout.os.geteuid", lambda: 1000)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_of(Settings(cache_dir=None)) == tmp_path / "millrace"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_of(Settings(cache_dir=None)) == tmp_path / ".cache" / "millrace"


def test_a_cluster_id_never_looks_like_an_option(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = iter([uuid.UUID(bytes=b"\xf8" * 16), uuid.UUID(bytes=b"\xfb" * 16), uuid.UUID(bytes=b"\x01" * 16)])
    monkeypatch.setattr(uuid, "uuid4", lambda: next(drawn))
    assert broker.new_cluster_id() == "AQEBAQEBAQEBAQEBAQEBAQ"
