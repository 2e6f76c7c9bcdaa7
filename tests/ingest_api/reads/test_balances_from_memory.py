"""Goal: what was just written is in a balance from memory, and what was never committed is not."""

import secrets

import pytest
from confluent_kafka import Producer

from ingest_api.aliases.parties import USER
from ingest_api.identity.tokens import Scope, issue_token
from payments.entries import NO_FINGERPRINT, Entry, EntryKind
from payments.identifiers import ACCOUNT, format_id, parse_id
from payments.rejections import Reason
from runtime.settings import Settings
from schemas.codec.ledger import GENESIS_HASH, LedgerHeader, SourceTopic, encode_ledger_record
from schemas.partitioning import shard_of
from schemas.topics import LEDGER
from tests.ingest_api.client import ApiClient
from tests.support.waiting import eventually

WAIT = "wait=20"
WALLET = "/v1/wallet/balance"


def from_memory(api: ApiClient) -> int:
    told = api.http.get("/metrics").text.splitlines()
    [count] = [line for line in told if line.startswith('millrace_api_balances_total{source="memory"}')]
    return int(float(count.split()[-1]))


class Payer:
    """Pays and looks, and always sees what it has paid."""

    def __init__(self, api: ApiClient) -> None:
        self._api = api
        self.account, self._payee = api.funded_account("3000.00"), api.open_account()
        self._paid_minor = 0

    def pays_and_looks(self) -> bool:
        """True where both balances came from memory: a process that is kept waiting asks Postgres meanwhile."""
        before = from_memory(self._api)
        paid = self._api.transfer(self.account, self._payee, "1.00")
        assert paid.status_code == 201, paid.text
        self._paid_minor += 100
        answers = [self._api.get(f"/v1/accounts/{one}/balance", paid) for one in (self.account, self._payee)]
        if any(answer.status_code == 503 for answer in answers):
            return False
        shown = [(one["posted_minor"], one["available_minor"]) for one in (answer.json() for answer in answers)]
        left_minor = 300_000 - self._paid_minor
        assert shown == [(left_minor, left_minor), (self._paid_minor, self._paid_minor)]
        return from_memory(self._api) == before + 2


def test_what_was_just_written_is_in_a_balance_from_memory(api: ApiClient) -> None:
    eventually(Payer(api).pays_and_looks, "two balances from memory")


@pytest.mark.parametrize("path", ["/v1/accounts/{account}/balance", "/v1/balance", WALLET])
def test_every_balance_of_now_comes_from_memory(api: ApiClient, settings: Settings, api_url: str, path: str) -> None:
    """Else one route would show less than another has shown already."""
    user = format_id(USER, secrets.token_bytes(15) + b"\x01")
    scopes = (Scope.ACCOUNTS_READ, Scope.ACCOUNTS_WRITE, Scope.PAYMENTS_WRITE)
    anna = ApiClient(api_url, issue_token(settings, user, scopes, 600))
    account = anna.open_account()
    credited_minor = 0

    def is_from_memory() -> bool:
        nonlocal credited_minor
        before = from_memory(api)
        credited = api.post("/v1/wallet/credit", {"user": user, "amount": "1.00", "currency": "EUR"}, prefer=WAIT)
        assert credited.status_code == 201, credited.text
        credited_minor += 100
        query = {"accountId": account} if path == "/v1/balance" else {}
        answer = anna.get(path.format(account=account), credited, **query)
        if answer.status_code == 503:
            return False
        [shown] = answer.json()["balances"] if path == WALLET else [answer.json()]
        assert (shown["account"], shown["posted_minor"]) == (account, credited_minor)
        return from_memory(api) == before + 1

    eventually(is_from_memory, "a balance from memory")


def test_what_was_never_committed_is_in_no_balance(api: ApiClient, settings: Settings) -> None:
    payer = Payer(api)
    eventually(payer.pays_and_looks, "two balances from memory")
    account = parse_id(ACCOUNT, payer.account)
    assert account is not None
    write_and_abort(settings, account)
    eventually(payer.pays_and_looks, "two balances from memory, from records behind the aborted one")


def write_and_abort(settings: Settings, account: bytes) -> None:
    """A ledger record by which nothing of the account is available."""
    shard = shard_of(account, settings.shards)
    entry = Entry(EntryKind.RESERVED, Reason.NONE, bytes(16), account, account, 1, "EUR", 0, 1, NO_FINGERPRINT, 0, 0)
    header = LedgerHeader(shard, 1, GENESIS_HASH, SourceTopic.COMMANDS, 0, 1, ())
    producer = Producer({"bootstrap.servers": settings.kafka_bootstrap, "transactional.id": f"test-{account.hex()}"})
    producer.init_transactions()
    producer.begin_transaction()
    producer.produce(LEDGER.name, encode_ledger_record(header, [entry], {}), partition=shard)
    assert producer.flush(30) == 0
    producer.abort_transaction()
