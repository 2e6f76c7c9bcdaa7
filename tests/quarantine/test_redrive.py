"""Redriven once: by command line and HTTP, many at once, killed in between; never what was decided already."""

from concurrent.futures import ThreadPoolExecutor
from copy import copy
from datetime import timedelta

import pytest

from ingest_api.problems import Fault
from ingest_api.quarantine.redrive import Outcome, Redriver
from millrace.audit.verify import verify
from millrace.environment import LocalEnvironment
from payments.book import IDEMPOTENCY_WINDOW_HOURS
from schemas.codec.commands import as_record, encode_body, encode_command
from schemas.origin import Origin
from schemas.partitioning import shard_of
from schemas.topics import COMMANDS
from tests.ingest_api.client import command_ends, command_record, problem_of
from tests.quarantine.conftest import Operator, transfer
from tests.support.waiting import eventually


def assert_redriven(operator: Operator, origin: Origin, body: bytes) -> None:
    """Resolved, and the record at the position that was marked is the same command with its origin."""
    resolution = operator.await_case(origin).resolution
    assert resolution is not None
    assert resolution.position is not None
    record = command_record(operator.settings.kafka_bootstrap, *resolution.position)
    assert record.value() == as_record(body)
    assert record.headers() == [("redriven_from", str(origin).encode())]


def test_a_command_gone_astray_is_redriven_to_its_own_partition(operator: Operator) -> None:
    payer, payee = operator.accounts()
    command = transfer(payer, payee)
    origin = operator.send_astray(command)
    operator.await_case(origin)
    shown = operator.json("inspect", str(origin))
    assert shown["redrivable"]
    assert "Redrive it" in shown["advice"]
    [line] = operator.json("redrive", str(origin), "--as", "otto")
    assert line["redriven_to"]["partition"] == shard_of(command.payer, operator.shards)
    operator.await_balance(payee, 500)
    assert operator.api.get(f"/v1/transactions/{shown['commands'][0]['payment_id']}").json()["status"] == "posted"
    case = operator.await_case(origin)
    assert case.resolution is not None
    assert (case.status, case.resolution.resolved_by) == ("redriven", "otto")
    assert_redriven(operator, origin, encode_body(command))
    [line] = operator.json("redrive", str(origin), expect=1)
    assert line["code"] == "quarantine_case_resolved"


def test_over_http(operator: Operator) -> None:
    payer, payee = operator.accounts()
    command = transfer(payer, payee)
    origin = operator.send_astray(command)
    operator.await_case(origin)
    path = f"/v1/quarantine/{origin}/redrive"
    answer = operator.api.post(path, {})
    assert (answer.status_code, answer.json()["status"], answer.json()["resolved_by"]) == (200, "redriven", "olga")
    problem_of(operator.api.post(path, {"force": True}), 409, "quarantine_case_resolved")
    operator.await_balance(payee, 500)
    assert_redriven(operator, origin, encode_body(command))


def test_many_at_once_move_the_money_once(operator: Operator) -> None:
    payer, payee = operator.accounts()
    command = transfer(payer, payee)
    origin = operator.send_astray(command)
    operator.await_case(origin)
    before = sum(command_ends(operator.settings.kafka_bootstrap, operator.shards).values())

    def redrive(number: int) -> str:
        with operator.desk() as connection:
            outcome = Redriver.ready(operator.settings, connection).redrive(origin, f"operator {number}")
        return outcome.refusal or "done"

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(redrive, range(8)))
    assert outcomes.count("done") == 1
    assert set(outcomes) <= {"done", "quarantine_case_busy", "quarantine_case_resolved"}
    assert sum(command_ends(operator.settings.kafka_bootstrap, operator.shards).values()) == before + 1
    operator.await_balance(payee, 500)


@pytest.mark.parametrize(
    ("failpoint", "sent"), [("redrive_after_claim:1", 0), ("redrive_after_produce:1", 1)], ids=["claim", "produce"]
)
def test_killed_in_between_and_run_again(operator: Operator, failpoint: str, sent: int) -> None:
    payer, payee = operator.accounts()
    command = transfer(payer, payee)
    origin = operator.send_astray(command)
    operator.await_case(origin)
    before = sum(command_ends(operator.settings.kafka_bootstrap, operator.shards).values())
    assert operator.run("redrive", str(origin), failpoint=failpoint).returncode == -9
    assert operator.await_case(origin).status == "redriving"
    assert sum(command_ends(operator.settings.kafka_bootstrap, operator.shards).values()) == before + sent
    [line] = operator.json("discard", str(origin), "--because", "tired of it", expect=1)
    assert line["code"] == "quarantine_case_busy"
    if sent:
        operator.await_balance(payee, 500)
    [line] = operator.json("redrive", str(origin))
    assert line["done"]
    assert sum(command_ends(operator.settings.kafka_bootstrap, operator.shards).values()) == before + 1
    operator.await_balance(payee, 500)
    assert_redriven(operator, origin, encode_body(command))


