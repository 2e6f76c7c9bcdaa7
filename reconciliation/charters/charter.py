"""A charter's text → its parts, checked. Sections and names as OpenRec has them (examples/13-The-Kitchen-Sink.yaml).

Numbers stay decimal: the YAML is read as text alone, and converted by the type of the field.
"""

import math
import re
from decimal import Decimal
from enum import StrEnum
from typing import Annotated

import msgspec
import yaml
from msgspec import Meta, Struct

Name = Annotated[str, Meta(min_length=1)]


class CharterFault(Exception):
    """The charter, or what it makes of the files, is wrong; the message says where and what to do."""


class DataType(StrEnum):
    """Of a column, from the most specific to the most general."""

    BOOLEAN = "Boolean"
    DATETIME = "Datetime"
    INTEGER = "Integer"
    DECIMAL = "Decimal"
    UUID = "Uuid"
    STRING = "String"

    @classmethod
    def _missing_(cls, value: object) -> "DataType | None":
        """Older charters write them in capitals."""
        return next((one for one in cls if one.upper() == value), None)


class ToleranceType(StrEnum):
    """What a tolerance of `nets_with_tolerance` is counted in."""

    AMOUNT = "Amount"
    PERCENT = "Percent"


class MapColumn(Struct, forbid_unknown_fields=True, rename={"from_": "from"}):
    """A value by a script that knows it as `value`."""

    column: Name
    as_a: DataType
    from_: str


class NewColumn(Struct, forbid_unknown_fields=True, rename={"from_": "from"}):
    """A column by a script that knows the file's values as text in `record`."""

    column: Name
    as_a: DataType
    from_: str


class ColumnMapping(Struct, forbid_unknown_fields=True):
    """Exactly one of them."""

    map: MapColumn | None = None
    dmy: str | None = None
    mdy: str | None = None
    ymd: str | None = None
    trim: str | None = None
    as_boolean: str | None = None
    as_datetime: str | None = None
    as_decimal: str | None = None
    as_integer: str | None = None
    as_string: str | None = None


class ImportedFile(Struct, forbid_unknown_fields=True):
    """Of the section jetwash: how a file is written, and what is made of its columns."""

    pattern: str
    escape: str = ""
    quote: str = '"'
    delimiter: str = ","
    delimeter: str = ""
    headers: list[Name] | None = None
    column_mappings: list[ColumnMapping] | None = None
    new_columns: list[NewColumn] | None = None


class Jetwash(Struct, forbid_unknown_fields=True):
    """What happens before matching."""

    source_files: list[ImportedFile]


class SourceFile(Struct, forbid_unknown_fields=True):
    """One kind of file; its columns are known as `field_prefix.header`."""

    pattern: str
    field_prefix: str | None = None


class Project(Struct, forbid_unknown_fields=True, rename={"from_": "from"}):
    """A new column by a script."""

    column: Name
    as_a: DataType
    from_: str
    when: str | None = None


class Merge(Struct, forbid_unknown_fields=True):
    """A new column: the first of these that has a value."""

    into: Name
    columns: Annotated[list[str], Meta(min_length=1)]


class Nets(Struct, forbid_unknown_fields=True):
    """Both sides have records, and their sums are the same without their signs."""

    column: str
    lhs: str
    rhs: str


class NetsWithTolerance(Nets, forbid_unknown_fields=True, kw_only=True):
    """…or differ by no more than this."""

    tol_type: ToleranceType
    tolerance: Decimal


class Custom(Struct, forbid_unknown_fields=True):
    """A script that answers true or false for the whole group."""

    script: str
    fields: list[str] | None = None
    available_fields: list[str] | None = None


class Constraint(Struct, forbid_unknown_fields=True):
    """Exactly one of them."""

    nets_to_zero: Nets | None = None
    nets_with_tolerance: NetsWithTolerance | None = None
    custom: Custom | None = None

    @property
    def nets(self) -> Nets | None:
        """What is netted, exactly or with a tolerance."""
        return self.nets_to_zero or self.nets_with_tolerance


