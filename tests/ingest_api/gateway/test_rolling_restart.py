"""Goal: every API process behind the gateway is replaced under load, no call fails, and each is decided once.

Callers connect anew for each call, so that none is repeated.
"""

import signal
import ssl
import threading

import httpx

from ingest_api.identity.tokens import ALL_SCOPES, issue_token
from runtime.settings import Settings
from tests.ingest_api.client import ApiClient
from tests.ingest_api.gateway.conftest import STOP_S, running
from tests.support.waiting import eventually

_PAUSE_S = 0.1
"""Between two calls of one caller: the rest of the machine goes on."""


class Callers:
    """Threads that pay a cent with each call and remember every answer."""

    def __init__(self, url: str, context: ssl.SSLContext, token: str, parties: tuple[str, str]) -> None:
        self._api = ApiClient(url, token)
        self._api.http.close()
        self._api.http = httpx.Client(
            base_url=url,
            verify=context,
            limits=httpx.Limits(max_keepalive_connections=0),
            timeout=STOP_S,
            headers={"Authorization": f"Bearer {token}"},
        )
        self._parties = parties
        self._enough = threading.Event()
        self._threads = [threading.Thread(target=self._call) for _ in range(2)]
        self.answers: list[httpx.Response | httpx.TransportError] = []

    def _call(self) -> None:
        while not self._enough.wait(_PAUSE_S):
            try:
                self.answers.append(self._api.transfer(*self._parties, "0.01", wait_s=1))
            except httpx.TransportError as error:
                self.answers.append(error)

    def __enter__(self) -> "Callers":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._enough.set()
        for thread in self._threads:
            thread.join()
        self._api.http.close()


def test_every_process_is_replaced_and_no_call_fails(
    settings: Settings, behind: list[Settings], api: ApiClient
) -> None:
    parties = api.funded_account("1000.00"), api.open_account()
    with running(settings, behind) as installation:
        token = issue_token(settings, "tester", ALL_SCOPES, 600)
        with Callers(installation.url, installation.context, token, parties) as callers:
            for number, process in enumerate([*installation.processes]):
                process.send_signal(signal.SIGTERM)
                assert process.wait(STOP_S) == 0
                installation.restart(number)
                eventually(installation.has_all, "the new process is behind the gateway")
        installation.gateway.send_signal(signal.SIGTERM)
        assert installation.gateway.wait(STOP_S) == 0
    assert {getattr(answer, "status_code", repr(answer)) for answer in callers.answers} <= {201, 202}
    posted = [answer for answer in callers.answers if isinstance(answer, httpx.Response)]
    assert len({answer.json()["id"] for answer in posted}) == len(posted) > 20
    assert {answer.headers["x-request-id"] for answer in posted}
    eventually(lambda: api.balance_minor(parties[1], posted[-1]) == len(posted), "a cent of each call, once")
