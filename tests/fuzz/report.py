"""What a run of Schemathesis has found, read from its event log (NDJSON) while it is written."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec

UNDECLARED = frozenset({"status_code_conformance", "content_type_conformance", "response_schema_conformance"})
"""Checks that compare an answer with the document."""

SERVER_ERROR = "not_a_server_error"
CHECKS = (SERVER_ERROR, *sorted(UNDECLARED))


@dataclass
class Findings:
    """Counted case by case; `failures` tells each kind once by operation, check and status."""

    cases: int = 0
    server_errors: int = 0
    undeclared: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    operations: set[str] = field(default_factory=set)
    failures: Counter[str] = field(default_factory=Counter)
    errors: list[str] = field(default_factory=list)
    """What Schemathesis could not do: these cases were not sent."""

    def read(self, lines: Iterable[bytes]) -> None:
        """Count whole lines of the log."""
        for line in lines:
            event: dict[str, Any] = msgspec.json.decode(line)
            if "ScenarioFinished" in event:
                self._scenario(event["ScenarioFinished"]["recorder"])
            elif "NonFatalError" in event:
                self.errors.append(str(event["NonFatalError"]["value"])[:300])

    def _scenario(self, recorder: dict[str, Any]) -> None:
        label = recorder["label"]
        self.operations.add(label)
        for case, interaction in recorder.get("interactions", {}).items():
            response = interaction.get("response")
            if response is None:
                self.errors.append(f"{label}: no answer")
                continue
            self.cases += 1
            status = response["status_code"]
            self.statuses[status] += 1
            self._checks(label, status, failed(recorder.get("checks", {}).get(case, [])))

    def _checks(self, label: str, status: int, names: set[str]) -> None:
        self.server_errors += SERVER_ERROR in names
        self.undeclared += bool(names & UNDECLARED)
        for name in names:
            self.failures[f"{label}: {name} ({status})"] += 1


def failed(checks: Iterable[dict[str, Any]]) -> set[str]:
    """Names of the checks of one case that did not hold."""
    return {check["name"] for check in checks if check["status"] == "failure"}


def whole_lines(log: Any) -> Iterator[bytes]:
    """What was written since the last call, without a line that is not written to its end yet."""
    while True:
        start = log.tell()
        line = log.readline()
        if not line.endswith(b"\n"):
            log.seek(start)
            return
        yield line
