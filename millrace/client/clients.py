"""The two clients. They differ in this alone: how the steps of a call are taken, in a thread or in a task.

Reads nothing from the environment. A client may be shared by threads (`Client`) or tasks of one loop (`AsyncClient`):
connections are pooled, tokens are renewed by one caller at a time while the others wait for it.
"""

import asyncio
import inspect
import threading
import time
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Mapping
from typing import Any, Final, Self, TypeVar

import httpx

from millrace.client.batches import Batch, Line, batches_of, batches_of_async
from millrace.client.calls import Calls, Chance
from millrace.client.credentials import Credentials, Grant
from millrace.client.endpoints import AsyncPages, AwaitingCaller, BlockingCaller, C, Pages
from millrace.client.exchange import AskCode, Flow, NoAnswer, Pause, Renew, Request, Response, Send
from millrace.client.faults import ClientError
from millrace.client.models.money import BatchReceipt
from millrace.client.requests import Ask, Route
from millrace.client.resources import Resources
from millrace.client.retries import RetryPolicy

T = TypeVar("T")

CONNECT_TIMEOUT_S: Final = 5.0
_NOT_SENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)
"""After anything else the server may have read the request."""


def _timeout(request: Request) -> httpx.Timeout:
    return httpx.Timeout(request.read_timeout_s, connect=CONNECT_TIMEOUT_S)


def _response(answer: httpx.Response) -> Response:
    return Response(answer.status_code, {name.lower(): value for name, value in answer.headers.items()}, answer.content)


def _no_answer(error: httpx.RequestError) -> NoAnswer:
    return NoAnswer(str(error) or type(error).__name__, not isinstance(error, _NOT_SENT))


def _asked(
    method: str,
    path: str,
    body: Any,
    query: Mapping[str, Any] | None,
    headers: Mapping[str, str] | None,
    key: str | None,
) -> tuple[Route, Ask]:
    return Route(method.upper(), path, keyed=key is not None), Ask((), query or {}, body, key, headers=headers or {})


class _Client(Resources[C]):
    """What both are made of."""

    def __init__(self, base_url: str, credentials: Credentials | Grant, retries: RetryPolicy | None, own: bool) -> None:
        super().__init__()
        self.calls = Calls(base_url, credentials, retries or RetryPolicy(), Chance(), reads_own_writes=own)

    def _code_callback(self) -> Any:
        assert self.calls.tokens is not None, "asked by their own grant"
        callback = self.calls.tokens.grant.otp
        assert callback is not None, "asked only where there is one"
        return callback()


class Client(_Client[BlockingCaller]):
    """The API for threads: `with Client("https://pay.example", ApiKey("mk_…")) as client: …`.

    `base_url` is without `/v1`. `http`: an httpx.Client of your own, for proxies, certificates, limits; it is closed by
    whoever made it. `reads_own_writes`: every call waits until it sees what this client has written before.
    """

    pages_class = Pages

    def __init__(
        self,
        base_url: str,
        credentials: Credentials | Grant,
        *,
        retries: RetryPolicy | None = None,
        reads_own_writes: bool = True,
        http: httpx.Client | None = None,
    ) -> None:
        super().__init__(base_url, credentials, retries, reads_own_writes)
        self._http = http or httpx.Client()
        self._owns_http = http is None
        self._renewing = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        if self._owns_http:
            self._http.close()

    def request(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
    ) -> Response:
        """A call of any path, as `/v1/accounts/acc_…`, answered with its headers. Raises ClientError."""
        return self.run(self.calls.raw(*_asked(method, path, body, query, headers, idempotency_key)))

    def send_batches(self, lines: Iterable[Line], batch_lines: int = 1_000) -> Iterator[tuple[Batch, BatchReceipt]]:
        """Stream lines of `batches` to POST /v1/transfers:batch, one batch after the other. Raises ClientError: the
        batches answered before are taken, and all lines may be sent again with the same keys.
        """
        for batch in batches_of(lines, batch_lines):
            yield batch, self.run(batch.flow(self.calls))

    def run(self, flow: Flow[T]) -> T:
        """Take the steps of a flow."""
        came: Any = None
        failure: ClientError | None = None
        while True:
            try:
                step = flow.send(came) if failure is None else flow.throw(failure)
            except StopIteration as done:
                return done.value  # type: ignore[no-any-return]
            came, failure = None, None
            try:
                came = self._take(step)
            except ClientError as error:
                failure = error

    def _take(self, step: Send | Pause | Renew | AskCode) -> Any:
        match step:
            case Send(request):
                return self._send(request)
            case Pause(seconds):
                time.sleep(seconds)
            case Renew(stale, second):
                assert self.calls.tokens is not None
                with self._renewing:
                    self.run(self.calls.tokens.renewal(stale, with_second_factor=second))
            case AskCode():
                code = self._code_callback()
                if inspect.iscoroutine(code):
                    code.close()
                if inspect.isawaitable(code):
                    raise TypeError("otp answers an awaitable: take AsyncClient, or a callback that answers text")
                return code
        return None

    def _send(self, request: Request) -> Response | NoAnswer:
        try:
            answer = self._http.request(
                request.method,
                request.url,
                headers=dict(request.headers),
                content=request.content,
                timeout=_timeout(request),
            )
        except httpx.RequestError as error:
            return _no_answer(error)
        return _response(answer)


