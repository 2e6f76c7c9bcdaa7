"""Goal: whatever an operation does, the caller gets one complete answer that says what to do and shows no insides.

Method: the operation is a function of the test; routes, admission and the error map are the real ones.
"""

import json
import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ingest_api.http.body_budget import BudgetSpent
from ingest_api.http.call import Answer, BodyTooLarge, Call, Disconnected
from ingest_api.http.rate_limit import ClientRateLimit
from ingest_api.http.serving import JSON_MEDIA, NDJSON_MEDIA, HotRoutes, admit, answered, as_response, read
from ingest_api.identity.tokens import Scope, TokenVerifier, issue_token
from ingest_api.problems import STATUS, Fault, Problem, refused
from ingest_api.publisher import DeliveryUnknown, QueueFull
from ingest_api.reads.database import DatabaseUnavailable
from payments.rejections import Reason
from runtime.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path, api_client_commands_per_s=10, api_client_burst=10_000)


@pytest.fixture
def services(settings: Settings) -> Any:
    """Those parts of a process that admission and reads use."""
    return SimpleNamespace(
        settings=settings,
        tokens=TokenVerifier.of(settings),
        clients=ClientRateLimit(settings.api_client_commands_per_s, settings.api_client_burst, lambda: 0),
        database=SimpleNamespace(),
    )


async def nothing() -> Any:
    raise AssertionError("no body is read here")


def call(settings: Settings | None = None, *scopes: Scope, **headers: str) -> Call:
    named = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
    if settings is not None:
        named[b"authorization"] = f"Bearer {issue_token(settings, 'till-7', scopes, 60)}".encode()
    return Call("/v1/transfers", {b"x-request-id": b"r-1", **named}, nothing)


FAULTS: list[tuple[Exception, Fault, str | None]] = [
    # what the operation raises,                     the answer's code,          Retry-After
    (BodyTooLarge(16_384), Fault.BODY_TOO_LARGE, None),
    (Disconnected(), Fault.JSON_MALFORMED, None),
    (BudgetSpent("0 bytes are free"), Fault.QUEUE_FULL, "1"),
    (QueueFull("17 MB wait"), Fault.QUEUE_FULL, "1"),
    (DeliveryUnknown("broker-2 timed out"), Fault.OUTCOME_UNKNOWN, "2"),
    (DatabaseUnavailable("db-1 refused"), Fault.DATABASE_UNAVAILABLE, "2"),
    (ZeroDivisionError("secret-of-ours"), Fault.INTERNAL, None),
    (KeyError("secret-of-ours"), Fault.INTERNAL, None),
]


async def failed(failure: Exception) -> Answer:
    async def operation(_services: Any, _call: Call) -> Answer:
        raise failure

    services: Any = None
    return await answered(services, operation, call())


@pytest.mark.parametrize(("failure", "code", "retry_after"), FAULTS, ids=lambda value: type(value).__name__)
async def test_each_fault_has_its_answer(failure: Exception, code: Fault, retry_after: str | None) -> None:
    answer = await failed(failure)
    document = json.loads(answer.body)
    assert (answer.status, document["code"]) == (STATUS[code][0], str(code))
    assert answer.content_type == b"application/problem+json"
    assert (document["instance"], document["request_id"]) == ("/v1/transfers", "r-1")
    headers = dict(answer.headers)
    assert headers.get(b"retry-after") == (retry_after.encode() if retry_after else None)


@pytest.mark.parametrize("failure", [failure for failure, _, _ in FAULTS], ids=lambda value: type(value).__name__)
async def test_no_answer_shows_what_stands_in_the_exception(failure: Exception) -> None:
    """Names of hosts, values and stack traces are for the log."""
    answer = await failed(failure)
    inside = [str(one) for one in failure.args if isinstance(one, str)]
    assert all(text not in answer.body.decode() for text in inside)


async def test_only_what_nobody_foresaw_is_logged_with_its_trace_under_the_callers_id(
    caplog: pytest.LogCaptureFixture,
) -> None:
    for failure, code, _ in FAULTS:
        caplog.clear()
        await failed(failure)
        if code is Fault.INTERNAL:
            [record] = caplog.records
            assert (record.levelno, record.getMessage()) == (logging.ERROR, "request r-1 failed")
            assert record.exc_info is not None
        else:
            assert caplog.records == []


async def test_a_limit_is_named_in_the_refusal() -> None:
    assert "16384 bytes" in json.loads((await failed(BodyTooLarge(16_384))).body)["detail"]


async def test_a_refusal_of_the_accounts_is_answered_as_it_is() -> None:
    answer = await failed(refused(Reason.INSUFFICIENT_FUNDS))
    assert (answer.status, json.loads(answer.body)["code"]) == (422, "insufficient_funds")


async def test_an_answer_is_handed_on_untouched() -> None:
    wanted = Answer(201, b"{}", [(b"location", b"/x")])

    async def operation(_services: Any, _call: Call) -> Answer:
        return wanted

    services: Any = None
    assert await answered(services, operation, call()) is wanted


