"""A rule set as its author writes it: a YAML document, its form checked, every complaint with its line.

Reads text; gives a typed document whose amounts are minor units, or what is wrong with it. What a condition says is
checked in rules.py. Every scalar is read as text first, so that `NO` is a country and 150.00 an exact amount.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Annotated, Literal, NamedTuple

import msgspec
import yaml

from payments.money import EXPONENTS, AmountProblem, to_minor
from payments.risk.limits import NO_LIMIT, Limits, Tier

MAX_RULES = 64
"""64 rules × 10 µs = 640 µs: the most that they may add to a payment."""

MAX_CONDITION_CHARS = 1_000
MAX_DOCUMENT_CHARS = 128 * 1_024
"""64 rules of 1,000 + 200 characters are 77 thousand; the rest is for tiers, keys and comments."""


class Problem(NamedTuple):
    """What keeps a text from being a rule set. `line` counts from 1; `rule` is empty outside the rules."""

    line: int
    rule: str
    message: str

    def __str__(self) -> str:
        return f"line {self.line}: " + (f"rule {self.rule}: " if self.rule else "") + self.message


Problems = list[Problem]

_Amount = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,15}(\.[0-9]{1,4})?\Z")]
_Currency = Annotated[str, msgspec.Meta(pattern=r"^[A-Z]{3}\Z")]
_RuleId = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,39}\Z")]


class RuleText(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One rule; its condition is not compiled yet."""

    id: _RuleId
    when: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_CONDITION_CHARS)]
    verdict: Literal["allow", "review", "deny"]
    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    mode: Literal["active", "shadow"] = "active"
    exempts: tuple[str, ...] = ()


class _LimitsText(msgspec.Struct, forbid_unknown_fields=True):
    per_transaction: _Amount | None = None
    daily: _Amount | None = None
    monthly: _Amount | None = None


class _DocumentText(msgspec.Struct, forbid_unknown_fields=True):
    version: Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]
    rules: Annotated[tuple[RuleText, ...], msgspec.Meta(max_length=MAX_RULES)]
    tiers: dict[Literal["unverified", "basic", "verified", "enhanced"], dict[_Currency, _LimitsText]] = {}
    reporting_thresholds: dict[_Currency, _Amount] = {}


class Document(NamedTuple):
    """A rule set whose form is right; `line_of_rule` by place in `rules`."""

    version: int
    rules: tuple[RuleText, ...]
    line_of_rule: tuple[int, ...]
    tiers: Mapping[Tier, Mapping[str, Limits]]
    reporting_thresholds_minor: Mapping[str, int]


class _Loader(yaml.BaseLoader):
    """Refuses what an escape can say and UTF-8 cannot."""

    def construct_scalar(self, node: yaml.ScalarNode) -> str:
        text: str = super().construct_scalar(node)
        if any("\ud800" <= character <= "\udfff" for character in text):
            raise yaml.constructor.ConstructorError(None, None, "found half a character", node.start_mark)
        return text


def read_document(text: str) -> Document | Problems:
    """The document, or what is wrong with its form."""
    if len(text) > MAX_DOCUMENT_CHARS:
        return [
            Problem(1, "", f"{len(text):,} characters, at most {MAX_DOCUMENT_CHARS:,}: leave out what is not needed")
        ]
    try:
        loader = _Loader(text)
        root = loader.get_single_node()
        plain = None if root is None else loader.construct_document(root)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        return [Problem(mark.line + 1 if mark else 1, "", f"this is no YAML: {error.problem}")]
    except (yaml.YAMLError, RecursionError, ValueError, OverflowError) as error:  # the last two: numbers in escapes
        return [Problem(1, "", f"this is no YAML: {error}")]
    places = _Places(root)
    try:
        return places.repeated_keys() or _document(msgspec.convert(plain, _DocumentText, strict=False), places)
    except msgspec.ValidationError as error:
        return [places.problem(*_place_and_message(str(error)))]


def _document(written: _DocumentText, places: "_Places") -> Document | Problems:
    amounts = _Amounts(places)
    tiers = {
        Tier[name.upper()]: {
            currency: Limits(*amounts.minor(msgspec.structs.asdict(limits), currency, "tiers", name, currency))
            for currency, limits in by_currency.items()
        }
        for name, by_currency in written.tiers.items()
    }
    thresholds = {
        currency: next(amounts.minor({currency: amount}, currency, "reporting_thresholds"))
        for currency, amount in written.reporting_thresholds.items()
    }
    lines = tuple(places.line(("rules", index)) for index in range(len(written.rules)))
    return amounts.problems or Document(written.version, written.rules, lines, tiers, thresholds)


