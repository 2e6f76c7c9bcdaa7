"""Goal: settings become client configuration in one place, and a password is shown nowhere."""

from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import KafkaError, Producer

from runtime.kafka_client import AccessRefused, Brokers, is_refusal
from runtime.kafka_login import addresses, refuse_wrong_login
from runtime.settings import Settings
from tests.runtime.broker.scripted_broker import Raw, ScriptedBroker

SECRET = "correct horse battery staple"


def secured(**changed: Any) -> Settings:
    login = {"kafka_security_protocol": "SASL_SSL", "kafka_user": "someone", "kafka_password": SECRET}
    return Settings(kafka_bootstrap="host:1", **{**login, **changed})


def test_plain_brokers_need_nothing_but_their_address() -> None:
    assert Brokers.of(Settings(kafka_bootstrap="host:1")).configuration() == {"bootstrap.servers": "host:1"}


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, {"security.protocol", "sasl.mechanism", "sasl.username", "sasl.password"}),
        ({"kafka_security_protocol": "SASL_PLAINTEXT", "kafka_ca_file": "ca.pem"}, {"sasl.mechanism", "sasl.password"}),
        ({"kafka_security_protocol": "SSL", "kafka_ca_file": "ca.pem"}, {"security.protocol", "ssl.ca.location"}),
    ],
)
def test_each_protocol_gets_what_it_needs_and_nothing_else(changed: dict[str, Any], expected: set[str]) -> None:
    found = Brokers.of(secured(**changed)).configuration()
    assert expected <= found.keys()
    assert ("sasl.password" in found) == found["security.protocol"].startswith("SASL")
    assert ("ssl.ca.location" in found) == (bool(changed.get("kafka_ca_file")) and found["security.protocol"] == "SSL")
    Producer({**found, "ssl.ca.location": ""} if "ssl.ca.location" in found else found)  # librdkafka knows every name


def test_a_password_is_read_from_its_file_without_the_lines_end(tmp_path: Path) -> None:
    path = tmp_path / "password"
    path.write_text(f"{SECRET}\n")
    brokers = Brokers.of(secured(kafka_password=None, kafka_password_file=path))
    assert brokers.configuration()["sasl.password"] == SECRET


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = tmp_path / "absent"
    with pytest.raises(AccessRefused, match=r"password of someone from .*absent .*MILLRACE_KAFKA_PASSWORD_FILE"):
        Brokers.of(secured(kafka_password=None, kafka_password_file=path))


def test_a_password_is_shown_nowhere() -> None:
    settings = secured()
    brokers = Brokers.of(settings)
    shown = [repr(settings), str(settings.model_dump()), repr(brokers), str(brokers.login), brokers.login.principal]
    shown += [brokers.login.wrong_password(), brokers.login.may_not("read", "X"), brokers.login.untrusted("why")]
    assert not [text for text in shown if SECRET in text]


@pytest.mark.parametrize(
    ("code", "says"),
    [
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, r"principal someone may not write x \(TOPIC_AUTHORIZATION_FAILED\)"),
        (KafkaError.GROUP_AUTHORIZATION_FAILED, r"may not write x \(GROUP_AUTHORIZATION_FAILED\): `millrace topics`"),
        (KafkaError._AUTHENTICATION, r"refuse the login of someone: its password is wrong"),
    ],
)
def test_a_refusal_names_who_lacks_what(code: int, says: str) -> None:
    error = KafkaError(code)
    assert is_refusal(error)
    with pytest.raises(AccessRefused, match=says):
        raise AccessRefused(Brokers.of(secured()).explained(error, "write x"))


def test_other_errors_are_left_as_they_are() -> None:
    error = KafkaError(KafkaError.NOT_LEADER_FOR_PARTITION)
    assert not is_refusal(error)
    assert Brokers("host:1").explained(error, "write x") == str(error)


def test_a_broker_that_is_away_is_no_refusal() -> None:
    with ScriptedBroker() as gone:
        pass
    refuse_wrong_login(Brokers(gone.bootstrap))


def test_an_alert_of_tls_is_recognised() -> None:
    """What a TLS listener answers to a plain client would be a length of 352 MB."""
    with (
        ScriptedBroker(Raw(b"\x15\x03\x03\x00\x02\x02\x50")) as broker,
        pytest.raises(AccessRefused, match="takes TLS alone"),
    ):
        refuse_wrong_login(Brokers(broker.bootstrap))


def test_a_list_of_brokers_is_tried_in_order() -> None:
    assert addresses("[::1]:1, two:2") == [("::1", 1), ("two", 2)]
