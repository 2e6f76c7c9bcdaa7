"""The counts of a fuzz run are those of its event log: nothing that failed is counted as fine, nothing twice."""

from io import BytesIO
from typing import Any

import msgspec

from tests.fuzz.hooks import ndjson
from tests.fuzz.report import Findings, whole_lines


def scenario(*cases: tuple[int | None, str]) -> bytes:
    """A finished scenario: per case the status of its answer (None without one) and the check that failed, if any."""
    recorder: dict[str, Any] = {"label": "GET /v1/things", "checks": {}, "interactions": {}}
    for number, (status, failed) in enumerate(cases):
        checks = [{"name": "not_a_server_error", "status": "success"}]
        checks += [{"name": failed, "status": "failure"}] if failed else []
        recorder["checks"][str(number)] = checks
        response = {"status_code": status} if status is not None else None
        recorder["interactions"][str(number)] = {"response": response}
    return msgspec.json.encode({"ScenarioFinished": {"recorder": recorder}}) + b"\n"


def test_each_case_counts_once_by_what_it_broke() -> None:
    findings = Findings()
    broken = (500, "not_a_server_error"), (418, "status_code_conformance"), (200, "response_schema_conformance")
    findings.read([scenario((200, ""), *broken), scenario((404, ""), (None, ""))])
    assert (findings.cases, findings.server_errors, findings.undeclared) == (5, 1, 2)
    assert findings.statuses == {200: 2, 500: 1, 418: 1, 404: 1}
    assert findings.failures["GET /v1/things: status_code_conformance (418)"] == 1
    assert findings.errors == ["GET /v1/things: no answer"]


def test_what_schemathesis_could_not_do_is_told() -> None:
    findings = Findings()
    findings.read([msgspec.json.encode({"NonFatalError": {"value": {"message": "no serializer"}}})])
    assert "no serializer" in findings.errors[0]


def test_a_scenario_that_sent_nothing_counts_nothing() -> None:
    findings = Findings()
    findings.read([msgspec.json.encode({"ScenarioFinished": {"recorder": {"label": "GET /v1/things"}}})])
    assert (findings.cases, findings.errors) == (0, [])


def test_half_a_line_is_read_when_it_is_whole() -> None:
    log = BytesIO(b"one\ntw")
    assert list(whole_lines(log)) == [b"one\n"]
    log.seek(0, 2)
    log.write(b"o\n")
    log.seek(4)
    assert list(whole_lines(log)) == [b"two\n"]


def test_a_batch_is_sent_line_by_line() -> None:
    assert ndjson([{"a": 1}, 2]) == b'{"a": 1}\n2\n'
    assert ndjson({"a": 1}) == b'{"a": 1}\n'
