"""Goal: what a command prints is readable by people and by machines, and no text from outside changes how."""

import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
import typer
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from rich.table import Table
from rich.text import Text

from millrace.audit import command as audit_command
from millrace.audit.report import AuditReport, Difference, Invariant
from millrace.cli import EXIT_FAILED, EXIT_NOT_RUNNING
from millrace.commands import output
from millrace.commands.output import Shown, addresses_shown, faults_shown, print_json, services_table
from millrace.environment.faults import EnvironmentFault, NotRunning, StartFault
from millrace.environment.layout import Addresses
from millrace.environment.progress import Progress, Silent
from millrace.supervisor.control import SupervisorStatus
from tests.support.supervision import service_status

MARKUP = [
    "[/]",
    "[bold]not ours[/bold]",
    "no such folder /srv/[red]/x",
    "closing [/tag] without an opening",
    "a backslash \\[x]",
    "[link=https://example.org]x[/link]",
    "array[3] and [::1]:5432",
    "an unclosed \\[x",
    "user:key:host",  # `:key:` is the name of an emoji
]
"""Texts that rich would take for its own: dropped, coloured, replaced, or refused with a MarkupError."""

RUNNING = service_status("sink", pid=4711, uptime_ms=61_499)


def line_of(capsys: pytest.CaptureFixture[str], **changes: Any) -> str:
    """The row of one service, with single spaces."""
    status = SupervisorStatus(1, "ready", [msgspec.structs.replace(RUNNING, **changes)])
    return rows_of(capsys, services_table(status))[1]


