"""CSV files + a charter → records with typed values, under the names that the charter's instructions know.

Which kind a file is: its name matches the pattern; else its columns are those that the instructions name; else its
place in the list. OpenRec puts a time in front of names and `.unmatched` behind them, so `^name` also matches inside.
"""

import csv
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from msgspec import Struct

from reconciliation.charters.charter import (
    Charter,
    CharterFault,
    ColumnMapping,
    DataType,
    ImportedFile,
    NewColumn,
    SourceFile,
)
from reconciliation.charters.columns import column_type, day_text, value_of
from reconciliation.charters.scripts import Scripts, Value, moment

FORCED = {
    "as_boolean": DataType.BOOLEAN,
    "as_datetime": DataType.DATETIME,
    "as_decimal": DataType.DECIMAL,
    "as_integer": DataType.INTEGER,
    "as_string": DataType.STRING,
}
_TIMESTAMP = re.compile(r"\d{8}_\d{9}")


class Row(Struct, frozen=True):
    """A line of a file as it was written."""

    file: str
    line: int
    fields: dict[str, str]


class Record(NamedTuple):
    """A row with its typed values; the instructions add columns to them."""

    row: Row
    internal: bool
    values: dict[str, Value]


class Table(NamedTuple):
    """One file's records, and the types of its columns under their full names."""

    records: list[Record]
    types: dict[str, DataType]


def read_tables(
    charter: Charter, internal: Sequence[Path], external: Sequence[Path], scripts: Scripts
) -> Iterator[Table]:
    """In the order of the files. Raises CharterFault."""
    paths = [*internal, *external]
    headers = [_header(path) for path in paths]
    for index, (path, kind) in enumerate(zip(paths, _kinds(charter, paths, headers), strict=True)):
        source, imported = charter.matching.source_files[kind], _imported(charter, path, kind)
        rows = list(_rows(path, imported, scripts))
        prefix = (source.field_prefix or path.stem) if charter.matching.use_field_prefixes else ""
        yield _table(path, rows, imported, prefix, index < len(internal))


def _kinds(charter: Charter, paths: Sequence[Path], headers: Sequence[list[str]]) -> list[int]:
    sources = charter.matching.source_files
    kinds: list[int] = []
    for path, header in zip(paths, headers, strict=True):
        named = [at for at, source in enumerate(sources) if _matches(source.pattern, path.name)]
        fitting = [at for at, source in enumerate(sources) if _fits(charter, source, header)]
        free = [at for at in range(len(sources)) if at not in kinds]
        places = named[:1] or (fitting if len(fitting) == 1 else []) or free[:1] or [len(sources) - 1]
        kinds.append(places[0])
    return kinds


def _matches(pattern: str, name: str) -> bool:
    return re.match(pattern, name) is not None or re.search(pattern.removeprefix("^"), name) is not None


def _fits(charter: Charter, source: SourceFile, header: list[str]) -> bool:
    """Has every column that an instruction names with this kind's prefix."""
    if not source.field_prefix:
        return False
    prefix = re.escape(source.field_prefix)
    text = "\n".join(
        part
        for instruction in charter.instructions
        for part in (
            *(instruction.merge.columns if instruction.merge else ()),
            *((instruction.project.from_, instruction.project.when or "") if instruction.project else ()),
        )
    )
    wanted = set(re.findall(rf'(?:^|"){prefix}\.([^"\n]+)', text, re.MULTILINE))
    return bool(wanted) and wanted <= set(header)


def _imported(charter: Charter, path: Path, kind: int) -> ImportedFile:
    files = charter.jetwash.source_files if charter.jetwash else []
    named = [file for file in files if _matches(file.pattern, path.name)]
    if named or len(files) != len(charter.matching.source_files):
        return named[0] if named else ImportedFile(pattern="")
    return files[kind]


def _header(path: Path) -> list[str]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            return next(csv.reader(file), [])
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CharterFault(f"{path.name}: {error}") from error


