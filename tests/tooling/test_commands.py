"""Goal: each sub-command prints what it did, for people and for machines, and exits with the code its help promises.

Method: the commands' own functions, with an environment that is written down instead of started.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import typer

from millrace.cli import EXIT_ALARM, EXIT_FAILED, EXIT_NOT_RUNNING
from millrace.commands import down, kill, logs, output, status, transactions, up
from millrace.environment.layout import Addresses, Home
from millrace.quarantine import command as quarantine
from millrace.supervisor.control import Answer, ServiceStatus, SupervisorStatus
from runtime.exactly_once.broker.hanging import Decision, Verdict
from runtime.exactly_once.broker.transaction_admin import IncompleteView, OpenProducer
from schemas.topics import LEDGER
from tests.support.supervision import service_status

ADDRESSES = Addresses("127.0.0.1:1", "postgresql://u:s3cret@127.0.0.1:2/x", 1, 1, api_url="http://127.0.0.1:3")
HANGING = OpenProducer((LEDGER.name, 2), 4711, 0, 1, 0, 9)


def service(*, alarm: bool) -> ServiceStatus:
    return service_status("sink", alarm=alarm, exits_recently=5)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """The home of every command of a test, with the addresses of an environment."""
    monkeypatch.setenv("MILLRACE_HOME", str(tmp_path))
    made = Home(tmp_path)
    made.logs.mkdir()
    made.write(made.addresses, msgspec.json.encode(ADDRESSES))
    for console in (output.screen, output.errors):
        monkeypatch.setattr(console, "_width", 300)
    return made


def running(monkeypatch: pytest.MonkeyPatch, *services: ServiceStatus, phase: Any = "ready") -> None:
    state = SupervisorStatus(1, phase, list(services))
    for module in (status, up):
        monkeypatch.setattr(module, "running_supervisor", lambda _: state)


def exit_code(command: Callable[[], None]) -> int:
    try:
        command()
    except typer.Exit as ended:
        return ended.exit_code
    return 0


def json_of(capsys: pytest.CaptureFixture[str]) -> Any:
    said = capsys.readouterr()
    assert said.err == ""
    return json.loads(said.out)


@pytest.mark.parametrize(
    ("crashing", "alarms", "code"),
    [(False, [], 0), (True, [], EXIT_ALARM), (False, ["drift"], EXIT_ALARM), (True, ["drift"], EXIT_ALARM)],
)
def test_the_exit_code_of_status_says_whether_somebody_has_to_look(
    home: Home, monkeypatch: pytest.MonkeyPatch, crashing: bool, alarms: list[str], code: int
) -> None:
    running(monkeypatch, service(alarm=crashing))
    home.write(home.alarms, msgspec.json.encode(alarms))
    assert exit_code(lambda: status.run(as_json=True)) == code
    assert exit_code(lambda: status.run(as_json=False)) == code


def test_status_shows_addresses_services_and_alarms(
    home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    running(monkeypatch, service(alarm=True))
    home.write(home.alarms, msgspec.json.encode(["drift of [3] units"]))
    exit_code(lambda: status.run(as_json=False))
    shown = capsys.readouterr().out
    for words in ("http://127.0.0.1:3/docs", "5 exits in 30 s", "ALARM drift of [3] units"):
        assert words in shown
    assert "s3cret" not in shown


def test_status_for_machines_has_the_same_and_no_password(
    home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    running(monkeypatch, service(alarm=False))
    status.run(as_json=True)
    shown = json_of(capsys)
    assert shown["alarms"] == []
    assert shown["addresses"]["database_url"] == "postgresql://u:***@127.0.0.1:2/x"
    assert [one["name"] for one in shown["supervisor"]["services"]] == ["sink"]


def test_nothing_running_is_no_empty_state(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(lambda: status.run(as_json=True)) == EXIT_NOT_RUNNING
    assert "`millrace up` starts one" in json_of(capsys)["error"]


def test_up_twice_starts_nothing_twice(
    home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    running(monkeypatch)
    monkeypatch.setattr(up, "LocalEnvironment", None)
    up.run(brokers=1, pipeline=True, as_json=True)
    shown = json_of(capsys)
    assert shown["already_running"] is True
    assert "s3cret" not in json.dumps(shown)
    up.run(brokers=1, pipeline=True, as_json=False)
    assert capsys.readouterr().out.startswith("Millrace is up already.")


@pytest.mark.parametrize(
    ("stopped", "wipe", "said"),
    [
        (True, False, "Stopped."),
        (False, False, "Nothing ran."),
        (True, True, "Stopped, deleted {home}."),
        (False, True, "Nothing ran, deleted {home}."),
    ],
)
def test_down_says_what_it_did(
    home: Home,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    stopped: bool,
    wipe: bool,
    said: str,
) -> None:
    monkeypatch.setattr(down, "stop_environment", lambda _: stopped)
    down.run(wipe=wipe, as_json=False)
    assert capsys.readouterr().out == said.format(home=home.root) + "\n"
    assert home.root.exists() != wipe
    down.run(wipe=wipe, as_json=True)
    assert json_of(capsys) == {"stopped": stopped, "wiped": wipe}


def test_kill_names_the_process_that_was_hit(
    home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(kill, "ask_supervisor", lambda *_: Answer(pid=99))
    kill.run("worker-0", as_json=False)
    assert capsys.readouterr().out == "Killed worker-0, pid 99.\n"
    kill.run("worker-0", as_json=True)
    assert json_of(capsys) == {"killed": "worker-0", "pid": 99}


def test_a_kill_that_hit_nobody_is_a_failure_with_the_names_there_are(
    home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(kill, "ask_supervisor", lambda *_: Answer(error="no service 'x'; there are: sink"))
    assert exit_code(lambda: kill.run("x", as_json=False)) == EXIT_FAILED
    assert capsys.readouterr().err == "millrace: no service 'x'; there are: sink\n"


@pytest.mark.parametrize(("lines", "shown"), [(1, ["3"]), (2, ["[2]", "3"]), (50, ["1", "[2]", "3"])])
def test_logs_end_with_the_last_lines_as_they_are(
    home: Home, capsys: pytest.CaptureFixture[str], lines: int, shown: list[str]
) -> None:
    home.log("sink").write_text("1\n[2]\n3\n")
    logs.run("sink", lines=lines, as_json=False)
    assert capsys.readouterr().out.splitlines() == shown
    logs.run("sink", lines=lines, as_json=True)
    assert json_of(capsys) == {"sink.log": shown}


def test_a_brokers_own_log_stands_before_what_its_process_printed(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    home.log("broker").write_text("printed\n")
    (home.logs / "broker.kafka.log").write_bytes(b"logged \xff\n")
    logs.run("broker", lines=5, as_json=False)
    assert capsys.readouterr().out.splitlines() == ["logged �", "printed"]


def test_a_log_that_is_not_there_is_refused_with_those_that_are(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("sink", "api-0", "broker"):
        home.log(name).write_text("")
    (home.logs / "broker.kafka.log").write_text("")
    assert exit_code(lambda: logs.run("[x]", lines=1, as_json=False)) == EXIT_FAILED
    assert capsys.readouterr().err.endswith("no log of '[x]' in " + f"{home.logs}; there are: api-0, broker, sink\n")


def hanging(monkeypatch: pytest.MonkeyPatch, *decisions: Decision) -> list[str]:
    """Transactions that hang, decided like this; answers what was done about them."""
    verdicts, done = [Verdict(HANGING, decision, 0) for decision in decisions], []

    def finished(*_: object) -> list[Verdict]:
        done.append("finished")
        return verdicts

    monkeypatch.setattr(transactions, "find_hanging", lambda *_: [HANGING] * len(decisions))
    monkeypatch.setattr(transactions, "read_transaction_log", lambda _: None)
    monkeypatch.setattr(transactions, "decide", lambda *_: verdicts)
    monkeypatch.setattr(transactions, "finish_as_decided", finished)
    return done


def test_no_hanging_transaction_is_said_and_is_success(
    home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    done = hanging(monkeypatch)
    assert exit_code(lambda: transactions.run(finish=True, as_json=False)) == 0
    assert capsys.readouterr().out == "No transaction hangs.\n"
    assert done == []


@pytest.mark.parametrize("finish", [True, False])
@pytest.mark.parametrize("decision", list(Decision))
def test_only_a_decided_transaction_that_was_ended_is_success(
    home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], decision: Decision, finish: bool
) -> None:
    done = hanging(monkeypatch, decision)
    ended = finish and decision is not Decision.REFUSED
    assert exit_code(lambda: transactions.run(finish=finish, as_json=True)) == (0 if ended else EXIT_ALARM)
    assert json_of(capsys) == [
        {"topic": LEDGER.name, "partition": 2, "producer_id": 4711, "decision": decision.value, "ended": ended}
    ]
    assert done == (["finished"] if finish else []), "without --finish nothing is touched"


@pytest.mark.parametrize(
    ("decision", "finish", "words"),
    [
        (Decision.REFUSED, False, "no decision is on record; an operator has to look, nothing was done"),
        (Decision.REFUSED, True, "no decision is on record; an operator has to look, nothing was done"),
        (Decision.COMMIT, False, "decided commit, never finished; --finish writes the marker"),
        (Decision.COMMIT, True, "ended as decided (commit)"),
        (Decision.ABORT, True, "ended as decided (abort)"),
    ],
)
def test_a_verdict_is_one_sentence_that_says_what_was_done(
    home: Home,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    decision: Decision,
    finish: bool,
    words: str,
) -> None:
    hanging(monkeypatch, decision)
    exit_code(lambda: transactions.run(finish=finish, as_json=False))
    assert capsys.readouterr().out == f"transaction of producer 4711 on {LEDGER.name}[2]: {words}\n"


@pytest.mark.parametrize("failure", [IncompleteView("broker [2] is silent"), ConnectionError("broker [2] is silent")])
def test_without_a_view_of_all_brokers_there_is_no_verdict(
    home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], failure: Exception
) -> None:
    def fails(*_: object) -> list[OpenProducer]:
        raise failure

    monkeypatch.setattr(transactions, "find_hanging", fails)
    assert exit_code(lambda: transactions.run(finish=False, as_json=False)) == EXIT_FAILED
    assert capsys.readouterr().err == "millrace: no verdict: broker [2] is silent\n"


@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 1_024, 1_025, 5_000])
def test_a_record_is_shown_byte_by_byte_and_says_what_it_leaves_out(size: int) -> None:
    value = bytes(number % 256 for number in range(size))
    shown_bytes = min(size, quarantine.HEX_LINES_MAX * 16)
    lines = [line for line in quarantine.hex_lines(value) if not line.startswith("…")]
    assert bytes.fromhex(" ".join(line[10:57] for line in lines)) == value[:shown_bytes]
    assert [int(line[:8], 16) for line in lines] == list(range(0, shown_bytes, 16))
    rest = [line for line in quarantine.hex_lines(value) if line.startswith("…")]
    assert rest == ([f"… {size - shown_bytes} more bytes"] if size > shown_bytes else [])


def test_bytes_that_steer_a_terminal_are_dots_and_escapes() -> None:
    [line] = quarantine.hex_lines(b"a\x1b[31m\r\n\x7f~ \xe9")
    assert line.endswith("  a.[31m...~ .")
    assert quarantine._plain("a\x1b[31m\u202e[red]é").plain == "a\\x1b[31m\\x202e[red]é"
