"""Stripe's form encoding: `card[token]=…&expand[0]=…` ↔ dictionaries and lists; parameters with their type."""

import re
from collections.abc import Iterable
from typing import Any

from connectors.sandbox.refusal import JsonObject, invalid

_BRACKETED = re.compile(r"\[([^\]]*)\]")
_INTEGER = re.compile(r"-?[0-9]{1,15}")


def decoded(pairs: Iterable[tuple[str, str]]) -> JsonObject:
    """The parameters of a query or a body."""
    root: JsonObject = {}
    for name, value in pairs:
        *path, last = [name.partition("[")[0], *_BRACKETED.findall(name)]
        place = root
        for part in path:
            place = place.setdefault(part or str(len(place)), {})
        place[last or str(len(place))] = value
    return {name: _listed(value) for name, value in root.items()}


def _listed(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    inner = {name: _listed(item) for name, item in value.items()}
    return list(inner.values()) if all(name.isdigit() for name in inner) else inner


def require(params: JsonObject, name: str) -> Any:
    """Raises Refused where it is not given."""
    if params.get(name) in (None, ""):
        raise invalid(name, "parameter_missing", f"Missing required param: {name}.")
    return params[name]


def integer(params: JsonObject, name: str) -> int:
    """Raises Refused where it is not given, or no whole number."""
    text = str(require(params, name))
    if not _INTEGER.fullmatch(text):
        raise invalid(name, "parameter_invalid_integer", f"Invalid integer: {text}")
    return int(text)


def positive(params: JsonObject, name: str) -> int:
    """Raises Refused for less than 1."""
    number = integer(params, name)
    if number < 1:
        raise invalid(name, "parameter_invalid_integer", "This value must be greater than or equal to 1.")
    return number


def refuse_unknown(params: JsonObject, known: frozenset[str]) -> None:
    """Stripe takes no parameter that it doesn't know."""
    for name in params:
        if name not in known:
            raise invalid(name, "parameter_unknown", f"Received unknown parameter: {name}")
