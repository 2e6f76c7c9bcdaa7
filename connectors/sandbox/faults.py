"""What the sandbox is told to do wrong, and when. Faults are taken in the order in which they were asked for."""

import asyncio
import os
import signal
from collections.abc import Callable
from enum import StrEnum
from typing import Final, Self

from starlette.requests import Request
from starlette.responses import Response

from connectors.sandbox.refusal import JsonObject

HANG_S: Final = 600.0
"""Longer than any caller waits."""


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


class NothingDone(Exception):
    """The fault has met the request before anything was done. Answered with `status`, where anybody waits still."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


async def through(
    fault: Fault, request: Request, reset: Callable[[Request], None], do: Callable[[bool], Response]
) -> Response:
    """What `do` answers, told whether it has to fail, between what goes wrong before and after. Raises NothingDone."""
    await _before(fault, request, reset)
    response = do(fault.kind is FaultKind.ERROR_AFTER)
    match fault.kind:
        case FaultKind.HANG_AFTER:
            await _hang(request)
        case FaultKind.RESET_AFTER:
            reset(request)
        case FaultKind.KILL_AFTER:
            os.kill(os.getpid(), signal.SIGKILL)
    return response


async def _before(fault: Fault, request: Request, reset: Callable[[Request], None]) -> None:
    match fault.kind:
        case FaultKind.LATENCY:
            await asyncio.sleep(fault.seconds)
            return
        case FaultKind.RATE_LIMIT:
            raise NothingDone(429)
        case FaultKind.HANG_BEFORE:
            await _hang(request)
        case FaultKind.RESET_BEFORE:
            reset(request)
        case FaultKind.KILL_BEFORE:
            os.kill(os.getpid(), signal.SIGKILL)
        case FaultKind.ERROR_AFTER | FaultKind.HANG_AFTER | FaultKind.RESET_AFTER | FaultKind.KILL_AFTER:
            return
    raise NothingDone(503)


async def _hang(request: Request) -> None:
    """Until the caller gives up."""
    async with asyncio.timeout(HANG_S):
        while not await request.is_disconnected():
            await asyncio.sleep(0.05)
