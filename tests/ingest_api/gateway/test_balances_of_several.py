"""Goal: whichever process behind the gateway answers from its memory, callers see what they have written, and every
answer is a balance that the account had.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from ingest_api.identity.tokens import ALL_SCOPES, issue_token
from runtime.settings import Settings
from tests.ingest_api.client import NO_TLS, ApiClient
from tests.ingest_api.gateway.conftest import Behind, running
from tests.support.waiting import eventually

PAYMENTS = 30
READS = 4
"""Behind each payment: nginx sends to whoever has the fewest connections, so both are asked."""


def from_memory(port: int) -> int:
    told = httpx.get(f"http://127.0.0.1:{port}/metrics").text.splitlines()
    [count] = [line for line in told if line.startswith('millrace_api_balances_total{source="memory"}')]
    return int(float(count.split()[-1]))


class Watcher(threading.Thread):
    """Reads without a token, one call after the other."""

    def __init__(self, http: httpx.Client, account: str) -> None:
        super().__init__()
        self._http = http
        self._path = f"/v1/accounts/{account}/balance"
        self._enough = threading.Event()
        self.seen: list[int] = []

    def run(self) -> None:
        while not self._enough.wait(0.02):
            answer = self._http.get(self._path)
            if answer.status_code == 200:
                self.seen.append(answer.json()["posted_minor"])

    def end(self) -> list[int]:
        self._enough.set()
        self.join()
        return self.seen


@contextmanager
def watching(installation: Behind, token: str, account: str) -> Iterator[dict[str, Watcher]]:
    """Each process, and both through the gateway."""
    authorization = {"Authorization": f"Bearer {token}"}
    watchers = {
        str(one.api_port): Watcher(
            httpx.Client(base_url=f"http://127.0.0.1:{one.api_port}", verify=NO_TLS, headers=authorization), account
        )
        for one in installation.settings
    }
    through = httpx.Client(base_url=installation.url, verify=installation.context, headers=authorization)
    watchers["gateway"] = Watcher(through, account)
    for watcher in watchers.values():
        watcher.start()
    yield watchers
    for watcher in watchers.values():
        watcher.end()


def gateway_client(installation: Behind, token: str) -> ApiClient:
    client = ApiClient(installation.url, token)
    client.http.close()
    client.http = httpx.Client(
        base_url=installation.url,
        verify=installation.context,
        timeout=40,
        limits=httpx.Limits(max_keepalive_connections=0),
        headers={"Authorization": f"Bearer {token}"},
    )
    return client


def test_callers_see_what_they_have_written_at_whichever_process(
    settings: Settings, behind: list[Settings], api: ApiClient
) -> None:
    payer, payee = api.funded_account("1000.00"), api.open_account()
    token = issue_token(settings, "tester", ALL_SCOPES, 600)
    with running(settings, behind) as installation:
        client = gateway_client(installation, token)
        with watching(installation, token, payee) as watchers:
            for paid in range(1, PAYMENTS + 1):
                written = client.transfer(payer, payee, "0.01")
                assert written.status_code == 201, written.text
                shown = [client.get(f"/v1/accounts/{payee}/balance", written) for _ in range(READS)]
                assert {answer.status_code for answer in shown} <= {200, 503}
                assert {answer.json()["posted_minor"] for answer in shown if answer.is_success} <= {paid}
                assert any(answer.is_success for answer in shown)
                memory = client.get("/v1/balance", written, accountId=payer)
                assert memory.status_code == 503 or memory.json()["posted_minor"] == 100_000 - paid
            eventually(lambda: all(from_memory(one.api_port) > 0 for one in behind), "both answer from memory")
        client.http.close()
    for place, watcher in watchers.items():
        assert set(watcher.seen) <= set(range(PAYMENTS + 1)), place
        assert len(set(watcher.seen)) > 1, place
        if place != "gateway":  # two processes may stand apart; one never goes back
            assert watcher.seen == sorted(watcher.seen), place
