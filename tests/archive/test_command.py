"""`millrace archive` on the command line: words, JSON, exit codes, and the service that `millrace up` runs."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from millrace.cli import app
from millrace.commands.output import screen
from millrace.services import pipeline_services
from runtime.settings import Settings
from sinks.archive import service
from tests.archive.conftest import archiving, topics_of
from tests.archive.test_tampered import changed_byte, links_of
from tests.audit.pipeline import Pipeline

runner = CliRunner()


def test_list_shows_every_partition(pipeline: Pipeline, archived_once: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(screen, "width", 300)
    shown = runner.invoke(app, ["archive", "list", "--archive", str(archived_once)])
    assert (shown.exit_code, f"{pipeline.topics.ledger}[2]" in shown.stdout) == (0, True)
    listed = json.loads(runner.invoke(app, ["archive", "list", "--archive", str(archived_once), "--json"]).stdout)
    links = links_of(archived_once, pipeline.topics.ledger)
    [ledger] = [one for one in listed if (one["topic"], one["partition"]) == (pipeline.topics.ledger, 0)]
    assert (ledger["segments"], ledger["records"]) == (len(links), sum(link.records for link in links))
    assert (ledger["first_offset"], ledger["next_offset"]) == (0, links[-1].next_offset)
    assert ledger["last_timestamp_ms"] == links[-1].last_timestamp_ms


def test_verify_without_brokers(archived_once: Path) -> None:
    result = runner.invoke(app, ["archive", "verify", "--offline", "--archive", str(archived_once)])
    assert (result.exit_code, "every hash, link and record is right" in result.stdout) == (0, True)


def test_a_difference_is_exit_code_1(pipeline: Pipeline, folder: Path) -> None:
    place, _ = changed_byte(folder, links_of(folder, pipeline.topics.ledger))
    result = runner.invoke(app, ["archive", "verify", "--offline", "--archive", str(folder)])
    assert (result.exit_code, f"differs at {place}" in result.stdout) == (1, True)
    result = runner.invoke(app, ["archive", "verify", "--offline", "--archive", str(folder), "--json"])
    assert result.exit_code == 1
    assert json.loads(result.stdout)["first_difference"]["place"] == place


@pytest.mark.parametrize("command", [["list"], ["verify", "--offline"], ["run", "--once"]])
def test_no_folder_is_wrong_usage(command: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MILLRACE_ARCHIVE_DIR", raising=False)
    result = runner.invoke(app, ["archive", *command], env={"COLUMNS": "300"})
    assert (result.exit_code, "set MILLRACE_ARCHIVE_DIR" in result.stderr) == (2, True)


def test_a_folder_that_is_not_there_is_wrong_usage(tmp_path: Path) -> None:
    for command in (["archive", "list"], ["archive", "verify", "--offline"], ["audit", "verify"], ["replay"]):
        result = runner.invoke(app, [*command, "--archive", str(tmp_path / "none")], env={"COLUMNS": "300"})
        assert result.exit_code == 2, command


def test_the_service_runs_where_there_is_a_folder(tmp_path: Path) -> None:
    names = {one.name: one.argv for one in pipeline_services(Settings(archive_dir=tmp_path))}
    assert names["archive"][-2:] == ["archive", "run"]
    assert "archive" not in {one.name for one in pipeline_services(Settings())}


def test_exit_codes_of_the_service(
    pipeline: Pipeline, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """70: a new start does not help; 75: it may."""
    monkeypatch.setattr("sinks.archive.tail.METADATA_DEADLINE_S", 1)
    settings = archiving(pipeline, folder).model_copy(update={"kafka_bootstrap": "127.0.0.1:1"})
    assert service.run(settings, topics_of(pipeline), once=True) == 75
    next((folder / pipeline.topics.ledger / "0").glob("*.json")).rename(folder / "aside")
    links = sorted((folder / pipeline.topics.ledger / "0").glob("*.json"))
    links[-1].write_bytes(b"{}")
    assert service.run(archiving(pipeline, folder), topics_of(pipeline), once=True) == 70
    assert "a link of the manifest" in capsys.readouterr().err
