"""Runs a charter: columns are made, then stage by stage groups that hold become matches; the rest is broken, and how.

The order of the answer depends on the values alone: groups by their keys, records by file and line.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from decimal import Decimal
from functools import partial
from pathlib import Path

from reconciliation.charters.changes import apply_changes, read_changes
from reconciliation.charters.charter import (
    Charter,
    CharterFault,
    Constraint,
    DataType,
    Group,
    Merge,
    Nets,
    Project,
    ToleranceType,
)
from reconciliation.charters.files import Record, Row, lookup_in, read_tables
from reconciliation.charters.scripts import Scripts, Value, moment
from reconciliation.matching.breaks import BreakType
from reconciliation.matching.results import Break, Match, Outcome

_NUMBERS = {DataType.DECIMAL, DataType.INTEGER}


def run_charter(
    charter: Charter,
    internal: Sequence[Path],
    external: Sequence[Path],
    *,
    changes: Sequence[Path] = (),
    lookups: Sequence[Path] = (),
) -> Outcome[Row]:
    """Match the files. Lookups are searched in these folders, then beside the files. Raises CharterFault."""
    folders = [*lookups, *dict.fromkeys(path.parent for path in (*internal, *external))]
    scripts = Scripts(charter.global_lua, partial(lookup_in, folders))
    records: list[Record] = []
    types: dict[str, DataType] = {}
    for table in read_tables(charter, internal, external, scripts):
        records += table.records
        clash = [name for name, kind in table.types.items() if types.get(name, kind) is not kind]
        if clash:
            raise CharterFault(
                f"column {clash[0]!r} has two types in two files: state one with as_decimal, as_string …"
            )
        types |= table.types
    records = apply_changes(read_changes(changes), records, types, scripts)
    _make_columns(charter, records, types, scripts)
    return _match(charter, records, types, scripts)


def _make_columns(charter: Charter, records: list[Record], types: dict[str, DataType], scripts: Scripts) -> None:
    for instruction in charter.instructions:
        new = instruction.project.column if instruction.project else instruction.merge.into if instruction.merge else ""
        if new in types:
            raise CharterFault(f"column {new!r} exists already: choose another name")
        if instruction.project is not None:
            _project(instruction.project, records, scripts)
            types[new] = instruction.project.as_a
        elif instruction.merge is not None:
            types[new] = _merge(instruction.merge, records, types)


def _project(project: Project, records: list[Record], scripts: Scripts) -> None:
    for record in records:
        table = scripts.record(record.values)
        if project.when is None or scripts.holds(project.when, record=table):
            value = scripts.value(project.from_, project.as_a, record=table)
            if value is not None:
                record.values[project.column] = value


def _merge(merge: Merge, records: list[Record], types: dict[str, DataType]) -> DataType:
    """Columns of a file that is not there are left out. Integers beside decimals are decimals."""
    kinds = {types[column] for column in merge.columns if column in types}
    if records and not kinds:
        raise CharterFault(f"merge into {merge.into!r}: there is none of the columns {', '.join(merge.columns)}")
    if len(kinds) > 1 and kinds != _NUMBERS:
        named = ", ".join(f"{column} {types[column]}" for column in merge.columns if column in types)
        raise CharterFault(
            f"merge into {merge.into!r}: columns of different types ({named}); project one of them first"
        )
    for record in records:
        value = next((record.values[column] for column in merge.columns if column in record.values), None)
        if value is not None:
            record.values[merge.into] = Decimal(value) if len(kinds) > 1 else value
    return DataType.DECIMAL if len(kinds) > 1 else next(iter(kinds), DataType.STRING)


def _match(charter: Charter, records: list[Record], types: dict[str, DataType], scripts: Scripts) -> Outcome[Row]:
    matches: list[Match[Row]] = []
    failed: list[tuple[Group, dict[str, str], list[Record]]] = []
    left = records
    stages = [instruction.group for instruction in charter.instructions if instruction.group is not None]
    for number, stage in enumerate(stages, 1):
        rest: list[Record] = []
        for keys, group in _groups(stage, left, types, charter.group_lines_max):
            if all(_holds(constraint, group, types, scripts) for constraint in stage.match_when):
                inner, outer = _sides(group)
                matches.append(Match(f"stage {number}: group by {', '.join(stage.by)}", keys, 100, inner, outer))
            else:
                rest += group
                failed.append((stage, keys, group))
        left = rest
    return Outcome(matches, _breaks(failed, left, types, scripts))


def _groups(
    stage: Group, records: list[Record], types: dict[str, DataType], lines_max: int
) -> Iterable[tuple[dict[str, str], list[Record]]]:
    groups: defaultdict[tuple[str, ...], list[Record]] = defaultdict(list)
    for record in records:
        groups[tuple(_key(record.values.get(column)) for column in stage.by)].append(record)
    for key in sorted(groups):
        if len(groups[key]) > lines_max:
            raise CharterFault(
                f"group by {', '.join(stage.by)}: {len(groups[key]):,} records have {key}; at most {lines_max:,}"
                " (matching.group_size_limit). Has every record a value in these columns?"
            )
        shown = [_shown(groups[key][0].values.get(column), types.get(column)) for column in stage.by]
        yield dict(zip(stage.by, shown, strict=True)), sorted(groups[key], key=_place)


def _place(record: Record) -> tuple[bool, str, int]:
    return not record.internal, record.row.file, record.row.line


def _key(value: Value | None) -> str:
    """Equal values have equal texts: 1.50 and 1.5 are one number."""
    if value is None:
        return ""
    return format(value.normalize(), "f") if isinstance(value, Decimal) else str(value)


def _shown(value: Value | None, kind: DataType | None) -> str:
    return moment(value) if kind is DataType.DATETIME and isinstance(value, int) else _key(value)


def _holds(constraint: Constraint, group: list[Record], types: dict[str, DataType], scripts: Scripts) -> bool:
    if constraint.custom is not None:
        wanted = constraint.custom.available_fields or constraint.custom.fields
        rows = [
            {name: value for name, value in one.values.items() if not wanted or name in wanted or name[:5] == "META."}
            for one in group
        ]
        return scripts.holds(constraint.custom.script, records=scripts.records(rows))
    assert constraint.nets is not None
    left, right = _sums(constraint.nets, group, types, scripts)
    if left is None or right is None:
        return False
    return abs(abs(left) - abs(right)) <= _allowed(constraint, left)


def _allowed(constraint: Constraint, left: Decimal) -> Decimal:
    tolerance = constraint.nets_with_tolerance
    if tolerance is None:
        return Decimal(0)
    return tolerance.tolerance if tolerance.tol_type is ToleranceType.AMOUNT else abs(left) * tolerance.tolerance / 100


def _sums(
    nets: Nets, group: list[Record], types: dict[str, DataType], scripts: Scripts
) -> tuple[Decimal | None, Decimal | None]:
    """Of both sides; None for a side without a record."""
    kind = types.get(nets.column)
    if kind not in _NUMBERS:
        what = f"is a {kind}" if kind else "does not exist"
        raise CharterFault(
            f"column {nets.column!r} can't be netted: it {what}; make it a Decimal (as_decimal, project)"
        )
    left, right = (_sum(nets.column, side, group, scripts) for side in (nets.lhs, nets.rhs))
    return left, right


def _sum(column: str, side: str, group: list[Record], scripts: Scripts) -> Decimal | None:
    chosen = [one for one in group if scripts.holds(side, record=scripts.record(one.values))]
    return sum((Decimal(one.values.get(column, 0)) for one in chosen), Decimal(0)) if chosen else None


def _sides(group: list[Record]) -> tuple[tuple[Row, ...], tuple[Row, ...]]:
    return tuple(one.row for one in group if one.internal), tuple(one.row for one in group if not one.internal)


def _breaks(
    failed: list[tuple[Group, dict[str, str], list[Record]]],
    left: list[Record],
    types: dict[str, DataType],
    scripts: Scripts,
) -> list[Break[Row]]:
    """A group with both sides that no later stage took is one break; a record on its own is missing its other side."""
    open_rows = {id(record): record for record in left}
    breaks: list[Break[Row]] = []
    for stage, keys, group in failed:
        rest = [record for record in group if id(record) in open_rows]
        if all(keys.values()) and len({record.internal for record in rest}) == 2:
            breaks.append(_disagreement(stage, keys, rest, types, scripts))
            for record in rest:
                del open_rows[id(record)]
    for record in sorted(open_rows.values(), key=_place):
        kind = BreakType.MISSING_EXTERNAL if record.internal else BreakType.MISSING_INTERNAL
        inner, outer = _sides([record])
        breaks.append(Break(kind, "nothing on the other side shares its keys", {}, "", "", inner, outer))
    return breaks


def _disagreement(
    stage: Group, keys: dict[str, str], group: list[Record], types: dict[str, DataType], scripts: Scripts
) -> Break[Row]:
    inner, outer = _sides(group)
    for constraint in stage.match_when:
        if constraint.nets is not None and not _holds(constraint, group, types, scripts):
            column = constraint.nets.column
            own, other = (
                abs(sum((Decimal(one.values.get(column, 0)) for one in group if one.internal == side), Decimal(0)))
                for side in (True, False)
            )
            reason = f"{column}: {own:f} against {other:f}"
            return Break(BreakType.AMOUNT_MISMATCH, reason, keys, format(own - other, "f"), "", inner, outer)
    return Break(BreakType.STATUS_MISMATCH, "a custom constraint does not hold", keys, "", "", inner, outer)
