"""`millrace rules check|publish`: a rule set goes onto the log, once for each shard, and is in force behind that place.

Publishing twice is harmless: the version is the idempotency key.
"""

from pathlib import Path

import msgspec
import typer
from confluent_kafka import KafkaError, Message, Producer
from rich.table import Table

from millrace.cli import EXIT_FAILED
from millrace.commands.output import faults_shown, print_failure, print_json, screen
from millrace.environment import EnvironmentFault, connected
from payments.movements.instructions import Envelope, SetRules
from payments.risk.rules import RuleSet, parse
from runtime.kafka_client import Brokers
from runtime.kafka_login import refuse_wrong_login
from runtime.settings import Settings
from schemas.codec.instructions import MAX_RULES_BYTES, encode_instruction
from schemas.topics import COMMANDS


class Published(msgspec.Struct):
    """From which position of payments.commands on a shard decides by the rule set."""

    shard: int
    offset: int


def run_check(document: Path, *, as_json: bool) -> None:
    """Every problem with its line, or what the rule set is."""
    _, rules = _read(document, as_json=as_json)
    if as_json:
        print_json({"version": rules.version, "rules": [rule.id for rule in rules.rules], "problems": []})
    else:
        screen.print(f"version {rules.version}: {len(rules.rules)} rules, nothing is wrong with it")


def run_publish(document: Path, *, as_json: bool) -> None:
    """One instruction to every shard."""
    text, rules = _read(document, as_json=as_json)
    with faults_shown(as_json=as_json):
        places = _publish(connected(Settings()), text, rules.version)
    if as_json:
        print_json({"version": rules.version, "published": places})
        return
    table = Table("shard", f"version {rules.version} from offset", box=None)
    for place in places:
        table.add_row(str(place.shard), f"{place.offset:,}")
    screen.print(table)


def _read(document: Path, *, as_json: bool) -> tuple[str, RuleSet]:
    text = document.read_text()
    rules = parse(text)
    if isinstance(rules, RuleSet) and len(text.encode()) <= MAX_RULES_BYTES:
        return text, rules
    problems = [f"longer than {MAX_RULES_BYTES:,} bytes"] if isinstance(rules, RuleSet) else list(map(str, rules))
    if as_json:
        print_json({"problems": problems})
    else:
        for problem in problems:
            print_failure(f"{document}: {problem}")
    raise typer.Exit(EXIT_FAILED)


def _publish(settings: Settings, text: str, version: int) -> list[Published]:
    """Raises EnvironmentFault where a shard did not get it: publish again then."""
    brokers = Brokers.of(settings)
    refuse_wrong_login(brokers)
    timeout_ms = settings.api_delivery_timeout_ms
    producer = Producer(
        {**brokers.configuration(), "acks": "all", "enable.idempotence": True, "delivery.timeout.ms": timeout_ms}
    )
    places: list[Published] = []
    failures: list[str] = []

    def delivered(error: KafkaError | None, message: Message) -> None:
        if error is not None:
            failures.append(error.str())
        else:
            places.append(Published(message.partition() or 0, message.offset() or 0))

    for shard in range(settings.shards):
        asked = SetRules(shard=shard, text=text, envelope=Envelope(f"rules {version}"))
        producer.produce(COMMANDS.name, encode_instruction(asked), partition=shard, on_delivery=delivered)
    producer.flush(timeout_ms / 1_000)
    if failures or len(places) < settings.shards:
        why = failures[0] if failures else "Kafka does not answer"
        raise EnvironmentFault(f"{len(places)} of {settings.shards} shards have it; publish it again: {why}")
    return sorted(places, key=lambda place: place.shard)
