"""Goal: nobody gets in without the right password, over anything but TLS, or to brokers of another authority; and who
is kept out is told why in a sentence, with what to do.
"""

import dataclasses
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from cryptography.hazmat.primitives.serialization import Encoding
from pydantic import SecretStr

from millrace.environment import LocalEnvironment
from millrace.environment.security.certificates import new_authority
from runtime.exactly_once.broker.broker_version import metadata_level
from runtime.kafka_client import AccessRefused, Brokers
from runtime.kafka_login import refuse_wrong_login
from schemas import access
from schemas.access import Principal
from tests.security.conftest import As

WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "wrong password": ({"password": SecretStr("wrong")}, r"refuse the login of millrace-sink: its password is wrong"),
    "unknown user": ({"user": "nobody"}, r"refuse the login of nobody: .*MILLRACE_KAFKA_USER"),
    "no TLS": ({"protocol": "PLAINTEXT"}, r"takes TLS alone .*MILLRACE_KAFKA_SECURITY_PROTOCOL"),
    "login without TLS": ({"protocol": "SASL_PLAINTEXT"}, r"takes TLS alone"),
    "TLS without login": ({"protocol": "SSL"}, r"ask for a login .* MILLRACE_KAFKA_SECURITY_PROTOCOL to SASL_SSL"),
    "the system's authorities": ({"ca_file": None}, r"not one that the system's authorities vouch for"),
    "another mechanism": ({"mechanism": "SCRAM-SHA-256"}, r"don't offer SCRAM-SHA-256"),
}


def changed(brokers: Brokers, **changes: Any) -> Brokers:
    return brokers._replace(login=dataclasses.replace(brokers.login, **changes))


def assert_kept_out(brokers: Brokers, sentence: str) -> None:
    """By our own raw connection, in words, and by librdkafka, which only never gets an answer."""
    with pytest.raises(AccessRefused, match=sentence):
        refuse_wrong_login(brokers)
    with pytest.raises(AccessRefused, match=sentence):
        metadata_level(brokers)
    with pytest.raises(KafkaException):
        AdminClient({**brokers.configuration(), "log_level": 0}).list_topics(timeout=1)


def test_the_right_login_is_let_in(brokers_as: As) -> None:
    brokers = brokers_as(access.SINK.name)
    refuse_wrong_login(brokers)
    assert metadata_level(brokers) >= 25
    assert AdminClient(brokers.configuration()).list_topics(timeout=20).brokers


@pytest.mark.parametrize(("changes", "sentence"), WRONG.values(), ids=WRONG)
def test_a_wrong_login_is_kept_out(brokers_as: As, changes: dict[str, Any], sentence: str) -> None:
    if changes.get("protocol") == "SSL":  # every broker answers ApiVersions before the login
        with pytest.raises(AccessRefused, match=sentence):
            refuse_wrong_login(changed(brokers_as(access.SINK.name), **changes))
        return
    assert_kept_out(changed(brokers_as(access.SINK.name), **changes), sentence)


def test_brokers_of_another_authority_are_not_trusted(brokers_as: As, tmp_path: Path) -> None:
    foreign = tmp_path / "foreign.pem"
    foreign.write_bytes(new_authority().certificate.public_bytes(Encoding.PEM))
    assert_kept_out(changed(brokers_as(access.SINK.name), ca_file=foreign), r"foreign\.pem vouch for .*KAFKA_CA_FILE")


def test_an_authority_that_is_none_is_named(brokers_as: As, tmp_path: Path) -> None:
    empty = tmp_path / "empty.pem"
    empty.write_text("no certificate\n")
    with pytest.raises(AccessRefused, match=r"no authority in .*empty\.pem .*correct MILLRACE_KAFKA_CA_FILE"):
        refuse_wrong_login(changed(brokers_as(access.SINK.name), ca_file=empty))


def test_plain_brokers_take_no_login(broker: str, brokers_as: As) -> None:
    login = brokers_as(access.SINK.name).login
    with pytest.raises(AccessRefused, match="speaks no TLS"):
        refuse_wrong_login(Brokers(broker, login))
    with pytest.raises(AccessRefused, match="takes no login"):
        refuse_wrong_login(Brokers(broker, dataclasses.replace(login, protocol="SASL_PLAINTEXT")))
    refuse_wrong_login(Brokers(broker))


@pytest.mark.parametrize("arguments", [["sink"], ["worker"], ["audit", "verify"], ["topics"]], ids=" ".join)
def test_a_command_with_a_wrong_password_ends_with_one_sentence(
    secured: LocalEnvironment, tmp_path: Path, arguments: list[str]
) -> None:
    password = tmp_path / "password"
    password.write_text("wrong\n")
    done = run_as(access.SINK, secured, arguments, MILLRACE_KAFKA_PASSWORD_FILE=str(password))
    assert done.returncode == 1
    assert done.stdout == ""
    assert "millrace: the brokers refuse the login of millrace-sink" in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) <= 4, done.stderr


@pytest.mark.parametrize(
    "arguments", [["transactions", "hanging", "--json"], ["archive", "run", "--once"]], ids=" ".join
)
def test_who_does_not_see_every_topic_is_not_told_about_the_rest(
    secured: LocalEnvironment, tmp_path: Path, arguments: list[str]
) -> None:
    """The brokers hide a topic without a word, so “nothing hangs” was said of those that the sink may read."""
    done = run_as(access.SINK, secured, arguments, MILLRACE_ARCHIVE_DIR=str(tmp_path))
    assert done.returncode != 0, done.stdout
    assert done.stdout == ""
    assert re.search(r"principal millrace-sink may not see [a-z]+\.[a-z]+ ", " ".join(done.stderr.split())), done.stderr


def test_a_replay_says_nothing_of_connections_that_it_closed_again(secured: LocalEnvironment) -> None:
    done = run_as(access.OPERATOR, secured, ["replay"])
    assert (done.returncode, done.stderr.strip()) == (0, "")


def run_as(
    principal: Principal, secured: LocalEnvironment, arguments: list[str], **variables: str
) -> "subprocess.CompletedProcess[str]":
    """A command, with the login of a stage."""
    return subprocess.run(
        [sys.executable, "-m", "millrace", *arguments],
        env={**os.environ, **secured.settings_of(principal.name).variables(), **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