def rows_of(capsys: pytest.CaptureFixture[str], table: Table | Text) -> list[str]:
    output.screen.print(table)
    return [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal in which nothing is folded."""
    for console in (output.screen, output.errors):
        monkeypatch.setattr(console, "_width", 300)


@pytest.mark.parametrize("text", MARKUP)
def test_a_fault_is_printed_letter_by_letter(capsys: pytest.CaptureFixture[str], text: str) -> None:
    """Regression: a home in a folder named `[/x]` ended `millrace up` with a MarkupError instead of the reason."""
    with pytest.raises(typer.Exit), faults_shown(as_json=False):
        raise EnvironmentFault(text)
    said = capsys.readouterr()
    assert said.err == f"millrace: {text}\n"
    assert said.out == "", "what failed does not belong into a pipe"


@pytest.mark.parametrize("text", MARKUP)
def test_an_alarm_is_printed_letter_by_letter(capsys: pytest.CaptureFixture[str], text: str) -> None:
    output.print_alarm(text)
    assert capsys.readouterr().out == f"ALARM {text}\n"


@pytest.mark.parametrize("text", MARKUP)
def test_a_difference_is_printed_letter_by_letter(capsys: pytest.CaptureFixture[str], text: str) -> None:
    """Its values come from records that anybody may have written."""
    output.print_difference("I5", f"{text} place", f"{text} wanted", f"{text} met")
    assert capsys.readouterr().out == f"I5 differs at {text} place\n  expected {text} wanted\n  found    {text} met\n"


@pytest.mark.parametrize("text", MARKUP)
def test_a_report_of_the_audit_is_printed_letter_by_letter(capsys: pytest.CaptureFixture[str], text: str) -> None:
    report = AuditReport()
    report.proved(Invariant.TABLES, text)
    report.not_proved(Invariant.REPLAY, text)
    report.differs(Difference(Invariant.TABLES, text, "1", "2"))
    audit_command._show(report)
    assert capsys.readouterr().out.count(text) == 3


@examples(max_examples=60)
@given(st.text("[]/\\ab=#@: ", max_size=30).map(lambda text: f"x{text}x"))
def test_no_text_of_brackets_and_backslashes_is_taken_for_markup(text: str) -> None:
    with output.errors.capture() as said:
        output.print_failure(text)
    assert said.get() == f"millrace: {text}\n"


@pytest.mark.parametrize("text", MARKUP)
def test_the_log_of_a_service_that_keeps_crashing_is_named_as_it_is(
    capsys: pytest.CaptureFixture[str], text: str
) -> None:
    assert line_of(capsys, alarm=True, exits_recently=5, log=text).endswith(f"ALARM 5 exits in 30 s, see {text}")


@pytest.mark.parametrize(
    ("fault", "code"),
    [(EnvironmentFault("x"), EXIT_FAILED), (StartFault("x"), EXIT_FAILED), (NotRunning("x"), EXIT_NOT_RUNNING)],
)
@pytest.mark.parametrize("as_json", [True, False])
def test_scripts_can_tell_a_failure_from_nothing_running(fault: EnvironmentFault, code: int, as_json: bool) -> None:
    with pytest.raises(typer.Exit) as ended, faults_shown(as_json=as_json):
        raise fault
    assert ended.value.exit_code == code


def test_a_fault_for_machines_is_json_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit), faults_shown(as_json=True):
        raise NotRunning('no environment runs in "here" [/]')
    said = capsys.readouterr()
    assert json.loads(said.out) == {"error": 'no environment runs in "here" [/]'}
    assert said.err == ""


def test_a_bug_is_not_shown_as_a_fault() -> None:
    with pytest.raises(ZeroDivisionError), faults_shown(as_json=True):
        raise ZeroDivisionError


@pytest.mark.parametrize("value", [{"a": [1, None, "ü"]}, [], RUNNING, {"big": 2**63}])
def test_what_is_printed_for_machines_is_one_json_document(capsys: pytest.CaptureFixture[str], value: Any) -> None:
    print_json(value)
    text = capsys.readouterr().out
    assert text.endswith("\n")
    assert json.loads(text) == msgspec.to_builtins(value)
    assert "\\u00fc" not in text, "letters stay letters"


@pytest.mark.parametrize(
    ("changes", "row"),
    [
        ({}, "sink ready 4711 61 s 0"),
        ({"uptime_ms": 499}, "sink ready 4711 0 s 0"),
        ({"state": "finished", "pid": None}, "sink finished 0"),
        ({"state": "pausing", "pid": None, "restarts": 3, "uptime_ms": 0}, "sink pausing 3"),
        ({"state": "starting", "restarts": 1, "uptime_ms": 1_000}, "sink starting 4711 1 s 1"),
    ],
)
def test_a_service_shows_its_state_and_a_pid_only_while_it_has_one(
    capsys: pytest.CaptureFixture[str], changes: dict[str, Any], row: str
) -> None:
    assert line_of(capsys, **changes) == row


def test_a_table_has_a_row_for_every_service_in_their_order(capsys: pytest.CaptureFixture[str]) -> None:
    names = ["broker", "postgres", "worker-0"]
    services = [msgspec.structs.replace(RUNNING, name=name) for name in names]
    head, *rows = rows_of(capsys, services_table(SupervisorStatus(1, "ready", services)))
    assert head == "service state pid up restarts"
    assert [row.split()[0] for row in rows] == names


def test_addresses_show_where_to_connect_and_no_password(capsys: pytest.CaptureFixture[str]) -> None:
    url = "postgresql://ledger:s3cret@[::1]:5432/books"
    addresses = Addresses("[::1]:9092", url, 1, 1, api_url="http://127.0.0.1:8080")
    assert rows_of(capsys, addresses_shown(addresses)) == [
        "Kafka [::1]:9092",
        "Postgres postgresql://ledger:***@[::1]:5432/books",
        "API http://127.0.0.1:8080/v1; try it out at http://127.0.0.1:8080/docs",
        "Console http://127.0.0.1:8080/console",
        "Token millrace token --user NAME --scope payments:write --scope accounts:write",
    ]


def test_a_long_address_is_one_line(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Regression: in a pipe the path of the password file was broken at column 80."""
    monkeypatch.setattr(output.screen, "width", 80)
    url = f"postgresql://millrace@127.0.0.1:15432/millrace?passfile=/{'home/' * 20}postgres.pgpass"
    assert f"Postgres {url}" in rows_of(capsys, addresses_shown(Addresses("k:1", url, 1, 1)))


def test_without_a_pipeline_no_api_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    rows = rows_of(capsys, addresses_shown(Addresses("k:1", "postgresql://p/x", 1, 1)))
    assert [row.split()[0] for row in rows] == ["Kafka", "Postgres"]


@pytest.mark.parametrize("text", MARKUP)
def test_a_step_is_one_line_on_stderr(capsys: pytest.CaptureFixture[str], text: str) -> None:
    Shown().step(text)
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", f"{text} …\n")


def test_a_silent_start_prints_nothing_and_takes_the_same_reports(capsys: pytest.CaptureFixture[str]) -> None:
    reporters: list[Progress] = [Silent(), Shown()]
    for reporter in reporters[:1]:
        reporter.step("starting")
        with reporter.bytes("kafka.jar", 10) as count:
            count(4)
            count(6)
    assert capsys.readouterr() == ("", "")


def test_a_download_ends_its_bar_at_its_whole_size(capsys: pytest.CaptureFixture[str]) -> None:
    with Shown().bytes("kafka.jar", 4_000) as count:
        for _ in range(4):
            count(1_000)
    bar = capsys.readouterr().err
    assert "kafka.jar" in bar
    assert re.search(r"4\.0/4\.0 kB", bar)


def test_nothing_is_written_beside_what_is_asked_for(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with faults_shown(as_json=True):
        tmp_path.exists()
    assert capsys.readouterr() == ("", "")
