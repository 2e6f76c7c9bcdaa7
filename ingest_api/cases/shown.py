"""What analysts see of a payment that a rule holds, and what they send."""

from typing import Annotated, Final, Literal

import msgspec

from payments.risk.verdict import Hit, Verdict

CASE: Final = "cas"
"""Kind prefix of cases' ids; the rest is that of the payment."""


class CaseDecisionBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Approve the payment, or decline it: the payer has it back."""

    decision: Literal["approve", "decline"]


class RuleHit(msgspec.Struct, omit_defaults=True):
    """A rule whose condition held. `effect`: `active`, `shadow` or `exempted`; `failed`: it could not be evaluated."""

    rule: str
    verdict: str
    effect: str
    reason: str
    failed: bool = False


FeatureValue = Annotated[bool | int | str, msgspec.Meta(description="Amounts in minor units")]


class Findings(msgspec.Struct):
    """What limits and rules said of a payment. A feature that was 0, false or empty is left out."""

    verdict: str
    reasons: list[str]
    rule_set: int
    rules: list[RuleHit]
    features: dict[str, FeatureValue]


class Case(msgspec.Struct):
    """A payment that waits for people, or waited. `status`: `open`, `approved`, `declined` or `expired`."""

    id: str
    status: str
    payment: str
    from_account: str
    to_account: str
    amount: str
    amount_minor: int
    currency: str
    description: str
    approvals_needed: int
    approvals: int
    opened_at: str
    expires_at: str
    changed_at: str
    findings: Findings


class CasePage(msgspec.Struct):
    """Open cases, the oldest first. `next_cursor` leads on where `has_more`."""

    items: list[Case]
    has_more: bool
    next_cursor: str | None


RESOURCES: Final = (CaseDecisionBody, Case, CasePage)


def findings(verdict: Verdict, texts: dict[str, str]) -> Findings:
    """`texts`: the reasons of the rules by id."""
    return Findings(
        verdict.outcome.name.lower(),
        [str(reason) for reason in verdict.reasons],
        verdict.rule_set,
        [_hit(hit, texts.get(hit.rule, "")) for hit in verdict.hits],
        dict(verdict.features),
    )


def _hit(hit: Hit, text: str) -> RuleHit:
    return RuleHit(hit.rule, hit.outcome.name.lower(), hit.effect.name.lower(), text, hit.failed)
