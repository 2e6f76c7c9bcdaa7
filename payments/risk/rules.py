"""Rules: conditions in CEL, compiled once, over the features; the limits of tiers; all of one version.

Reads a document; gives a rule set that answers which rules hit on which values. The only file that knows the CEL
library (`common-expression-language`). The language is a part of CEL, so that a rule is deterministic and its cost
bounded by its length: integers, texts, true and false, features, operators, `in [..]`, startsWith, endsWith, contains.
There are no loops (all, exists, map …), no fractions, no regular expressions, no clock and no functions.

Every rule is tried, in the order of the document. Deny is stronger than review, review than allow. An allow rule does
nothing but set aside the review rules that it names; never a deny rule, never a limit. A shadow rule is recorded and
has no effect. A rule that fails (an overflow, a division by zero) asks for a review, an allow rule too.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from payments.risk.activity import Key
from payments.risk.document import Document, Problem, Problems, RuleText, read_document
from payments.risk.features import FEATURES, Feature, Value
from payments.risk.limits import NOTHING_ALLOWED, UNLIMITED, Limits, Tier
from payments.risk.verdict import Effect, Hit, Outcome

if TYPE_CHECKING:
    import cel  # where rules are met: its package loads a terminal program, 0.3 s of CPU of every process that starts

_LEXEME = re.compile(
    r"""\s+ | '[^'\\\n]*' | "[^"\\\n]*" | [0-9]+(?![.\w]) | \.(?:startsWith|endsWith|contains)\b
    | [A-Za-z_]\w*(?![\w'"]|\s*\() | && | \|\| | [=!<>]= | [-+*/%<>!()?:,\[\]]""",
    re.VERBOSE,
)
MAX_NESTING = 16
"""Open brackets: the library's parser takes 16 KB of stack for each, and a thread may have no more than 512 KB."""

_FAILURES = (RuntimeError, TypeError, ValueError, ArithmeticError)
"""What the library raises while it evaluates: undefined names, wrong types, overflow, division by zero."""

_SAMPLES: tuple[Mapping[type[Value], Value], ...] = ({bool: False, int: 0, str: ""}, {bool: True, int: 7, str: "EUR"})


class Rule(NamedTuple):
    """One compiled rule."""

    id: str
    outcome: Outcome
    is_shadow: bool
    reason: str
    exempts: frozenset[str]
    condition: "cel.Program"


@dataclass(frozen=True, slots=True)
class RuleSet:
    """Everything of risk that the operator decides, of one version."""

    version: int
    rules: tuple[Rule, ...] = ()
    tiers: Mapping[Tier, Mapping[str, Limits]] = field(default_factory=dict)
    reporting_thresholds_minor: Mapping[str, int] = field(default_factory=dict)
    reads: tuple[Feature, ...] = ()
    """The features that its rules read, in the order of their positions."""
    spans: tuple[Key, ...] = ()
    """The kinds of keys whose features over all accounts its rules read."""

    def tier_limits(self, tier: Tier, currency: str) -> Limits:
        """What the tier may pay. Where there are tiers, one or a currency that is not among them may pay nothing."""
        if not self.tiers:
            return UNLIMITED
        return self.tiers.get(tier, {}).get(currency, NOTHING_ALLOWED)

    def hits(self, values: Mapping[str, Value]) -> tuple[Hit, ...]:
        """The rules that hit on these values of all features that the rules read, in order."""
        if not self.rules:
            return ()
        import cel

        context = cel.Context(variables=dict(values))
        hits = [hit for rule in self.rules if (hit := _tried(rule, context)) is not None]
        exempted = self._exempted(hits)
        return tuple([_set_aside(hit) if hit.rule in exempted else hit for hit in hits])

    def _exempted(self, hits: list[Hit]) -> frozenset[str]:
        allowing = {hit.rule for hit in hits if hit.outcome is Outcome.ALLOW and hit.effect is Effect.ACTIVE}
        if not allowing:
            return _NONE
        return _NONE.union(*(rule.exempts for rule in self.rules if rule.id in allowing))

    @property
    def reasons(self) -> dict[str, str]:
        """Reason texts by id of the rule, for people who decide a case."""
        return {rule.id: rule.reason for rule in self.rules}


_NONE: frozenset[str] = frozenset()

NO_RULES = RuleSet(0)
"""Before the operator publishes a rule set."""


def parse(text: str) -> RuleSet | Problems:
    """The rule set that a YAML document is, or everything that keeps it from being one."""
    document = read_document(text)
    if isinstance(document, list):
        return document
    rules, problems = [], _name_problems(document)
    for rule, line in zip(document.rules, document.line_of_rule, strict=True):
        condition = _compiled(rule.when)
        if isinstance(condition, str):
            problems.append(Problem(line, rule.id, condition))
        else:
            rules.append(_rule(rule, condition))
    if problems:
        return sorted(problems)
    names = {name for rule in rules for name in rule.condition.variables()}
    reads = tuple(sorted(FEATURES[name] for name in names))
    spans = tuple(sorted({feature.of for feature in reads if feature.of}))  # an account's own are 0
    thresholds_minor = document.reporting_thresholds_minor
    return RuleSet(document.version, tuple(rules), document.tiers, thresholds_minor, reads, spans)


def _tried(rule: Rule, context: "cel.Context") -> Hit | None:
    effect = Effect.SHADOW if rule.is_shadow else Effect.ACTIVE
    try:
        holds = rule.condition.execute(context)
    except _FAILURES:
        holds = None
    if isinstance(holds, bool):
        return Hit(rule.id, rule.outcome, effect) if holds else None
    return Hit(rule.id, Outcome.REVIEW, effect, failed=True)


def _set_aside(hit: Hit) -> Hit:
    return hit._replace(effect=Effect.EXEMPTED) if hit.effect is Effect.ACTIVE else hit


def _rule(rule: RuleText, condition: "cel.Program") -> Rule:
    outcome = Outcome[rule.verdict.upper()]
    return Rule(rule.id, outcome, rule.mode == "shadow", rule.reason, frozenset(rule.exempts), condition)


def _name_problems(document: Document) -> Problems:
    """Ids that stand twice, and exemptions that exempt nothing or too much."""
    verdicts = {rule.id: rule.verdict for rule in document.rules}
    problems, seen = [], set()
    for rule, line in zip(document.rules, document.line_of_rule, strict=True):
        complaints = ["another rule has this id: name one of them otherwise"] if rule.id in seen else []
        complaints += _exemption_problems(rule, verdicts)
        problems += [Problem(line, rule.id, complaint) for complaint in complaints]
        seen.add(rule.id)
    return problems


def _exemption_problems(rule: RuleText, verdicts: Mapping[str, str]) -> Iterator[str]:
    if rule.verdict != "allow" and rule.exempts:
        yield "only an allow rule may have `exempts`"
    elif rule.verdict == "allow" and not rule.exempts:
        yield "allows nothing: name the review rules that it sets aside in `exempts`, or leave it out"
    for name in rule.exempts:
        if verdicts.get(name) != "review":
            yield f"exempts {name!r}, which is no review rule of this document"


def _compiled(condition: str) -> "cel.Program | str":
    """The compiled condition, or what to change in it."""
    import cel

    foreign = _foreign(condition)
    if foreign:
        return foreign
    try:
        program = cel.compile(condition)
    except ValueError as error:
        return f"`when` does not compile: {str(error).splitlines()[0]}"
    unknown = sorted(set(program.variables()) - FEATURES.keys())
    if unknown:
        return f"`when` reads {', '.join(unknown)}, which no payment has: docs/risk.md lists the features"
    return _probed(program) or program


def _foreign(condition: str) -> str | None:
    """What of the condition is outside the language of rules."""
    at = nesting = 0
    while at < len(condition):
        lexeme = _LEXEME.match(condition, at)
        if lexeme is None:
            return (
                f"`when`, character {at + 1}: {condition[at : at + 20]!r} is not in the language of rules: whole"
                " numbers (minor units), texts, features, operators, `in [..]`, .startsWith, .endsWith and .contains"
            )
        nesting += (lexeme[0] in "([") - (lexeme[0] in ")]")
        if nesting > MAX_NESTING:
            return f"`when`, character {at + 1}: more than {MAX_NESTING} brackets are open: make two rules of it"
        at = lexeme.end()
    return None


def _probed(program: "cel.Program") -> str | None:
    """What goes wrong when it is evaluated; arithmetic that fails on made-up values may be right on others."""
    for sample in _SAMPLES:
        try:
            found = program.execute({name: sample[FEATURES[name].type] for name in program.variables()})
        except ArithmeticError:
            continue
        except _FAILURES as error:
            return f"`when` cannot be evaluated: {str(error).partition('. ')[0]}"
        if not isinstance(found, bool):
            return f"`when` gives {found!r} and not true or false: compare it with something"
    return None