def _rows(path: Path, imported: ImportedFile, scripts: Scripts) -> Iterator[tuple[Row, dict[str, str]]]:
    """Each line as it is, and as the section jetwash makes it."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.reader(
            file,
            delimiter=imported.delimeter or imported.delimiter,
            quotechar=imported.quote,
            escapechar=imported.escape or None,
            doublequote=not imported.escape,
        )
        header = imported.headers or next(reader, [])
        if len(set(header)) != len(header):
            raise CharterFault(f"{path.name}: two columns have the same name")
        for texts in reader:
            if not texts:
                continue
            if len(texts) != len(header):
                raise CharterFault(f"{path.name}, line {reader.line_num}: {len(texts)} values, {len(header)} columns")
            fields = dict(zip(header, texts, strict=True))
            yield Row(path.name, reader.line_num, fields), _cleaned(fields, imported, scripts)


def _cleaned(fields: dict[str, str], imported: ImportedFile, scripts: Scripts) -> dict[str, str]:
    made = dict(fields)
    for mapping in imported.column_mappings or ():
        action, column = _action(mapping)
        if column not in made:
            raise CharterFault(f"column mapping {action}: there is no column {column!r}")
        made[column] = _mapped(mapping, action, made[column], scripts)
    record = scripts.record(made) if imported.new_columns else None
    for new in imported.new_columns or ():
        made[new.column] = _new(new, scripts, record)
    return made


def _action(mapping: ColumnMapping) -> tuple[str, str]:
    if mapping.map is not None:
        return "map", mapping.map.column
    return next((name, column) for name in mapping.__struct_fields__ if (column := getattr(mapping, name)))


def _mapped(mapping: ColumnMapping, action: str, text: str, scripts: Scripts) -> str:
    if mapping.map is not None:
        return _as_text(scripts.value(mapping.map.from_, mapping.map.as_a, value=text), mapping.map.as_a)
    if action == "trim":
        return text.strip()
    return text if action in FORCED else day_text(text.strip(), action)


def _new(new: NewColumn, scripts: Scripts, record: object) -> str:
    return _as_text(scripts.value(new.from_, new.as_a, record=record), new.as_a)


def _as_text(value: Value | None, as_a: DataType) -> str:
    if value is None:
        return ""
    if as_a is DataType.BOOLEAN:
        return "1" if value else "0"
    return moment(int(value)) if as_a is DataType.DATETIME else str(value)


def _table(
    path: Path, rows: list[tuple[Row, dict[str, str]]], imported: ImportedFile, prefix: str, internal: bool
) -> Table:
    columns = list(rows[0][1]) if rows else []
    types = {column: column_type(made[column] for _, made in rows) for column in columns} | _stated(imported)
    meta: dict[str, Value] = {"META.filename": path.name}
    if prefix:
        meta["META.prefix"] = prefix
    if time := _TIMESTAMP.match(path.name):
        meta["META.timestamp"] = time[0]
    names = {column: f"{prefix}.{column}" if prefix else column for column in columns}
    records = []
    for row, made in rows:
        values = meta.copy()
        for column, text in made.items():
            value = value_of(text, types[column])
            if value is not None:
                values[names[column]] = value
            elif text:
                raise CharterFault(f"{path.name}, line {row.line}, {column}: {text!r} is no {types[column]}")
        records.append(Record(row, internal, values))
    return Table(records, {names[column]: types[column] for column in columns})


def _stated(imported: ImportedFile) -> dict[str, DataType]:
    """Types that the charter says, whatever the values look like."""
    stated: dict[str, DataType] = {}
    for mapping in imported.column_mappings or ():
        action, column = _action(mapping)
        if mapping.map is not None:
            stated[column] = mapping.map.as_a
        elif action in FORCED:
            stated[column] = FORCED[action]
        elif action != "trim":
            stated[column] = DataType.DATETIME
    return stated | {new.column: new.as_a for new in imported.new_columns or ()}


def lookup_in(folders: Sequence[Path], field: str, file: str, where_field: str, where_value: str) -> str:
    """A value of another CSV file of these folders, "" where no row fits. Raises ValueError: a script may say so."""
    if Path(file).name != file:
        raise ValueError(f"lookup: {file!r} is no name of a file")
    path = _lookup_file(folders, file)
    with path.open(newline="", encoding="utf-8-sig") as opened:
        for row in csv.DictReader(opened):
            if field not in row or where_field not in row:
                raise ValueError(f"lookup: {file!r} has no column {field!r} or {where_field!r}")
            if row[where_field] == where_value:
                return row[field] or ""
    return ""


def _lookup_file(folders: Sequence[Path], file: str) -> Path:
    """By its name; else the only one that has something and `_` in front of it, as delivered files have."""
    exact = next((folder / file for folder in folders if (folder / file).is_file()), None)
    named = [path for folder in folders for path in sorted(folder.iterdir()) if path.name.endswith(f"_{file}")]
    if exact is None and len(named) != 1:
        raise ValueError(f"lookup: there is no file {file!r}")
    return exact or named[0]
