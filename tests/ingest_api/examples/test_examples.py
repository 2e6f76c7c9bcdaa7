"""Goal: who copies an example has something that works: it pays straight on Kafka, and reads what became of it.

Method: the examples as they are, as processes, against a whole installation. Java's are compiled with the compiler of
Eclipse, which needs no JDK.
"""

import json
import secrets
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from millrace.environment import LocalEnvironment
from millrace.environment.brokers.java import find_java
from millrace.environment.downloads import fetch_all, parse_pinned_list
from millrace.environment.layout import cache_of
from tests.ingest_api.client import ApiClient

EXAMPLES = Path(__file__).parents[3] / "examples"
PATIENCE_S = 120


class Language(NamedTuple):
    """How its examples are run."""

    pay: list[str]
    consume: list[str]


def python(installation: LocalEnvironment, api_url: str) -> Language:
    where = ["--bootstrap", installation.kafka_bootstrap, "--registry", api_url]
    pay, consume = (
        [sys.executable, str(EXAMPLES / "python" / name), *where] for name in ("pay.py", "consume_events.py")
    )
    return Language(pay, [*consume, "--group", f"subscriber.{secrets.token_hex(4)}", "--count"])


def java(installation: LocalEnvironment, api_url: str, classes: Path) -> Language:
    """Compiled first."""
    repository = cache_of(installation.settings) / "maven"
    jars = parse_pinned_list((EXAMPLES / "java" / "jars.txt").read_text())
    fetch_all(jars, installation.settings.maven_url, repository)
    (compiler,) = (str(repository / jar.path) for jar in jars if "/ecj/" in jar.path)
    class_path = ":".join([str(classes), *(str(repository / jar.path) for jar in jars)])
    runtime = str(find_java().executable)
    sources = [str(source) for source in sorted((EXAMPLES / "java").glob("*.java"))]
    run([runtime, "-jar", compiler, "-17", "-proc:none", "-cp", class_path, "-d", str(classes), *sources])
    where = [installation.kafka_bootstrap, api_url]
    start = [runtime, "-cp", class_path]
    group = f"subscriber.{secrets.token_hex(4)}"
    return Language([*start, "Pay", *where], [*start, "ConsumeEvents", *where, group])


@pytest.fixture(scope="module", params=["python", "java"])
def language(
    request: pytest.FixtureRequest,
    installation: LocalEnvironment,
    api_url: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Language:
    if request.param == "java":
        return java(installation, api_url, tmp_path_factory.mktemp("classes"))
    return python(installation, api_url)


def run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_what_is_paid_on_kafka_is_told_to_a_consumer(api: ApiClient, language: Language) -> None:
    payer, payee = api.funded_account("10.00"), api.open_account()
    run([*language.pay, payer, payee, "250", "EUR", "an example's key"])
    told = events_until(language, payer)
    of_payment = [event for event in told if event["payer"] == payer]
    assert [event["type"] for event in of_payment] == ["payment.authorised", "payment.posted"]
    posted = of_payment[-1]
    assert (posted["payee"], posted["amount_minor"], posted["currency"]) == (payee, 250, "EUR")
    assert [event["type"] for event in told if event["subject"] == payer] == ["account.opened"]


def events_until(language: Language, payer: str) -> list[dict[str, Any]]:
    """What the consumer prints until it has told of the opening and of the payment: two objects, so in any order."""
    awaited = {"account.opened", "payment.posted"}
    consumer = subprocess.Popen([*language.consume, "0"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert consumer.stdout is not None
    assert consumer.stderr is not None
    told: list[dict[str, Any]] = []
    try:
        for line in consumer.stdout:
            told.append(json.loads(line))
            if payer in (told[-1]["payer"], told[-1]["subject"]):
                awaited.discard(told[-1]["type"])
            if not awaited:
                return told
        raise AssertionError(consumer.stderr.read())
    finally:
        consumer.terminate()
        consumer.wait(PATIENCE_S)
        consumer.stdout.close()
        consumer.stderr.close()
