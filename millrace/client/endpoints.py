"""How a resource's method becomes a call, for threads and tasks alike: each is written once, as a pure function from
arguments to what is asked.

    class Transfers(Resource[C]):
        @endpoint("GET /v1/transfers/{payment_id}", Payment)
        def get(self, payment_id: str) -> Ask: ...

`client.transfers.get` is then a function that answers a Payment, and AsyncClient's one that answers an awaitable of it;
type checkers know both by the overloads of `__get__`.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, Self, TypeVar, overload

import msgspec

from millrace.client.calls import Calls
from millrace.client.exchange import Flow, Pause
from millrace.client.requests import Ask, Route

P = ParamSpec("P")
T = TypeVar("T")
C = TypeVar("C", bound="Caller")


class Caller(Protocol):
    """Something that takes the steps of a call."""

    calls: Calls


class BlockingCaller(Caller, Protocol):
    """Takes them in the calling thread."""

    def run(self, flow: Flow[T]) -> T: ...


class AwaitingCaller(Caller, Protocol):
    """Takes them in the running task."""

    async def run(self, flow: Flow[T]) -> T: ...


class Resource(Generic[C]):
    """What is called by one name: `client.transfers`."""

    def __init__(self, caller: C) -> None:
        self.caller = caller


class Page(msgspec.Struct, Generic[T]):
    """One page of a list. `next_cursor` leads on where `has_more`; that of events, always."""

    items: list[T]
    has_more: bool = False
    next_cursor: str | None = None


def _route(text: str, *, keyed: bool, repeats: bool = False) -> Route:
    method, _, path = text.partition(" ")
    return Route(method, path, keyed, repeats)


class Endpoint(Generic[P, T]):
    """One operation of the API. As an attribute of a resource it is the function that calls it."""

    def __init__(self, route: Route, result: type[T], ask: Callable[Concatenate[Any, P], Ask]) -> None:
        self.route = route
        self.result = result
        self.ask = ask
        self.__doc__ = ask.__doc__

    @overload
    def __get__(self, resource: Resource[BlockingCaller], owner: object) -> Callable[P, T]: ...
    @overload
    def __get__(self, resource: Resource[AwaitingCaller], owner: object) -> Callable[P, Awaitable[T]]: ...
    @overload
    def __get__(self, resource: None, owner: object) -> Self: ...
    def __get__(self, resource: Any, owner: object) -> Any:
        if resource is None:
            return self

        def call(*args: P.args, **kwargs: P.kwargs) -> Any:
            ask = self.ask(resource, *args, **kwargs)
            return resource.caller.run(resource.caller.calls.flow(self.route, ask, self.result))

        call.__doc__ = self.__doc__
        return call


def endpoint(
    route: str, result: type[T], *, keyed: bool = False, repeats: bool = False
) -> Callable[[Callable[Concatenate[Any, P], Ask]], Endpoint[P, T]]:
    """An operation. `keyed`: it takes an Idempotency-Key; `repeats`: without one, twice is once all the same."""
    return lambda ask: Endpoint(_route(route, keyed=keyed, repeats=repeats), result, ask)


class Steps(Generic[P, T]):
    """Several calls that are one to the caller."""

    def __init__(self, flow: Callable[Concatenate[Any, P], Flow[T]]) -> None:
        self.flow = flow
        self.__doc__ = flow.__doc__

    @overload
    def __get__(self, resource: Resource[BlockingCaller], owner: object) -> Callable[P, T]: ...
    @overload
    def __get__(self, resource: Resource[AwaitingCaller], owner: object) -> Callable[P, Awaitable[T]]: ...
    @overload
    def __get__(self, resource: None, owner: object) -> Self: ...
    def __get__(self, resource: Any, owner: object) -> Any:
        if resource is None:
            return self

        def call(*args: P.args, **kwargs: P.kwargs) -> Any:
            return resource.caller.run(self.flow(resource, *args, **kwargs))

        call.__doc__ = self.__doc__
        return call


steps = Steps


class _Listed(Generic[C, T]):
    """A list as it was asked for. `cursor`: where the page that comes next begins, to be kept by who goes on later."""

    def __init__(self, caller: C, route: Route, item: type[T], ask: Ask, again_every_s: float | None = None) -> None:
        self._caller = caller
        self._route = route
        self._page: Any = Page[item]  # type: ignore[valid-type]
        self._ask = ask
        self._again_every_s = again_every_s
        self._start: str | None = ask.query.get("cursor")
        self.cursor = self._start

    def following(self, every_s: float = 1.0) -> Self:
        """The same without an end: asks again every so many seconds. For lists in the order in which things come."""
        return type(self)(self._caller, self._route, self._page.__args__[0], self._ask, every_s)

    def _flow(self, cursor: str | None) -> Flow[Page[T]]:
        query = dict(self._ask.query) | ({"cursor": cursor} if cursor is not None else {})
        ask = Ask(self._ask.path, query, headers=self._ask.headers)
        page: Page[T] = yield from self._caller.calls.flow(self._route, ask, self._page)
        return page

    def _leads_on(self, page: Page[T]) -> bool:
        self.cursor = page.next_cursor or self.cursor
        return self._again_every_s is not None or (page.has_more and page.next_cursor is not None)

    def _wait(self, page: Page[T]) -> Flow[None]:
        """Before the next page, where this one was the last for now."""
        if not page.has_more and self._again_every_s is not None:
            yield Pause(self._again_every_s)


class Pages(_Listed[BlockingCaller, T]):
    """Iterates over the items of all pages, one page in memory."""

    def page(self) -> Page[T]:
        """The first page alone."""
        return self._caller.run(self._flow(self._start))

    def pages(self) -> Iterator[Page[T]]:
        """Page by page, from the start. `cursor` moves on once the page before was used up."""
        self.cursor = self._start
        while True:
            page = self._caller.run(self._flow(self.cursor))
            yield page
            if not self._leads_on(page):
                return
            self._caller.run(self._wait(page))

    def __iter__(self) -> Iterator[T]:
        for page in self.pages():
            yield from page.items


class AsyncPages(_Listed[AwaitingCaller, T]):
    """The same with `async for`."""

    async def page(self) -> Page[T]:
        """The first page alone."""
        return await self._caller.run(self._flow(self._start))

    async def pages(self) -> AsyncIterator[Page[T]]:
        """Page by page, from the start. `cursor` moves on once the page before was used up."""
        self.cursor = self._start
        while True:
            page = await self._caller.run(self._flow(self.cursor))
            yield page
            if not self._leads_on(page):
                return
            await self._caller.run(self._wait(page))

    async def __aiter__(self) -> AsyncIterator[T]:
        async for page in self.pages():
            for item in page.items:
                yield item


class Listing(Generic[P, T]):
    """A list of the API. As an attribute of a resource it is the function that answers its pages, unread."""

    def __init__(self, route: Route, item: type[T], ask: Callable[Concatenate[Any, P], Ask]) -> None:
        self.route = route
        self.item = item
        self.ask = ask
        self.__doc__ = ask.__doc__

    @overload
    def __get__(self, resource: Resource[BlockingCaller], owner: object) -> Callable[P, Pages[T]]: ...
    @overload
    def __get__(self, resource: Resource[AwaitingCaller], owner: object) -> Callable[P, AsyncPages[T]]: ...
    @overload
    def __get__(self, resource: None, owner: object) -> Self: ...
    def __get__(self, resource: Any, owner: object) -> Any:
        if resource is None:
            return self

        def listed(*args: P.args, **kwargs: P.kwargs) -> Any:
            ask = self.ask(resource, *args, **kwargs)
            return resource.caller.pages_class(resource.caller, self.route, self.item, ask)

        listed.__doc__ = self.__doc__
        return listed


def listing(route: str, item: type[T]) -> Callable[[Callable[Concatenate[Any, P], Ask]], Listing[P, T]]:
    """A list, page by page."""
    return lambda ask: Listing(_route(route, keyed=False), item, ask)
