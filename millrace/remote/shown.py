"""How resources look on a terminal: tables for lists, names and values for one."""

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

import msgspec
import typer
from rich.table import Column, Table
from rich.text import Text

from millrace.client.models.model import Model
from millrace.client.models.told import Event
from millrace.commands.output import print_json, screen


def show(model: Model, *, as_json: bool) -> None:
    """One resource, without what it leaves open."""
    fields = told(model)
    if as_json:
        print_json(fields)
        return
    table = Table(Column(style="dim"), Column(overflow="fold"), box=None, show_header=False)
    for name, value in fields.items():
        table.add_row(name, Text(_text(value)))
    screen.print(table)


def told(value: Any) -> Any:
    """A resource as JSON, without the fields that it leaves open."""
    if isinstance(value, msgspec.Struct):
        fields = {field.encode_name: getattr(value, field.name) for field in msgspec.structs.fields(value)}
        return {name: told(part) for name, part in fields.items() if part is not None}
    return [told(part) for part in value] if isinstance(value, list) else value


def show_list(models: Iterable[Model], columns: Sequence[str], limit: int, *, as_json: bool) -> None:
    """At most `limit` resources; only as many pages are asked for as they need."""
    found = [msgspec.to_builtins(model) for model in islice(models, limit)]
    if as_json:
        print_json(found)
        return
    table = Table(*(Column(name, overflow="fold") for name in columns), box=None)
    for fields in found:
        table.add_row(*(Text(_text(fields.get(name))) for name in columns))
    screen.print(table if found else Text("none", style="dim"))


def show_event(event: Event, *, as_json: bool) -> None:
    """One line, at once: whoever pipes it on is not kept waiting."""
    if as_json:
        typer.echo(msgspec.json.encode(event))
        return
    told = " ".join(f"{name}={_text(value)}" for name, value in event.data.items() if value is not None)
    line = Text.assemble((event.timestamp, "dim"), f" {event.type} ", (event.object, "bold"), f" {told}")
    screen.print(line)
    screen.file.flush()


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
