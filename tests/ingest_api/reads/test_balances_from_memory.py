"""Goal: what was just written is in a balance from memory, and what was never committed is not."""

from confluent_kafka import Producer

from ingest_api.reads.consistency import decode_token
from payments.entries import NO_FINGERPRINT, Entry, EntryKind
from payments.identifiers import ACCOUNT, parse_id
from payments.rejections import Reason
from runtime.settings import Settings
from schemas.codec.ledger import GENESIS_HASH, LedgerHeader, SourceTopic, encode_ledger_record
from schemas.partitioning import shard_of
from schemas.topics import LEDGER
from tests.ingest_api.client import ApiClient
from tests.support.waiting import eventually


def from_memory(api: ApiClient) -> int:
    told = api.http.get("/metrics").text.splitlines()
    [count] = [line for line in told if line.startswith('millrace_api_balances_total{source="memory"}')]
    return int(float(count.split()[-1]))


def followed(api: ApiClient, account: str) -> None:
    """Asks for the balance until memory has answered."""

    def is_answered() -> bool:
        before = from_memory(api)
        api.get(f"/v1/accounts/{account}/balance")
        return from_memory(api) > before

    eventually(is_answered, "a balance from memory")


def test_what_was_just_written_is_in_a_balance_from_memory(api: ApiClient) -> None:
    payer, payee = api.funded_account("30.00"), api.open_account()
    for account in (payer, payee):
        followed(api, account)
    before = from_memory(api)
    paid = api.transfer(payer, payee, "10.00")
    shown = [api.get(f"/v1/accounts/{account}/balance", paid).json() for account in (payer, payee)]
    assert [(one["posted_minor"], one["available_minor"]) for one in shown] == [(2_000, 2_000), (1_000, 1_000)]
    assert from_memory(api) - before == 2
    assert shown[0] == api.get("/v1/balance", paid, accountId=payer).json(), "Postgres, once it has it, shows the same"


def test_what_was_never_committed_is_in_no_balance(api: ApiClient, settings: Settings) -> None:
    payer, payee = api.funded_account("30.00"), api.open_account()
    followed(api, payer)
    account = parse_id(ACCOUNT, payer)
    assert account is not None
    shard = shard_of(account, settings.shards)
    all_reserved = Entry(
        EntryKind.RESERVED, Reason.NONE, bytes(16), account, account, 3_000, "EUR", 0, 1, NO_FINGERPRINT, 0, 0
    )
    header = LedgerHeader(shard, 1, GENESIS_HASH, SourceTopic.COMMANDS, 0, 1, ())
    producer = Producer({"bootstrap.servers": settings.kafka_bootstrap, "transactional.id": f"test-{payer}"})
    producer.init_transactions()
    producer.begin_transaction()
    producer.produce(LEDGER.name, encode_ledger_record(header, [all_reserved], {}), partition=shard)
    producer.flush()
    producer.abort_transaction()
    paid = api.transfer(payer, payee, "10.00")
    assert shard in decode_token(paid.headers["Consistency-Token"]), "its record stands behind the aborted one"
    before = from_memory(api)
    assert api.get(f"/v1/accounts/{payer}/balance", paid).json()["available_minor"] == 2_000
    assert from_memory(api) == before + 1
