"""What the sandbox is told to do wrong, and when. Faults are taken in the order in which they were asked for."""

from enum import StrEnum
from typing import Self

from connectors.sandbox.refusal import JsonObject


class FaultKind(StrEnum):
    """`before`: nothing is done. `after`: it is done and saved, and only the answer is lost or wrong."""

    LATENCY = "latency"
    """`seconds` late, otherwise as always."""
    HANG_BEFORE = "hang_before"
    HANG_AFTER = "hang_after"
    """No answer at all: the caller's time-out ends it."""
    ERROR_BEFORE = "error_before"
    """503, as from a gateway in front: the key stays free."""
    ERROR_AFTER = "error_after"
    """500, which the key repeats from then on."""
    RATE_LIMIT = "rate_limit"
    RESET_BEFORE = "reset_before"
    RESET_AFTER = "reset_after"
    """The connection is reset."""
    KILL_BEFORE = "kill_before"
    KILL_AFTER = "kill_after"
    """The sandbox ends itself with SIGKILL."""


class Fault:
    """One kind, for the next `times` requests of a method on paths that begin so."""

    def __init__(self, kind: FaultKind, path: str, method: str, times: int, seconds: float) -> None:
        self.kind = kind
        self.seconds = seconds
        self.times = times
        self.met = 0
        self._path = path
        self._method = method

    @classmethod
    def of(cls, body: JsonObject) -> Self:
        """Raises ValueError for an unknown kind."""
        return cls(
            FaultKind(body["kind"]),
            body.get("path", "/v1/"),
            body.get("method", "POST"),
            int(body.get("times", 1)),
            float(body.get("seconds", 0)),
        )

    def meets(self, method: str, path: str) -> bool:
        return self.times > 0 and method == self._method and path.startswith(self._path)


class Faults:
    """Those that are still to come."""

    def __init__(self) -> None:
        self._armed: list[Fault] = []

    def arm(self, fault: Fault) -> None:
        self._armed.append(fault)

    def clear(self) -> None:
        self._armed.clear()

    def met(self) -> list[JsonObject]:
        """How many requests each of them has met so far."""
        return [{"kind": fault.kind.value, "met": fault.met} for fault in self._armed]

    def take(self, method: str, path: str) -> Fault | None:
        """The fault of this request."""
        fault = next((fault for fault in self._armed if fault.meets(method, path)), None)
        if fault is not None:
            fault.times -= 1
            fault.met += 1
        return fault