@pytest.mark.parametrize(
    ("content_type", "media", "taken"),
    [
        ("application/json", JSON_MEDIA, True),
        ("application/json; charset=utf-8", JSON_MEDIA, True),
        ("Application/JSON", JSON_MEDIA, True),
        (" application/json ;x", JSON_MEDIA, True),
        ("application/x-ndjson", NDJSON_MEDIA, True),
        ("application/jsonl", NDJSON_MEDIA, True),
        ("application/json", NDJSON_MEDIA, False),
        ("text/plain", JSON_MEDIA, False),
        ("application/jsonp", JSON_MEDIA, False),
        ("", JSON_MEDIA, False),
    ],
)
def test_only_the_content_type_that_an_operation_reads_is_taken(
    services: Any, settings: Settings, content_type: str, media: frozenset[str], taken: bool
) -> None:
    """A form that a browser posts across sites has another one."""
    made = call(settings, Scope.PAYMENTS_WRITE, content_type=content_type)
    if taken:
        assert admit(services, made, Scope.PAYMENTS_WRITE, media, 1).subject == "till-7"
        return
    with pytest.raises(Problem) as unsupported:
        admit(services, made, Scope.PAYMENTS_WRITE, media, 1)
    assert unsupported.value.status == 415
    assert all(one in unsupported.value.headers["Accept"] for one in media)


def test_a_caller_is_known_before_anything_else_is_looked_at(services: Any, settings: Settings) -> None:
    """Neither the rate nor the content type of a stranger tells anything."""
    for made, status in ((call(content_type="text/plain"), 401), (call(settings, content_type="text/plain"), 403)):
        with pytest.raises(Problem) as turned_away:
            admit(services, made, Scope.PAYMENTS_WRITE, JSON_MEDIA, 1)
        assert turned_away.value.status == status


def test_a_client_that_sent_too_much_is_told_its_rate_and_when_to_come_back(services: Any, settings: Settings) -> None:
    made = call(settings, Scope.PAYMENTS_WRITE, content_type="application/json")
    admit(services, made, Scope.PAYMENTS_WRITE, JSON_MEDIA, 10_000)
    with pytest.raises(Problem) as limited:
        admit(services, made, Scope.PAYMENTS_WRITE, JSON_MEDIA, 25)
    assert (limited.value.status, limited.value.headers["Retry-After"]) == (429, "3")
    assert "10 commands a second" in limited.value.detail


def test_a_refused_content_type_costs_no_commands(services: Any, settings: Settings) -> None:
    wrong = call(settings, Scope.PAYMENTS_WRITE, content_type="text/plain")
    for _ in range(3):
        with pytest.raises(Problem):
            admit(services, wrong, Scope.PAYMENTS_WRITE, JSON_MEDIA, 10_000)
    right = call(settings, Scope.PAYMENTS_WRITE, content_type="application/json")
    assert admit(services, right, Scope.PAYMENTS_WRITE, JSON_MEDIA, 10_000)


async def test_a_read_is_made_for_whom_it_is_allowed_to(services: Any, settings: Settings) -> None:
    async def query(principal: Any) -> dict[str, str]:
        return {"who": principal.subject}

    made = call(settings, Scope.PAYMENTS_READ)
    assert await read(services, made, Scope.PAYMENTS_READ, query) == Answer(200, b'{"who":"till-7"}')
    with pytest.raises(Problem) as forbidden:
        await read(services, made, Scope.ACCOUNTS_READ, query)
    assert forbidden.value.status == 403


async def test_a_read_under_a_forged_token_of_positions_is_not_made(services: Any, settings: Settings) -> None:
    async def query(_: Any) -> None:
        raise AssertionError("not asked")

    with pytest.raises(Problem) as malformed:
        await read(services, call(settings, Scope.PAYMENTS_READ, consistency_token="§"), Scope.PAYMENTS_READ, query)
    assert malformed.value.code is Fault.TOKEN_POSITION_INVALID


def test_a_response_of_fastapi_has_the_headers_of_the_hot_routes() -> None:
    response = as_response(Answer(503, b"{}", [(b"retry-after", b"1")], b"application/problem+json"), "r-1")
    headers = dict(response.raw_headers)
    assert (response.status_code, response.body) == (503, b"{}")
    assert headers[b"content-type"] == b"application/problem+json"
    assert (headers[b"x-request-id"], headers[b"cache-control"], headers[b"retry-after"]) == (b"r-1", b"no-store", b"1")


class App:
    """Stands behind the hot routes; notes what reached it."""

    def __init__(self) -> None:
        self.reached: list[Any] = []

    async def __call__(self, scope: Any, _receive: Any, _send: Any) -> None:
        self.reached.append((scope["type"], scope.get("method"), scope["path"]))


@pytest.mark.parametrize(
    ("scope", "hot"),
    [
        ({"type": "http", "method": "POST", "path": "/hot"}, True),
        ({"type": "http", "method": "GET", "path": "/hot"}, False),
        ({"type": "http", "method": "post", "path": "/hot"}, False),
        ({"type": "http", "method": "POST", "path": "/hot/"}, False),
        ({"type": "http", "method": "POST", "path": "/other"}, False),
        ({"type": "websocket", "path": "/hot"}, False),
    ],
    ids=str,
)
async def test_only_a_post_to_a_hot_path_passes_by_fastapi(scope: dict[str, Any], hot: bool) -> None:
    sent: list[dict[str, Any]] = []

    async def operation(_services: Any, made: Call) -> Answer:
        return Answer(202, made.path.encode())

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    app, services = App(), SimpleNamespace()
    routes = HotRoutes(app, services, {"/hot": operation})  # type: ignore[arg-type]
    await routes({"headers": [(b"x-request-id", b"r-2")], **scope}, nothing, send)
    if hot:
        assert app.reached == []
        assert (sent[0]["status"], sent[1]["body"]) == (202, b"/hot")
        assert (b"x-request-id", b"r-2") in sent[0]["headers"]
    else:
        assert app.reached == [(scope["type"], scope.get("method"), scope["path"])]
        assert sent == []
