"""A caller of the API over TCP, and what it checks about every problem document."""

import secrets
import ssl
import time
from typing import Any

import httpx
import msgspec
from confluent_kafka import Consumer, Message, TopicPartition

from schemas.topics import COMMANDS
from tests.support.waiting import eventually

PROBLEM = "application/problem+json"
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""For clients that only call http:// addresses. Others read all authorities of the web, 40-130 ms each."""


class ApiClient:
    """One caller with one token. Every POST gets a fresh Idempotency-Key unless one is given."""

    def __init__(self, base_url: str, token: str) -> None:
        self.http = httpx.Client(
            base_url=base_url, timeout=40, verify=NO_TLS, headers={"Authorization": f"Bearer {token}"}
        )
        self._written: httpx.Response | None = None
        """The newest write that tells where it stands in the log."""

    def post(self, path: str, body: dict[str, Any], key: str | None = None, **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        response = self.http.post(path, json=body, headers={"Idempotency-Key": key or secrets.token_hex(8)} | named)
        if "Consistency-Token" in response.headers:
            self._written = response
        return response

    def get(self, path: str, after: httpx.Response | None = None, **query: str) -> httpx.Response:
        """A read, made after the write that is given."""
        headers = {"Consistency-Token": after.headers["Consistency-Token"]} if after is not None else {}
        return self.http.get(path, params=query, headers=headers)

    def open_account(self, currency: str = "EUR", **fields: str) -> str:
        response = self.post("/v1/accounts", {"currency": currency, **fields}, prefer="wait=20")
        assert response.status_code == 201, response.text
        account: str = response.json()["id"]
        return account

    def funded_account(self, amount: str, currency: str = "EUR") -> str:
        account = self.open_account(currency)
        response = self.deposit(account, amount, currency)
        assert response.status_code == 201, response.text
        return account

    def deposit(self, account: str, amount: str, currency: str = "EUR", key: str | None = None) -> httpx.Response:
        body = {"amount": amount, "currency": currency, "method": "cash"}
        return self.post(f"/v1/accounts/{account}/deposit", body, key, prefer="wait=20")

    def transfer(
        self, payer: str, payee: str, amount: str, *, key: str | None = None, wait_s: int = 20, **fields: str
    ) -> httpx.Response:
        body = {"from_account": payer, "to_account": payee, "amount": amount, "currency": "EUR", **fields}
        return self.post("/v1/transfers", body, key, prefer=f"wait={wait_s}")

    def batch(self, lines: list[Any], **headers: str) -> httpx.Response:
        """Lines are objects, or bytes as they are."""
        content = b"\n".join(line if isinstance(line, bytes) else msgspec.json.encode(line) for line in lines)
        return self.http.post(
            "/v1/transfers:batch", content=content, headers={"Content-Type": "application/x-ndjson"} | headers
        )

    def balance_minor(self, account: str, after: httpx.Response | None = None) -> int:
        """After the newest write of this caller, unless another one is given. Asks again where it is not visible within
        the five seconds that a read waits.
        """
        after = after or self._written
        answers: list[httpx.Response] = []

        def is_visible() -> bool:
            answers.append(self.get(f"/v1/accounts/{account}/balance", after))
            return answers[-1].status_code != 503

        eventually(is_visible, "a balance with what was written before")
        response = answers[-1]
        assert response.status_code == 200, response.text
        balance: int = response.json()["posted_minor"]
        return balance


def transfer_line(payer: str, payee: str, amount: str = "1.00", **fields: str) -> dict[str, str]:
    """A batch line with a key of its own."""
    body = {"from_account": payer, "to_account": payee, "amount": amount, "currency": "EUR"}
    return body | {"idempotency_key": secrets.token_hex(8)} | fields


def problem_of(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The problem document of a refusal, complete and with nothing of FastAPI's own shape."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == PROBLEM
    document: dict[str, Any] = response.json()
    assert document["code"] == code, document
    assert document["status"] == status
    assert document["errorMessage"] == document["detail"] != ""
    assert document["type"] == f"urn:millrace:problem:{code}"
    assert document["request_id"] == response.headers["x-request-id"]
    assert document["instance"] == response.request.url.path
    assert {"title", "errors"} <= document.keys()
    return document


def command_ends(bootstrap: str, shards: int) -> dict[int, int]:
    """End of each partition of the commands topic: equal ends before and after mean that nothing was written."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "test-ends"})
    try:
        return {
            shard: consumer.get_watermark_offsets(TopicPartition(COMMANDS.name, shard), timeout=10)[1]
            for shard in range(shards)
        }
    finally:
        consumer.close()


def command_record(bootstrap: str, shard: int, offset: int) -> Message:
    """One record of the commands topic."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "test-read"})
    try:
        consumer.assign([TopicPartition(COMMANDS.name, shard, offset)])
        deadline_s = time.monotonic() + 10
        while time.monotonic() < deadline_s:
            record = consumer.poll(1)
            if record is not None and record.error() is None:
                return record
        raise AssertionError(f"no record at {shard}:{offset}")
    finally:
        consumer.close()