class Group(Struct, forbid_unknown_fields=True):
    """One stage: records with the same values are a match when every constraint holds."""

    by: Annotated[list[str], Meta(min_length=1)]
    match_when: Annotated[list[Constraint], Meta(min_length=1)]


class Instruction(Struct, forbid_unknown_fields=True):
    """Exactly one of them."""

    project: Project | None = None
    merge: Merge | None = None
    group: Group | None = None


class Matching(Struct, forbid_unknown_fields=True):
    """Columns are made first, in order; then the groups, in order: each sees what those before it left."""

    source_files: Annotated[list[SourceFile], Meta(min_length=1)]
    use_field_prefixes: bool = True
    instructions: list[Instruction] | None = None
    group_size_limit: int = 1_000
    group_limit: int = 0


class Charter(Struct, forbid_unknown_fields=True):
    """A whole file."""

    name: str
    matching: Matching
    version: int = 0
    description: str | None = None
    debug: bool = False
    jetwash: Jetwash | None = None
    global_lua: str | None = None
    memory_limit: int = 0
    archive_files: bool = True

    @property
    def instructions(self) -> list[Instruction]:
        """In order."""
        return self.matching.instructions or []

    @property
    def group_lines_max(self) -> int:
        """Records in one group; more is a charter that forgot a column."""
        return self.matching.group_limit or self.matching.group_size_limit


def is_charter(rules: object) -> bool:
    """Charters have a section `matching`; Millrace's own rules have `sources`."""
    return isinstance(rules, dict) and "matching" in rules


def parse_charter(text: str) -> Charter:
    """Raises CharterFault."""
    try:
        sections = yaml.load(text, yaml.BaseLoader)  # texts alone, no objects  # nosec B506
        if not isinstance(sections, dict):
            raise CharterFault("there is no charter in it: name, matching.source_files and instructions are needed")
        charter = msgspec.convert(sections, Charter, strict=False)
    except yaml.YAMLError as error:
        raise CharterFault(f"not YAML: {error}") from error
    except msgspec.ValidationError as error:
        raise CharterFault(str(error)) from error
    _check(charter)
    return charter


def _check(charter: Charter) -> None:
    prefixes = [source.field_prefix for source in charter.matching.source_files if source.field_prefix]
    if prefixes and len(prefixes) != len(charter.matching.source_files):
        raise CharterFault("matching.source_files: give each of them a field_prefix, or none")
    if len(set(prefixes)) != len(prefixes) or "META" in prefixes:
        raise CharterFault("matching.source_files: field_prefix must be different for each, and not META")
    imported = charter.jetwash.source_files if charter.jetwash else []
    for pattern in (*(one.pattern for one in charter.matching.source_files), *(one.pattern for one in imported)):
        try:
            re.compile(pattern)
        except re.error as error:
            raise CharterFault(f"pattern {pattern!r}: {error}") from error
    for instruction in charter.instructions:
        _one_of(instruction, "instruction")
        for constraint in instruction.group.match_when if instruction.group else ():
            _one_of(constraint, "constraint of match_when")
            if (allowed := constraint.nets_with_tolerance) is not None and not 0 <= allowed.tolerance < math.inf:
                raise CharterFault(f"nets_with_tolerance of {allowed.column!r}: the tolerance must be 0 or more")
    for file in imported:
        for mapping in file.column_mappings or ():
            _one_of(mapping, "column mapping")


def _one_of(choice: Struct, what: str) -> None:
    chosen = [name for name, value in msgspec.structs.asdict(choice).items() if value is not None]
    if len(chosen) != 1:
        names = ", ".join(choice.__struct_fields__)
        raise CharterFault(f"each {what} is exactly one of {names}; found {', '.join(chosen) or 'none'}")
