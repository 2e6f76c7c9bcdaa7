"""Goal: what a secured environment keeps is its owner's alone, and each service is told its own password alone."""

import os
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest
from confluent_kafka import Producer
from cryptography import x509

from millrace.access import ensure_access
from millrace.environment import EnvironmentFault, LocalEnvironment, connected
from millrace.environment.brokers.broker import _refuse_other_security
from millrace.environment.layout import Home
from millrace.environment.security import certificates
from millrace.environment.security.certificates import ensure_certificates
from millrace.environment.security.credentials import USERS, ensure_passwords, with_login
from millrace.services import pipeline_services
from millrace.topics import ensure_topics
from runtime.kafka_client import Brokers
from runtime.settings import Settings
from schemas import access
from schemas.access import ADMINISTRATOR, OPERATOR, WORKER
from schemas.topics import LEDGER
from tests.support.environment import throw_away_settings


def home_of(environment: LocalEnvironment) -> Home:
    return Home(environment.settings.home)


def test_every_secret_is_its_owners_alone(secured: LocalEnvironment) -> None:
    home = home_of(secured)
    secrets = [*home.security.iterdir(), *home.root.glob("kafka/broker-*/server.properties"), home.plan]
    assert home.security.stat().st_mode & 0o777 == 0o700
    assert [path.name for path in secrets if path.stat().st_mode & 0o077] == []


def test_passwords_differ_and_stand_in_no_log_and_on_no_command_line(secured: LocalEnvironment) -> None:
    home = home_of(secured)
    passwords = {user: home.password(user).read_text() for user in USERS}
    assert len(set(passwords.values())) == len(USERS)
    written = [path.read_text(errors="replace") for path in home.logs.iterdir()] + [home.plan.read_text()]
    for service in secured.status().services:
        if service.pid is not None:
            written.append(" ".join(psutil.Process(service.pid).cmdline()))
    assert [user for user, password in passwords.items() if any(password in text for text in written)] == []
    assert list(home.root.glob("**/*.arguments")) == [], "what storage was formatted with"


def test_each_service_knows_its_own_login_alone(secured: LocalEnvironment) -> None:
    home = home_of(secured)
    users = {}
    for service in secured.status().services:
        if service.pid is None or service.name in {"broker", "postgres"}:
            continue
        variables = psutil.Process(service.pid).environ()
        users[service.name] = variables["MILLRACE_KAFKA_USER"]
        told = [user for user in USERS if str(home.password(user)) in "\n".join(variables.values()).split("\n")]
        assert told == [users[service.name]]
        assert "MILLRACE_KAFKA_PASSWORD" not in variables
    assert users == {
        "watch": access.WATCH.name,
        "sink": access.SINK.name,
        "quarantine-sink": access.QUARANTINE_SINK.name,
        "events-sink": access.EVENTS_SINK.name,
        "webhooks": access.WEBHOOKS.name,
        "publisher": access.PUBLISHING.name,
        "connectors": access.CONNECTOR.name,
        "worker-0": access.WORKER.name,
        "ticker": access.TICKER.name,
        "scheduler": access.SCHEDULER.name,
        "api-0": access.API.name,
    }


def test_every_service_has_a_principal(tmp_path: Path) -> None:
    settings = Settings(
        home=tmp_path, workers=12, api_processes=11, archive_dir=tmp_path, recon_plan_file=tmp_path / "plan.yaml"
    )
    for service in pipeline_services(settings):
        assert with_login(service, Home(tmp_path)).env["MILLRACE_KAFKA_USER"] in USERS


def test_a_command_in_this_home_is_the_operator(secured: LocalEnvironment) -> None:
    found = connected(Settings(home=secured.settings.home))
    assert (found.kafka_user, found.kafka_security_protocol) == (OPERATOR.name, "SASL_SSL")
    assert found.kafka_bootstrap == secured.kafka_bootstrap


def test_a_certificate_is_kept_until_it_is_about_to_expire(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = Home(tmp_path)
    home.security.mkdir()
    ensure_certificates(home)
    ensure_passwords(home)
    before = {path: path.read_bytes() for path in home.security.iterdir()}
    ensure_certificates(home)
    ensure_passwords(home)
    assert {path: path.read_bytes() for path in home.security.iterdir()} == before
    monkeypatch.setattr(certificates, "_RENEW_WITHIN", certificates._BROKER_LIFE)
    ensure_certificates(home)
    renewed = x509.load_pem_x509_certificate(home.broker_certificate.read_bytes())
    assert home.broker_certificate.read_bytes() != before[home.broker_certificate]
    assert home.authority.read_bytes() == before[home.authority]
    assert renewed.not_valid_before_utc < datetime.now(UTC) < renewed.not_valid_after_utc


@pytest.mark.parametrize(("was_secure", "says"), [(True, "start it with --secure"), (False, "without --secure")])
def test_a_home_does_not_change_its_kind(tmp_path: Path, was_secure: bool, says: str) -> None:
    home = Home(tmp_path)
    _refuse_other_security(home, secure=was_secure)
    (home.broker(1) / "data").mkdir(parents=True)
    (home.broker(1) / "data" / "meta.properties").touch()
    if was_secure:
        home.security.mkdir()
        home.authority_key.touch()
    _refuse_other_security(home, secure=was_secure)
    with pytest.raises(EnvironmentFault, match=says):
        _refuse_other_security(home, secure=not was_secure)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"secure": True, "kafka_bootstrap": "host:1"}, "KAFKA_BOOTSTRAP names others"),
        ({"kafka_security_protocol": "SSL"}, "for the brokers that KAFKA_BOOTSTRAP names"),
    ],
)
def test_security_of_ours_and_of_others_is_not_mixed(
    tmp_path: Path, wrong: dict[str, object], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KAFKA_BOOTSTRAP", raising=False)
    settings = Settings.model_validate({"home": tmp_path, **wrong})
    with pytest.raises(EnvironmentFault, match=says):
        LocalEnvironment(settings, pipeline=False).start()


@pytest.mark.night
def test_three_brokers_are_secured_among_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A transaction commits on three replicas: inter-broker replication, markers and controllers are all let in."""
    for name in [name for name in os.environ if name.startswith("MILLRACE_KAFKA_")] + ["KAFKA_BOOTSTRAP"]:
        monkeypatch.delenv(name, raising=False)
    settings = throw_away_settings(tmp_path / "home", brokers=3)
    own = settings.model_copy(update={"secure": True, "database_url": "postgresql://nowhere"})
    with LocalEnvironment(own, brokers=3, pipeline=False) as environment:
        administrator = environment.settings_of(ADMINISTRATOR)
        ensure_topics(administrator)
        ensure_access(administrator)
        worker = Brokers.of(environment.settings_of(WORKER.name)).configuration()
        producer = Producer({**worker, "transactional.id": f"{access.APPLICATION}.0"})
        producer.init_transactions(30)
        producer.begin_transaction()
        reports: list[object] = []
        producer.produce(LEDGER.name, b"x", partition=0, on_delivery=lambda error, _: reports.append(error))
        producer.commit_transaction(30)
        assert reports == [None]
