"""Goal: every setting can be set by its variable, bad values are refused in words that say which one to change."""

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from runtime.settings import Settings, local_database_url, setting_faults

CHANGED: dict[str, Any] = {
    "home": Path("elsewhere"),
    "kafka_port": 20_000,
    "postgres_port": 20_001,
    "kafka_bootstrap": "one:9092,two:9092",
    "secure": True,
    "kafka_security_protocol": "SSL",
    "kafka_ca_file": Path("ca.pem"),
    "kafka_sasl_mechanism": "SCRAM-SHA-256",
    "kafka_user": "worker",
    "kafka_password": "a password",
    "kafka_password_file": Path("worker.password"),
    "database_url": "postgres://db/payments",
    "state_dir": Path("shards"),
    "archive_dir": Path("archive"),
    "archive_segment_bytes": 2_048,
    "archive_segment_age_ms": 3_000,
    "cache_dir": Path("downloads"),
    "maven_url": "https://mirror.example/maven2",
    "broker_jvm_flags": "-Xmx1g",
    "shards": 16,
    "replication_factor": 3,
    "slot": 5,
    "workers": 6,
    "transaction_timeout_ms": 11_000,
    "session_timeout_ms": 13_000,
    "tick_interval_ms": 900,
    "cycle_max_ms": 51,
    "chunk_records": 999,
    "barrier_deadline_ms": 21_000,
    "max_poll_interval_ms": 121_000,
    "group_protocol": "consumer",
    "partition_assignor": "uniform",
    "static_membership": False,
    "accept_broker_version": True,
    "failpoint": "after_flush:1",
    "connector_slots": 33,
    "stripe_url": "http://127.0.0.1:12111",
    "stripe_api_key_file": Path("stripe.key"),
    "stripe_return_url": "https://shop.example/paid",
    "api_host": "0.0.0.0",
    "api_port": 8_081,
    "api_processes": 2,
    "api_process_id": 1,
    "api_queue_bytes": 17 * 1024 * 1024,
    "api_body_bytes": 18 * 1024 * 1024,
    "api_delivery_timeout_ms": 9_000,
    "api_waiting_calls": 10,
    "api_client_commands_per_s": 11,
    "api_client_burst": 10_001,
    "api_balances_in_memory": 7,
    "api_database_connections": 9,
    "api_database_writing_connections": 11,
    "api_drain_timeout_ms": 16_000,
    "api_drain_notice_ms": 1,
    "api_advertised_host": "api-0.example",
    "gateway": True,
    "gateway_host": "0.0.0.0",
    "gateway_port": 443,
    "gateway_certificate_file": Path("api.example.pem"),
    "gateway_key_file": Path("api.example.key"),
    "gateway_trusted_proxies": "192.0.2.0/24",
    "gateway_requests_per_s": 2_001,
    "gateway_connections": 513,
    "scheduler_payments_per_s": 501,
    "recon_plan_file": Path("plan.yaml"),
    "screening_names_needed": True,
    "personal_keys_file": Path("keys.json"),
    "personal_keys": "{}",
    "api_token_issuer": "issuer",
    "api_token_audience": "audience",
    "banks": "local",
    "webhook_slots": 65,
    "webhook_ca_file": Path("receivers.pem"),
    "webhook_local_receivers": True,
    "event_source": "https://pay.example",
    "stripe_webhook_secret_file": Path("stripe.whsec"),
    "terms_file": Path("terms.yaml"),
    "signup_account_currency": "EUR",
    "auth_backend": "ldap",
    "ldap_url": "ldaps://directory.example",
    "ldap_ca_file": Path("directory.pem"),
    "ldap_bind_dn": "cn=millrace",
    "ldap_bind_password_file": Path("directory.password"),
    "ldap_search_base": "ou=people",
    "ldap_search_filter": "(sAMAccountName={username})",
    "ldap_id_attribute": "objectGUID",
    "ldap_group_base": "ou=groups",
    "ldap_group_filter": "(uniqueMember={dn})",
    "ldap_roles": {"tellers": "operator"},
    "oidc_issuers": ({"issuer": "https://id.example"},),
    "api_connections": 8_193,
    "api_connections_per_address": 2_049,
    "api_cors_origins": ("https://console.example",),
    "api_public_url": "https://api.example",
    "api_token_keys_file": Path("token-keys.json"),
    "auth_access_token_s": 299,
    "auth_refresh_idle_s": 3_601,
    "auth_session_s": 86_401,
    "auth_second_factor_s": 901,
    "auth_second_factor_above": 1_001,
    "auth_trusted_proxies": "127.0.0.1",
    "smtp_host": "mail.example",
    "smtp_port": 25,
    "smtp_security": "tls",
    "smtp_user": "notices",
    "smtp_password_file": Path("smtp.password"),
    "smtp_ca_file": Path("mail.pem"),
    "mail_from": "Bank <notices@bank.example>",
    "sms_url": "https://sms.example",
    "sms_account": "AC1",
    "sms_token_file": Path("sms.token"),
    "sms_from": "+15005550006",
    "push_url": "https://push.example",
    "push_project": "bank",
    "push_credentials_file": Path("push.json"),
    "notice_slots": 9,
    "notice_timeout_ms": 16_000,
    "notices_per_hour": 21,
    "notice_templates": Path("notices"),
}


