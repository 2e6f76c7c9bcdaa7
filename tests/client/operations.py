"""Every operation that the client has, found in its resources; and samples of what OpenAPI describes."""

import inspect
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from types import NoneType, UnionType
from typing import Any, NamedTuple, Union, get_args, get_origin

from millrace.client.clients import Client
from millrace.client.credentials import Bearer
from millrace.client.endpoints import Endpoint, Listing, Resource
from millrace.client.requests import Ask, Route


class Operation(NamedTuple):
    """One function of a resource."""

    name: str
    route: Route
    result: Any
    is_list: bool
    ask: Any

    def fullest(self) -> Ask:
        """What is asked with every parameter given."""
        parameters = list(inspect.signature(self.ask).parameters.values())[1:]
        asked: Ask = self.ask(None, **{parameter.name: _sample(parameter.annotation) for parameter in parameters})
        return asked


def operations() -> Iterator[Operation]:
    with Client("http://api", Bearer("t")) as client:
        resources = [value for value in vars(client).values() if isinstance(value, Resource)]
    for resource in resources:
        for name, found in vars(type(resource)).items():
            if isinstance(found, Endpoint):
                yield Operation(f"{type(resource).__name__}.{name}", found.route, found.result, False, found.ask)
            if isinstance(found, Listing):
                yield Operation(f"{type(resource).__name__}.{name}", found.route, found.item, True, found.ask)


def _sample(annotation: Any) -> Any:
    is_union = get_origin(annotation) in (Union, UnionType)
    options = [option for option in get_args(annotation) if option is not NoneType] if is_union else [annotation]
    if datetime in options:
        return datetime(2026, 1, 31, 12, tzinfo=UTC)
    if Decimal in options:
        return "1.50"
    kind = get_origin(options[0]) or options[0]
    return {bool: True, int: 1, bytes: b"x", Sequence: [], Mapping: {}}.get(kind, "x")


class Document:
    """The OpenAPI document."""

    def __init__(self, described: dict[str, Any]) -> None:
        self._schemas = described["components"]["schemas"]
        self.operations = {
            (method.upper(), path): operation
            for path, methods in described["paths"].items()
            for method, operation in methods.items()
        }

    def parameters(self, route: Route, place: str) -> set[str]:
        found = self.operations[route.method, route.path].get("parameters", [])
        return {parameter["name"] for parameter in found if parameter["in"] == place}

    def body(self, route: Route) -> dict[str, Any] | None:
        content = self.operations[route.method, route.path].get("requestBody", {}).get("content", {})
        return self.resolved(content["application/json"]["schema"]) if "application/json" in content else None

    def result(self, route: Route) -> dict[str, Any]:
        responses = self.operations[route.method, route.path]["responses"]
        good = next(response for status, response in responses.items() if status.startswith("2"))
        return self.resolved(good["content"]["application/json"]["schema"])

    def resolved(self, schema: dict[str, Any]) -> dict[str, Any]:
        named: str = schema.get("$ref", "")
        return self._schemas[named.rpartition("/")[2]] if named else schema

    def sample(self, schema: dict[str, Any], *, with_optional: bool) -> Any:
        """A value of the schema, with its required fields alone or with all of them."""
        schema = self.resolved(schema)
        if "anyOf" in schema:
            return self.sample(schema["anyOf"][0], with_optional=with_optional)
        if "enum" in schema:
            return schema["enum"][0]
        if "const" in schema:
            return schema["const"]
        if "properties" in schema:
            wanted = schema["properties"] if with_optional else schema.get("required", [])
            return {name: self.sample(schema["properties"][name], with_optional=with_optional) for name in wanted}
        if schema.get("type") == "array":
            return [self.sample(schema["items"], with_optional=with_optional)]
        if schema.get("type") == "object":
            values = schema.get("additionalProperties")
            return {"a": self.sample(values, with_optional=with_optional) if isinstance(values, dict) else 1}
        return {"integer": 7, "boolean": True, "null": None}.get(schema.get("type", ""), "text")
