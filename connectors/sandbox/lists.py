"""Lists and searches: newest first, pages by the id of the last seen, filters by field and time; and `expand`."""

import re
from collections.abc import Callable, Iterator
from itertools import islice

from connectors.sandbox.account import StripeAccount
from connectors.sandbox.forms import integer
from connectors.sandbox.refusal import JsonObject, Refused, invalid

LISTED = frozenset({"limit", "starting_after", "created"})
SEARCHED = frozenset({"query", "limit", "page"})
_TERM = re.compile(r"metadata\['((?:[^'\\]|\\.)*)'\]:'((?:[^'\\]|\\.)*)'")
_COMPARED: dict[str, Callable[[int, int], bool]] = {
    "gt": int.__gt__,
    "gte": int.__ge__,
    "lt": int.__lt__,
    "lte": int.__le__,
}


def retrieve(kind: str, account: StripeAccount, params: JsonObject) -> JsonObject:
    """GET /v1/{kind}s/{id}. Raises Refused."""
    return account.get(kind, params["id"])


def listing(kind: str, filters: frozenset[str], url: str, account: StripeAccount, params: JsonObject) -> JsonObject:
    """GET /v1/{kind}s. Raises Refused."""
    limit = _limit(params)
    wanted = {name: params[name] for name in filters if name in params}
    found = (
        body
        for body in _after(account, kind, params.get("starting_after"))
        if all(body.get(name) == value for name, value in wanted.items()) and _in_time(body, params.get("created"))
    )
    page = list(islice(found, limit + 1))
    return {"object": "list", "data": page[:limit], "has_more": len(page) > limit, "url": url}


def search(kind: str, url: str, account: StripeAccount, params: JsonObject) -> JsonObject:
    """GET /v1/{kind}s/search by one `metadata['key']:'value'`, as far as the index has come. Raises Refused."""
    matched = _TERM.fullmatch(str(params.get("query", "")).strip())
    if matched is None:
        raise invalid("query", "search_query_invalid", "The sandbox knows one term: metadata['key']:'value'.")
    key, value = (re.sub(r"\\(.)", r"\1", part) for part in matched.groups())
    indexed_until_s = account.now_s - account.search_lag_s
    found = (b for b in account.all(kind) if b["metadata"].get(key) == value and b["created"] <= indexed_until_s)
    page = list(islice(found, _limit(params)))
    return {"object": "search_result", "data": page, "has_more": False, "next_page": None, "url": url}


def expanded(account: StripeAccount, body: JsonObject, paths: list[str]) -> JsonObject:
    """The body with the objects behind these ids in the place of the ids."""
    for path in paths:
        _expand(account, body, path.split("."))
    return body


def _expand(account: StripeAccount, body: JsonObject, path: list[str]) -> None:
    name, *rest = path
    value = body.get(name)
    if isinstance(value, str):
        value = body[name] = account.store.find(value) or value
    for inner in value if isinstance(value, list) else [value]:
        if rest and isinstance(inner, dict):
            _expand(account, inner, rest)


def _after(account: StripeAccount, kind: str, last_seen: str | None) -> Iterator[JsonObject]:
    objects = account.all(kind)
    if last_seen is not None and not any(body["id"] == last_seen for body in objects):
        raise Refused(400, "resource_missing", f"No such {kind}: '{last_seen}'", param="starting_after")
    return objects


def _limit(params: JsonObject) -> int:
    limit = integer(params, "limit") if "limit" in params else 10
    if not 1 <= limit <= 100:
        raise invalid("limit", "parameter_invalid_integer", "This value must be between 1 and 100.")
    return limit


def _in_time(body: JsonObject, created: JsonObject | str | None) -> bool:
    if created is None:
        return True
    bounds = created if isinstance(created, dict) else {"gte": created, "lte": created}
    if not bounds.keys() <= _COMPARED.keys():
        raise invalid("created", "parameter_unknown", f"created knows {', '.join(_COMPARED)}.")
    return all(_COMPARED[name](body["created"], integer(bounds, name)) for name in bounds)