NEEDED_WITH = {
    "smtp_host": ("mail_from",),
    "sms_url": ("sms_account", "sms_token_file", "sms_from"),
    "push_url": ("push_project", "push_credentials_file"),
}
"""Settings that are refused alone."""


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine that runs the tests may have its own broker in its environment."""
    for name in Settings.model_fields:
        monkeypatch.delenv(f"MILLRACE_{name.upper()}", raising=False)
    for name in ("KAFKA_BOOTSTRAP", "DATABASE_URL", "EOS_FAILPOINT"):
        monkeypatch.delenv(name, raising=False)


def refused(**wrong: Any) -> list[str]:
    with pytest.raises(ValidationError) as raised:
        Settings(**wrong)
    return setting_faults(raised.value)


def test_the_table_of_this_test_names_every_setting() -> None:
    assert CHANGED.keys() == Settings.model_fields.keys()


@pytest.mark.parametrize("name", CHANGED)
def test_every_setting_is_set_by_its_variable(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    before = getattr(Settings(), name)
    assert before != CHANGED[name], "the table must change something"
    for one in (name, *NEEDED_WITH.get(name, ())):
        value = CHANGED[one]
        plain = json.dumps(value) if isinstance(value, tuple | dict) else str(value)
        monkeypatch.setenv(f"MILLRACE_{one.upper()}", plain)
    found = getattr(Settings(), name)
    assert (found.get_secret_value() if isinstance(found, SecretStr) else found) == CHANGED[name]


@pytest.mark.parametrize(
    ("variable", "name"),
    [("KAFKA_BOOTSTRAP", "kafka_bootstrap"), ("DATABASE_URL", "database_url"), ("EOS_FAILPOINT", "failpoint")],
)
def test_names_that_other_tools_use_are_honoured(monkeypatch: pytest.MonkeyPatch, variable: str, name: str) -> None:
    monkeypatch.setenv(variable, CHANGED[name])
    assert getattr(Settings(), name) == CHANGED[name]


@pytest.mark.parametrize("name", ["kafka_bootstrap", "database_url"])
def test_the_projects_own_variable_wins_over_the_shared_one(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    shared = {"kafka_bootstrap": "shared:1", "database_url": "postgresql://shared/x"}[name]
    monkeypatch.setenv(name.upper(), shared)
    monkeypatch.setenv(f"MILLRACE_{name.upper()}", CHANGED[name])
    assert getattr(Settings(), name) == CHANGED[name]


def test_a_child_process_reads_what_its_parent_was_made_with(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tuple as Python writes it was no JSON, and every service refused to start."""
    own = Settings(
        oidc_issuers=CHANGED["oidc_issuers"],
        ldap_roles=CHANGED["ldap_roles"],
        personal_keys=SecretStr("a secret"),
        archive_dir=Path("archive"),
    )
    for name, value in own.variables().items():
        monkeypatch.setenv(name, value)
    assert Settings() == own


def test_settings_do_not_change_once_they_are_read() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        setattr(Settings(), "shards", 5)  # noqa: B010 - the type checker refuses the plain assignment


def test_unknown_variables_are_no_concern_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MILLRACE_SHARD", "99")
    assert Settings().shards == 4


def test_an_empty_variable_is_one_that_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """Regression: as compose files write `${VARIABLE:-}`, an empty path was the folder one stands in."""
    monkeypatch.setenv("MILLRACE_PERSONAL_KEYS_FILE", "")
    monkeypatch.setenv("MILLRACE_KAFKA_PORT", "")
    assert (Settings().personal_keys_file, Settings().kafka_port) == (None, 19_092)


def test_without_servers_of_their_own_the_local_ones_follow_the_ports() -> None:
    settings = Settings(home=Path("here"), kafka_port=30_000, postgres_port=30_001)
    assert settings.kafka_bootstrap == "127.0.0.1:30000"
    assert urlsplit(settings.database_url).port == 30_001