class AsyncClient(_Client[AwaitingCaller]):
    """The API for tasks: `async with AsyncClient(url, credentials) as client: await …`. As Client in all else."""

    pages_class = AsyncPages

    def __init__(
        self,
        base_url: str,
        credentials: Credentials | Grant,
        *,
        retries: RetryPolicy | None = None,
        reads_own_writes: bool = True,
        http: httpx.AsyncClient | None = None,
    ) -> None:
        super().__init__(base_url, credentials, retries, reads_own_writes)
        self._http = http or httpx.AsyncClient()
        self._owns_http = http is None
        self._renewing = asyncio.Lock()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        if self._owns_http:
            await self._http.aclose()

    async def request(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
    ) -> Response:
        """A call of any path, as `/v1/accounts/acc_…`, answered with its headers. Raises ClientError."""
        return await self.run(self.calls.raw(*_asked(method, path, body, query, headers, idempotency_key)))

    async def send_batches(
        self, lines: Iterable[Line] | AsyncIterable[Line], batch_lines: int = 1_000
    ) -> AsyncIterator[tuple[Batch, BatchReceipt]]:
        """Stream lines of `batches` to POST /v1/transfers:batch, one batch after the other. Raises ClientError: the
        batches answered before are taken, and all lines may be sent again with the same keys.
        """
        async for batch in batches_of_async(lines, batch_lines):
            yield batch, await self.run(batch.flow(self.calls))

    async def run(self, flow: Flow[T]) -> T:
        """Take the steps of a flow."""
        came: Any = None
        failure: ClientError | None = None
        while True:
            try:
                step = flow.send(came) if failure is None else flow.throw(failure)
            except StopIteration as done:
                return done.value  # type: ignore[no-any-return]
            came, failure = None, None
            try:
                came = await self._take(step)
            except ClientError as error:
                failure = error

    async def _take(self, step: Send | Pause | Renew | AskCode) -> Any:
        match step:
            case Send(request):
                return await self._send(request)
            case Pause(seconds):
                await asyncio.sleep(seconds)
            case Renew(stale, second):
                assert self.calls.tokens is not None
                async with self._renewing:
                    await self.run(self.calls.tokens.renewal(stale, with_second_factor=second))
            case AskCode():
                code = self._code_callback()
                return await code if inspect.isawaitable(code) else code
        return None

    async def _send(self, request: Request) -> Response | NoAnswer:
        try:
            answer = await self._http.request(
                request.method,
                request.url,
                headers=dict(request.headers),
                content=request.content,
                timeout=_timeout(request),
            )
        except httpx.RequestError as error:
            return _no_answer(error)
        return _response(answer)