def test_killed_after_produce_and_run_again_before_postgres_shows_it(
    operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second record goes out, and the agents answer it as a replay."""
    payer, payee = operator.accounts()
    command = transfer(payer, payee)
    origin = operator.send_astray(command)
    operator.await_case(origin)
    with operator.desk() as connection:
        redriver = Redriver.ready(operator.settings, connection)
        monkeypatch.setattr(redriver, "_decision", lambda _: None)
        assert operator.run("redrive", str(origin), failpoint="redrive_after_produce:1").returncode == -9
        outcomes: list[Outcome] = []

        def is_free() -> bool:
            """Postgres takes a moment to see that who held the case is dead."""
            outcomes.append(redriver.redrive(origin, "otto"))
            return outcomes[-1].refusal is not Fault.CASE_BUSY

        eventually(is_free, "the case of a process that was killed")
        assert outcomes[-1].refusal is None
    operator.await_balance(payee, 500)
    third = transfer(payer, payee, 1)
    operator.send(shard_of(third.payer, operator.shards), encode_command(third))
    operator.await_balance(payee, 501)


def test_what_was_decided_for_another_sender_is_never_sent(operator: Operator) -> None:
    """Also long after the agents have forgotten the key: the row in Postgres is asked, whatever the age."""
    payer, payee = operator.accounts()
    command = transfer(payer, payee)
    origin = operator.send_astray(command)
    operator.await_case(origin)
    operator.send(shard_of(command.payer, operator.shards), encode_command(command))
    operator.await_balance(payee, 500)
    age = timedelta(hours=2 * IDEMPOTENCY_WINDOW_HOURS)
    with operator.desk() as connection:
        changed = connection.execute(
            "UPDATE decisions SET decided_at = decided_at - %s WHERE payer = %s", (age, command.payer.hex())
        )
        assert changed.rowcount == 1
    before = command_ends(operator.settings.kafka_bootstrap, operator.shards)
    [line] = operator.json("redrive", str(origin), "--force", expect=1)
    assert line["code"] == "quarantine_case_decided"
    assert "discard this one" in line["detail"]
    assert command_ends(operator.settings.kafka_bootstrap, operator.shards) == before
    with operator.desk() as connection:
        connection.execute(
            "UPDATE decisions SET decided_at = decided_at + %s WHERE payer = %s", (age, command.payer.hex())
        )
    operator.json("discard", str(origin), "--because", "decided already")


def test_all_of_a_reason_and_the_refused_ones_are_named(operator: Operator) -> None:
    payer, payee = operator.accounts()
    commands = [transfer(payer, payee, 100) for _ in range(3)]
    origins = [operator.send_astray(command) for command in commands]
    keyless = operator.send_astray(transfer(payer, payee, idempotency_key=""))
    for origin in (*origins, keyless):
        operator.await_case(origin)
    lines = {line["id"]: line for line in operator.json("redrive", "--reason", "wrong_partition", expect=1)}
    assert all(lines[str(origin)]["done"] for origin in origins)
    assert lines[str(keyless)]["code"] == "quarantine_case_undecidable"
    operator.await_balance(payee, 300)


def test_forced_bytes_come_back_as_a_case_of_their_own(operator: Operator) -> None:
    origin = operator.send(3, b"never a command", key=None)
    operator.await_case(origin)
    [line] = operator.json("redrive", str(origin), "--force")
    again = Origin(COMMANDS.name, line["redriven_to"]["partition"], line["redriven_to"]["offset"], 0)
    case = operator.await_case(again)
    assert (case.status, case.value, case.key) == ("open", b"never a command", None)


def test_a_wrong_shard_count_redrives_nothing(operator: Operator) -> None:
    wrong = copy(operator)
    wrong.settings = operator.settings.model_copy(update={"shards": 7})
    [line] = [wrong.run("redrive", "--all", "--json")]
    assert line.returncode == 1
    assert "MILLRACE_SHARDS is 7" in line.stdout


def test_the_books_are_right_with_redriven_commands_in_them(installation: LocalEnvironment, operator: Operator) -> None:
    """Runs after the others: what they redrove, forced and discarded is in the log that is audited."""
    payer, payee = operator.accounts()
    origin = operator.send_astray(transfer(payer, payee))
    operator.await_case(origin)
    operator.json("redrive", str(origin))
    operator.await_balance(payee, 500)
    report = verify(installation.settings)
    assert report.ok, report.differences
    assert report.quarantined > 0
    assert (report.postings_sum_minor, report.drift_minor, report.undecided) == (0, 0, 0)