def test_the_local_url_holds_no_password_and_names_its_file(tmp_path: Path) -> None:
    home = tmp_path / "a home & more?"
    url = urlsplit(local_database_url(home, 15_432))
    assert url.password is None
    assert parse_qs(url.query) == {"passfile": [str(home / "postgres.pgpass")]}


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"transaction_timeout_ms": 12_000, "session_timeout_ms": 12_000}, "must be below session_timeout_ms"),
        ({"transaction_timeout_ms": 12_000, "session_timeout_ms": 11_000}, "must be below session_timeout_ms"),
        ({"kafka_security_protocol": "SASL_SSL"}, "must come with a login where it is SASL"),
        ({"kafka_security_protocol": "SASL_SSL", "kafka_user": "worker"}, "one of MILLRACE_KAFKA_PASSWORD_FILE"),
        (
            {
                "kafka_security_protocol": "SASL_SSL",
                "kafka_user": "u",
                "kafka_password": "p",
                "kafka_password_file": "f",
            },
            "one of MILLRACE_KAFKA_PASSWORD_FILE",
        ),
        ({"cycle_max_ms": 501}, "at most a twentieth of transaction_timeout_ms"),
        ({"api_drain_timeout_ms": 10_000}, "must exceed api_delivery_timeout_ms"),
        ({"database_url": "mysql://db/payments"}, "must start with postgresql://"),
        ({"database_url": "host=db dbname=payments"}, "must start with postgresql://"),
    ],
)
def test_settings_that_contradict_each_other_are_refused_by_name(wrong: dict[str, Any], says: str) -> None:
    [fault] = refused(**wrong)
    assert says in fault
    assert re.match(r"[a-z_]+ (must|may) ", fault), "a relation has no variable in front: it names the settings"


@pytest.mark.parametrize(
    "right",
    [
        {"transaction_timeout_ms": 11_999},
        {"cycle_max_ms": 500},
        {"api_drain_timeout_ms": 10_001},
        {"database_url": "postgres://db/payments"},
    ],
)
def test_the_last_value_before_a_refusal_is_taken(right: dict[str, Any]) -> None:
    assert Settings(**right).model_dump().items() >= right.items()


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("shards", 0),
        ("shards", 4_097),
        ("slot", -1),
        ("workers", 0),
        ("replication_factor", 0),
        ("kafka_port", 65_535),  # the controller takes the next port
        ("postgres_port", 0),
        ("api_port", 65_536),
        ("api_process_id", 65_536),
        ("chunk_records", 0),
        ("cycle_max_ms", 0),
        ("transaction_timeout_ms", 999),
        ("session_timeout_ms", 1_999),
        ("api_client_burst", 9_999),  # a whole batch has 10,000 lines
        ("api_queue_bytes", 16 * 1024 * 1024 - 1),
        ("api_database_connections", 0),
        ("api_database_writing_connections", 0),
        ("group_protocol", "eager"),
        ("accept_broker_version", "perhaps"),
    ],
)
def test_a_value_out_of_range_is_refused_under_its_variable(name: str, wrong: object) -> None:
    [fault] = refused(**{name: wrong})
    assert fault.startswith(f"MILLRACE_{name.upper()}: ")
    assert len(fault.splitlines()) == 1


def test_a_wrong_port_is_not_blamed_on_the_servers_that_would_have_followed_it() -> None:
    """Nobody set KAFKA_BOOTSTRAP or DATABASE_URL: a line about either sends the reader to the wrong place."""
    assert [fault.split(":")[0] for fault in refused(kafka_port=70_000, postgres_port=0)] == [
        "MILLRACE_KAFKA_PORT",
        "MILLRACE_POSTGRES_PORT",
    ]


def test_every_fault_gets_a_line_of_its_own() -> None:
    faults = refused(shards=0, slot=-1, api_port="none")
    assert [fault.split(":")[0] for fault in faults] == ["MILLRACE_SHARDS", "MILLRACE_SLOT", "MILLRACE_API_PORT"]


@examples(max_examples=60)
@given(transaction=st.integers(1_000, 60_000), session=st.integers(2_000, 60_000), cycle=st.integers(1, 4_000))
def test_an_orphaned_transaction_always_ends_before_its_partitions_move(
    transaction: int, session: int, cycle: int
) -> None:
    try:
        made = Settings(transaction_timeout_ms=transaction, session_timeout_ms=session, cycle_max_ms=cycle)
    except ValidationError:
        assert transaction >= session or cycle > transaction / 20
    else:
        assert made.transaction_timeout_ms < made.session_timeout_ms
        assert made.cycle_max_ms <= made.transaction_timeout_ms / 20
