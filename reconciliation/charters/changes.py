"""Changesets: corrections of single records before matching, each with its id, in the order of the files' names."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from reconciliation.charters.charter import CharterFault, DataType
from reconciliation.charters.columns import value_of
from reconciliation.charters.files import Record
from reconciliation.charters.scripts import Scripts


class FieldUpdate(Struct, forbid_unknown_fields=True):
    """A field's new text."""

    field: str
    value: str


class Alteration(Struct, forbid_unknown_fields=True):
    """What is done, and to which records: those of a script, or all of a file."""

    type: Literal["UpdateFields", "IgnoreRecords", "IgnoreFile"]
    updates: list[FieldUpdate] = []
    lua_filter: str = ""
    filename: str = ""


class Change(Struct):
    """One entry of a changeset."""

    id: str
    change: Alteration


def read_changes(paths: Sequence[Path]) -> list[Change]:
    """Raises CharterFault."""
    changes: list[Change] = []
    for path in sorted(paths, key=lambda one: one.name):
        try:
            changes += msgspec.json.decode(path.read_bytes(), type=list[Change])
        except (OSError, msgspec.DecodeError) as error:
            raise CharterFault(f"{path.name}: {error}") from error
    return changes


def apply_changes(
    changes: list[Change], records: list[Record], types: dict[str, DataType], scripts: Scripts
) -> list[Record]:
    """The records that are left, with their new values. Raises CharterFault."""
    for one in changes:
        alteration = one.change
        if alteration.type == "IgnoreFile":
            records = [record for record in records if record.row.file != alteration.filename]
            continue
        chosen = {
            id(record)
            for record in records
            if scripts.holds(alteration.lua_filter, record=scripts.record(record.values))
        }
        if alteration.type == "IgnoreRecords":
            records = [record for record in records if id(record) not in chosen]
            continue
        for record in records:
            if id(record) in chosen:
                _update(one.id, alteration.updates, record, types)
    return records


def _update(change: str, updates: list[FieldUpdate], record: Record, types: dict[str, DataType]) -> None:
    for update in updates:
        kind = types.get(update.field)
        value = value_of(update.value, kind) if kind else None
        if kind is None or (value is None and update.value):
            what = f"{update.value!r} is no {kind}" if kind else "there is no such column"
            raise CharterFault(f"change {change}, field {update.field!r}: {what}")
        if value is None:
            record.values.pop(update.field, None)
        else:
            record.values[update.field] = value
