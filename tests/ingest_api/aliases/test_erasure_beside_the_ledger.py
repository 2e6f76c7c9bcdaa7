"""Goal: a person who was paid by alias is erased, the ledger stays, and anybody can check that with the certificate."""

import json
import os
import secrets
import subprocess
import sys
from pathlib import Path

import pytest

from ingest_api.aliases.parties import USER
from millrace.audit.ledger.partition_log import AuditImpossible
from millrace.audit.report import Differs
from millrace.personal_data.chain import require_heads
from payments.identifiers import format_id
from runtime.personal_data.erasure import LedgerHead
from runtime.settings import Settings
from tests.ingest_api.aliases.test_transfers_by_alias import Person
from tests.ingest_api.client import ApiClient, problem_of


def millrace(settings: Settings, *arguments: str) -> str:
    """`millrace personal-data …` beside the running installation."""
    command = [sys.executable, "-m", "millrace", "personal-data", *arguments]
    environment = os.environ | {"MILLRACE_HOME": str(settings.home)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_hash_chain_verifies_before_and_after_an_erasure(
    api: ApiClient, settings: Settings, tmp_path: Path
) -> None:
    person, payer, payee, key = Person(api), api.funded_account("10.00"), api.open_account(), secrets.token_hex(8)
    alias = person.has(payee)
    paid = api.transfer(payer, person.party, "1.00", key=key)
    assert api.balance_minor(payee, paid) == 100
    certificate = tmp_path / "certificate"
    certificate.write_text(millrace(settings, "erase", person.id))
    assert api.get(f"/v1/aliases/{alias}").json()["valid_to"]
    problem_of(api.transfer(payer, person.party, "1.00"), 404, "alias_not_found")
    problem_of(person.register(payee), 409, "user_erased")
    again = api.transfer(payer, person.party, "1.00", key=key)
    assert (again.status_code, again.json()["id"]) == (200, paid.json()["id"])
    later = api.transfer(payer, payee, "2.00")
    assert api.balance_minor(payee, later) == 300
    told = json.loads(millrace(settings, "verify", str(certificate), "--json"))
    heads = [LedgerHead(**head) for head in told["erasure"]["ledger_heads"]]
    assert {head.partition for head in heads} <= set(range(settings.shards))
    assert told["ledger_records"] > sum(head.sequence for head in heads) > 0
    assert [field["field"] for field in told["erasure"]["fields"]] == [alias]
    refuse_other_heads(settings, heads)


def refuse_other_heads(settings: Settings, heads: list[LedgerHead]) -> None:
    """A certificate of another ledger, or of one that was changed or cut, is noticed."""
    head = max(heads, key=lambda one: one.sequence)
    others = [one for one in heads if one is not head]
    for changes in ({"hash": "00" * 32}, {"sequence": head.sequence - 1}):
        changed = LedgerHead(**{name: getattr(head, name) for name in head.__struct_fields__} | changes)
        with pytest.raises(Differs, match=f"before offset {head.next_offset}"):
            require_heads(settings, [*others, changed])
    beyond = LedgerHead(head.partition, head.next_offset + 1_000_000, head.sequence, head.hash)
    with pytest.raises(AuditImpossible, match="ends before offset"):
        require_heads(settings, [beyond])


def test_a_user_of_whom_nothing_is_known_is_not_erased(settings: Settings) -> None:
    with pytest.raises(AssertionError, match="nothing was ever stored"):
        millrace(settings, "erase", format_id(USER, secrets.token_bytes(16)))
