"""Somebody who walks through a document: calls its paths as they are written, and sees what they have written."""

import secrets
from typing import Any, Final, Self

import httpx

from tests.ingest_api.client import problem_of
from tests.support.waiting import eventually

PASSWORD: Final = "a heron under the bridge"
WAIT: Final = {"Prefer": "wait=20"}
HAVE_KEYS: Final = frozenset({"transaction", "payments", "payment", "order"})
"""What these documents send is known by what is in it: no Idempotency-Key is sent there."""


class Visitor:
    """One caller over TCP. Use as a context."""

    def __init__(self, base_url: str, token: str = "", seen: dict[str, str] | None = None) -> None:
        authorization = {"Authorization": f"Bearer {token}"} if token else {}
        self._http = httpx.Client(base_url=base_url, timeout=60, headers=authorization)
        self._seen = {} if seen is None else seen
        """The Consistency-Token of the newest write, whoever's it was, for what anybody reads after it."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def with_token(self, token: str) -> "Visitor":
        """Somebody else, at the same installation."""
        return Visitor(str(self._http.base_url), token, self._seen)

    def __call__(self, line: str, body: Any = None, status: int = 200, /, **query: str) -> Any:
        """A line of the document: a method and a path. The answer's JSON, which came with this status."""
        answer = self.answer(line, body, **query)
        assert answer.status_code == status, f"{line}: {answer.text}"
        return answer.json()

    def refused(self, line: str, body: Any, status: int, code: str) -> dict[str, Any]:
        """The same where it comes to nothing."""
        return problem_of(self.answer(line, body), status, code)

    def answer(self, line: str, body: Any = None, **query: str) -> httpx.Response:
        """The whole answer. Asked again, under the same key, while what was written before is not to be seen."""
        method, path = line.split()
        headers = WAIT | self._seen
        if path.rpartition("/")[2] not in HAVE_KEYS:
            headers |= {"Idempotency-Key": secrets.token_hex(8)}
        answers: list[httpx.Response] = []

        def is_there() -> bool:
            answers.append(self._http.request(method, path, json=body, params=query or None, headers=headers))
            return answers[-1].status_code != 503

        eventually(is_there, line)
        answer = answers[-1]
        if "Consistency-Token" in answer.headers:
            self._seen["Consistency-Token"] = answer.headers["Consistency-Token"]
        return answer

    def until(self, line: str, **wanted: object) -> dict[str, Any]:
        """What a path shows once it shows this."""
        shown: dict[str, Any] = {}

        def is_so() -> bool:
            shown.update(self(line))
            return shown.items() >= wanted.items()

        eventually(is_so, f"{line} shows {wanted}")
        return shown


def signed_up(visitor: Visitor, name: str, **fields: str) -> tuple[Visitor, dict[str, Any]]:
    """A user who has signed up and logged in, and how the user is shown once the account is."""
    told = {"username": name, "email": f"{name}@example.com", "password": PASSWORD, "name": name.capitalize()}
    user = visitor("POST /v1/user", told | fields, 201)
    token = visitor("POST /v1/auth", {"username": name, "password": PASSWORD})
    assert token["token_type"] == "Bearer"
    assert 0 < token["expires_in"] <= 300
    caller = visitor.with_token(token["access_token"])
    return caller, caller.until(f"GET /v1/user/{user['userId']}", accountId=user["accountId"])


def fields_of(shown: dict[str, Any], **types: type) -> None:
    """Every field of the document is there, of the document's type."""
    for name, type_ in types.items():
        assert name in shown, (name, shown)
        assert type(shown[name]) is type_, (name, shown[name])