class _Amounts:
    """Decimal texts as minor units; what is wrong with them is gathered."""

    def __init__(self, places: "_Places") -> None:
        self.problems: Problems = []
        self._places = places

    def minor(self, named: Mapping[str, str | None], currency: str, *path: str) -> Iterator[int]:
        """Of each amount under this path; NO_LIMIT where there is none."""
        if currency not in EXPONENTS:
            self._refuse(path, f"{currency} is no currency that is paid in (ISO 4217)")
        for name, amount in named.items():
            found = to_minor(Decimal(amount), currency) if amount and Decimal(amount) else 0
            if isinstance(found, AmountProblem) and currency in EXPONENTS:
                self._refuse((*path, name), f"{amount} {currency}: {found.value}")
            yield NO_LIMIT if amount is None or isinstance(found, AmountProblem) else found

    def _refuse(self, path: Sequence[str], message: str) -> None:
        self.problems.append(self._places.problem(path, message))


def _place_and_message(complaint: str) -> tuple[Sequence[str | int], str]:
    """ "Expected `int` - at `$.rules[0].id`" → (("rules", 0, "id"), "Expected `int` at rules[0].id")."""
    message, _, place = complaint.partition(" - at ")
    path = [int(index) if index else name for name, index in _STEP.findall(place)]
    shown = f"{message} at {place.replace('`', '').replace('$.', '')}" if path else message
    hint = _HINTS.get(path[-1]) if path else None
    return path, f"{shown}: {hint}" if hint else shown


_AMOUNT_HINT = "an amount is written with digits and a point, such as 150.00"
_HINTS: Mapping[str | int, str] = {
    "id": "lower-case letters, digits and hyphens, at most 40",
    "verdict": "allow, review or deny",
    "mode": "active or shadow",
    "when": f"a condition of at most {MAX_CONDITION_CHARS:,} characters",
    "reporting_thresholds": _AMOUNT_HINT,
    **dict.fromkeys(_LimitsText.__struct_fields__, _AMOUNT_HINT),
}
_STEP = re.compile(r"\.(\w+)|\[(\d+)\]")


class _Places:
    """Where the parts of a document stand in its text."""

    def __init__(self, root: yaml.Node | None) -> None:
        self._root = root

    def line(self, path: Sequence[str | int]) -> int:
        """Line of the part at this path, or of the last one on the way that exists."""
        node = self._root
        for step in path:
            node = _child(node, step) or node
        return node.start_mark.line + 1 if node is not None else 1

    def problem(self, path: Sequence[str | int], message: str) -> Problem:
        """A complaint about the part at this path."""
        return Problem(self.line(path), self._rule(path), message)

    def repeated_keys(self) -> Problems:
        """Keys that stand twice in one mapping, of which YAML would keep the last."""
        found: Problems = []
        for mapping in self._mappings():
            seen = set[str]()
            for key, _ in mapping.value:
                if key.value in seen:
                    found.append(Problem(key.start_mark.line + 1, "", f"`{key.value}` stands here twice: keep one"))
                seen.add(key.value)
        return found

    def _rule(self, path: Sequence[str | int]) -> str:
        if list(path[:1]) != ["rules"] or len(path) < 2:
            return ""
        name = _child(_child(_child(self._root, "rules"), path[1]), "id")
        return name.value if isinstance(name, yaml.ScalarNode) else f"#{int(path[1]) + 1}"

    def _mappings(self) -> Iterator[yaml.MappingNode]:
        waiting, seen = [self._root], set()
        while waiting:
            node = waiting.pop()
            if not isinstance(node, yaml.CollectionNode) or id(node) in seen:
                continue
            seen.add(id(node))
            if isinstance(node, yaml.MappingNode):
                yield node
                waiting += [value for _, value in node.value]
            else:
                waiting += node.value


def _child(node: yaml.Node | None, step: str | int) -> yaml.Node | None:
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int):
        return node.value[step] if step < len(node.value) else None
    if isinstance(node, yaml.MappingNode):
        return next((value for key, value in node.value if key.value == step), None)
    return None
