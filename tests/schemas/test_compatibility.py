"""The compatibility check lets good evolutions pass and refuses each kind of bad one, in the direction it breaks."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from schemas import compatibility
from schemas.compatibility import PUBLIC_RECORDS, incompatibilities
from schemas.registry import RegisteredSchema, latest

Fields = list[dict[str, Any]]


def evolved(change: Callable[[Fields], object], version: int = 2) -> RegisteredSchema:
    """The Command record with its fields changed."""
    first = latest("Command")
    schema = first.parsed
    change(schema["fields"])
    return RegisteredSchema(99, first.record, version, json.dumps(schema))


def removed(fields: Fields) -> None:
    fields.pop()


def added_without_default(fields: Fields) -> None:
    fields.append({"name": "channel", "type": "string"})


def added_with_default(fields: Fields) -> None:
    fields.append({"name": "channel", "type": "string", "default": ""})


def new_symbol(fields: Fields) -> None:
    fields[0]["type"]["symbols"].append("refund")


def other_type(fields: Fields) -> None:
    fields[-1]["type"] = "long"


def other_size(fields: Fields) -> None:
    fields[1]["type"]["size"] = 20


def other_scale(fields: Fields) -> None:
    fields[3]["type"]["scale"] = 2


def other_words(fields: Fields) -> None:
    fields[0]["doc"] = "Said in another way."


@pytest.mark.parametrize(
    ("change", "old_reads_new", "new_reads_old"),
    [
        (other_words, True, True),
        (added_with_default, True, True),
        (removed, False, True),
        (added_without_default, True, False),
        (new_symbol, False, True),
        (other_type, False, False),
        (other_size, False, False),
        (other_scale, False, False),
    ],
)
def test_an_evolution_is_judged_in_both_directions(
    change: Callable[[Fields], object], old_reads_new: bool, new_reads_old: bool
) -> None:
    versions = [latest("Command"), evolved(change)]
    assert (not incompatibilities(versions, both_directions=False)) == new_reads_old
    assert (not incompatibilities(versions, both_directions=True)) == (old_reads_new and new_reads_old)


def test_every_pair_is_checked_and_not_neighbours_alone() -> None:
    def renamed(fields: Fields) -> None:
        fields[-1] |= {"name": "remark", "default": ""}

    without, again = evolved(removed, 2), evolved(renamed, 3)
    assert not incompatibilities([without, again], both_directions=True)
    assert any("version 1" in problem for problem in incompatibilities([latest("Command"), without, again], True))


def test_a_problem_names_record_versions_and_place() -> None:
    (problem,) = incompatibilities([latest("Command"), evolved(added_without_default)], both_directions=False)
    assert problem.startswith("Command: version 2 can't read version 1: ")
    assert "channel" in problem


def test_the_released_schemas_pass(capsys: pytest.CaptureFixture[str]) -> None:
    compatibility.main()
    assert "compatible" in capsys.readouterr().out
    assert "Command" in PUBLIC_RECORDS
    assert "LedgerRecord" not in PUBLIC_RECORDS


def test_a_bad_version_fails_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    versions = (latest("Command"), evolved(new_symbol))
    monkeypatch.setattr(compatibility, "registered", lambda: versions)
    with pytest.raises(SystemExit, match="version 1 can't read version 2"):
        compatibility.main()
