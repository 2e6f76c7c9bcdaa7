"""Goal: an operator rotates keys, erases a user and checks the certificate, and is told what to do where that fails."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from psycopg import AsyncConnection

from ingest_api.aliases.parties import USER
from payments.identifiers import format_id
from runtime.personal_data.keyring import Keyring, home_file
from runtime.personal_data.personal import Personal
from runtime.personal_data.store import PersonalData
from runtime.settings import Settings
from tests.personal_data.conftest import ANNA, BERTA

Run = Callable[..., str]
ANNAS_ID = format_id(USER, ANNA)


@pytest.fixture
def run(migrated: str, tmp_path: Path) -> Run:
    """Runs `millrace personal-data …` in a home of its own; answers stdout (stderr where it has to fail)."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MILLRACE_")}
    environment |= {"MILLRACE_HOME": str(tmp_path), "DATABASE_URL": migrated, "COLUMNS": "200"}

    def run_it(*arguments: str, expect: int = 0, **variables: str) -> str:
        command = [sys.executable, "-m", "millrace", "personal-data", *arguments]
        done = subprocess.run(
            command, env=environment | variables, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == expect, done.stdout + done.stderr
        return done.stdout if expect == 0 else done.stderr

    return run_it


@pytest.fixture
def personal(tmp_path: Path) -> PersonalData:
    """With the keys of the operator's home."""
    return PersonalData(Keyring.of(Settings(home=tmp_path)))


async def test_an_erasure_is_certified_checked_and_the_same_when_repeated(
    run: Run, personal: PersonalData, connection: AsyncConnection[Any], tmp_path: Path
) -> None:
    await personal.put(connection, ANNA, "email", Personal("anna@example.com"))
    await connection.execute(
        "INSERT INTO sink_progress (shard, ledger_next_offset, ledger_sequence, last_hash)"
        " VALUES (1, 20, 12, decode(repeat('ab', 32), 'hex')), (0, 0, 0, decode(repeat('00', 32), 'hex'))"
    )
    certificate = run("erase", ANNAS_ID)
    assert json.loads(run("erase", ANNAS_ID, "--json"))["certificate"] == certificate.strip()
    (tmp_path / "certificate.txt").write_text(certificate)
    (tmp_path / "public.json").write_text(run("public-key"))
    assert "d" not in json.loads((tmp_path / "public.json").read_text())
    checks = ("verify", str(tmp_path / "certificate.txt"), "--no-ledger", "--json")
    told = json.loads(run(*checks, "--public-key", str(tmp_path / "public.json"), MILLRACE_HOME=str(tmp_path / "x")))
    assert told == json.loads(run(*checks))
    assert [field["field"] for field in told["erasure"]["fields"]] == ["email"]
    assert told["erasure"]["ledger_heads"] == [
        {"partition": 0, "next_offset": 0, "sequence": 0, "hash": "00" * 32},
        {"partition": 1, "next_offset": 20, "sequence": 12, "hash": "ab" * 32},
    ]
    (tmp_path / "no.json").write_text("{}")
    told_no = run("verify", str(tmp_path / "certificate.txt"), "--public-key", str(tmp_path / "no.json"), expect=1)
    assert "no.json is no key" in told_no
    assert f"{ANNAS_ID} was erased at" in run("verify", str(tmp_path / "certificate.txt"), "--no-ledger")


async def test_a_changed_certificate_is_refused(
    run: Run, personal: PersonalData, connection: AsyncConnection[Any], tmp_path: Path
) -> None:
    await personal.put(connection, ANNA, "email", Personal("anna@example.com"))
    head, body, signature = run("erase", ANNAS_ID).split(".")
    (tmp_path / "changed").write_text(f"{head}.{body[:-2]}AA.{signature}")
    assert "the certificate is refused" in run("verify", str(tmp_path / "changed"), "--no-ledger", expect=1)


async def test_keys_are_rotated(
    run: Run, personal: PersonalData, connection: AsyncConnection[Any], tmp_path: Path
) -> None:
    for subject in (ANNA, BERTA):
        await personal.put(connection, subject, "city", Personal("Köln"))
    assert "2026-11 is current" in run("add-key", "2026-11")
    assert json.loads(run("rewrap", "--json")) == {"wrapping_keys_in_use": {"2026-11": 2}}
    assert "in use: 2026-11 (2)" in run("rewrap")
    document = json.loads(home_file(tmp_path).read_text())
    del document["wrapping_keys"]["key-1"]
    home_file(tmp_path).write_text(json.dumps(document))
    renewed = PersonalData(Keyring.of(Settings(home=tmp_path)))
    assert await renewed.values(connection, ANNA) == {"city": Personal("Köln")}


def test_what_is_not_possible_says_what_to_do(run: Run, tmp_path: Path) -> None:
    run("add-key", "two")
    assert "has a key two: choose another id" in run("add-key", "two", expect=1)
    assert "change it where it is kept" in run("add-key", "three", expect=2, MILLRACE_PERSONAL_KEYS="{}")
    assert f"nothing was ever stored about {ANNAS_ID}" in run("erase", ANNAS_ID, expect=1)
    assert "is no user id" in run("erase", "anna", expect=2)
    missing = str(tmp_path / "missing.json")
    told = run("rewrap", expect=1, MILLRACE_PERSONAL_KEYS_FILE=missing)
    assert "correct MILLRACE_PERSONAL_KEYS_FILE" in told
    assert "connection" in run("rewrap", expect=1, DATABASE_URL="postgresql://127.0.0.1:1/nothing")
