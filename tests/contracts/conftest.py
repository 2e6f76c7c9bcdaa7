"""One installation for the walks through the documents, with a card provider and a bank outside of it."""

from collections.abc import Iterator
from typing import Final

import pytest
from confluent_kafka import Producer

from ingest_api.identity.tokens import ALL_SCOPES, issue_token
from millrace.environment import LocalEnvironment
from payments.movements.instructions import Envelope, SetRules
from schemas.codec.instructions import encode_instruction
from schemas.topics import COMMANDS
from tests.connectors.banks.bank_process import BankProcess, running_bank
from tests.connectors.sandbox_process import API_KEY, running_sandbox
from tests.contracts.visitor import Visitor
from tests.support.environment import running_installation


@pytest.fixture(scope="package")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalEnvironment]:
    """As an operator would set it up for these documents: whoever signs up gets an account, cards and banks are on."""
    home = tmp_path_factory.mktemp("documents")
    key_file = home / "stripe.key"
    key_file.write_text(API_KEY)
    with (
        running_sandbox(home / "cards.sqlite") as provider,
        running_installation(
            home / "home",
            stripe_url=provider.url,
            stripe_api_key_file=key_file,
            banks="local",
            signup_account_currency="USD",
        ) as environment,
    ):
        yield environment


@pytest.fixture(scope="package")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BankProcess]:
    """The bank of the users' own accounts."""
    with running_bank(tmp_path_factory.mktemp("bank") / "state.sqlite") as bank:
        yield bank


RULES: Final = """
version: 1
rules:
  - {id: odd, when: currency == 'USD' && amount_minor == 6660, verdict: review, reason: a person looks at it}
"""


@pytest.fixture(scope="package")
def rules(installation: LocalEnvironment) -> None:
    """One amount is held for people, at every shard."""
    producer = Producer({"bootstrap.servers": installation.settings.kafka_bootstrap})
    for shard in range(installation.settings.shards):
        asked = SetRules(shard=shard, text=RULES, envelope=Envelope("rules of the documents"))
        producer.produce(COMMANDS.name, encode_instruction(asked), partition=shard)
    assert producer.flush(20) == 0


@pytest.fixture
def visitor(installation: LocalEnvironment) -> Iterator[Visitor]:
    """Somebody without a token."""
    assert installation.addresses.api_url is not None
    with Visitor(installation.addresses.api_url) as visitor:
        yield visitor


@pytest.fixture
def operator(installation: LocalEnvironment, visitor: Visitor) -> Iterator[Visitor]:
    """The one who runs the installation: `millrace token` with every scope."""
    with visitor.with_token(issue_token(installation.settings, "operator", ALL_SCOPES, 600)) as operator:
        yield operator
