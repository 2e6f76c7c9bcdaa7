"""What people decide about: quarantine, reviews, screening, the audit log."""

from typing import Any

import msgspec

from millrace.client.models.model import Model
from millrace.client.models.money import Position


class QuarantinedCommand(Model, kw_only=True):
    """What a record asks for. Fields that can't be read are left out."""

    kind: str
    payer: str
    payee: str
    amount_minor: int
    currency: str
    idempotency_key: str | None = None
    description: str | None = None
    payment_id: str | None = None


class QuarantineCase(Model, kw_only=True):
    """One record, or one item of a packed record, that could not be decided. Its id is its origin."""

    id: str
    status: str
    reason: str
    detail: str
    topic: str
    partition: int
    offset: int
    item: int
    received_at: str
    value_bytes: int
    resolved_by: str | None = None
    because: str | None = None
    claimed_at: str | None = None
    resolved_at: str | None = None
    redriven_to: Position | None = None


class QuarantineCaseDetail(QuarantineCase, kw_only=True):
    """A case looked into: its bytes, what is wrong with them and what to do."""

    redrivable: bool
    wrong: str
    advice: str
    value_base64: str
    key_base64: str | None = None
    commands: list[QuarantinedCommand] | None = None


class Difference(Model, kw_only=True):
    """Where the log is not what was written. `position`: in the chain."""

    what: str
    position: int | None = None
    entry: str | None = None


class Verification(Model, kw_only=True):
    """What was found. `verified`: entries of the chain that were looked at, up to `head_position`."""

    ok: bool
    verified: int
    head_position: int
    head_hash: str
    unsealed: int
    differences: list[Difference]
    differences_found: int


class AuditEntry(Model, kw_only=True):
    """Who did what. `position` and `hash`: its place in the chain, within a second."""

    id: str
    at: str
    action: str
    request_id: str
    actor: str | None = None
    credential: str | None = None
    object: str | None = None
    before: dict[str, Any] | None = None
    after: dict[str, Any] | None = None
    position: int | None = None
    previous_hash: str | None = None
    hash: str | None = None


class AuditVerification(Model, kw_only=True):
    """What was found, and the signed head where all is well. `next_after` leads on where `has_more`."""

    result: Verification
    head: str | None = None
    has_more: bool
    next_after: int | None = None


class RuleHit(Model, kw_only=True):
    """A rule whose condition held. `effect`: `active`, `shadow` or `exempted`; `failed`: it could not be evaluated."""

    rule: str
    verdict: str
    effect: str
    reason: str
    failed: bool | None = None


class Findings(Model, kw_only=True):
    """What limits and rules said of a payment. A feature that was 0, false or empty is left out."""

    verdict: str
    reasons: list[str]
    rule_set: int
    rules: list[RuleHit]
    features: dict[str, Any]


class ReviewCase(Model, kw_only=True):
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


class ProposedEnd(Model, kw_only=True):
    """What people have found out. `settled_by`: how many of them; two settle it. `contradiction`: what the provider has
    said since, where that is something else.
    """

    outcome: str
    provider_reference: str
    settled_by: int
    contradiction: str | None = None


class ProviderAttempt(Model, kw_only=True):
    """A request to a provider. `status`: `executing`, `unknown` or `lost` (people have to find out), or `ended`.
    `outcome`: the provider's last word. `account`: the seller's, or the one that is paid out.
    """

    id: str
    status: str
    operation: str
    provider: str
    outcome: str
    attempts: int
    account: str
    amount: str
    amount_minor: int
    currency: str
    opened_at: str
    changed_at: str
    payment_order_id: str | None = None
    provider_reference: str | None = None
    settlement: ProposedEnd | None = None


class RiskVerdict(Model, kw_only=True):
    """`allow`, `review` or `deny`; without `verdict` it is not decided yet. `findings` are for analysts alone."""

    verdict: str | None = None
    code: str | None = None
    decided_at: str | None = None
    findings: Findings | None = None


class Party(Model, kw_only=True):
    """Who is screened. `status`: `clear`, `waiting_for_verification` or `true_match`; but for `clear` the user's
    accounts give no money. `screened_version`: the newest list that the names were compared with.
    """

    id: str
    user: str
    type: str
    names: list[str]
    status: str
    screened_version: int | None = None


class ListDifference(Model, kw_only=True):
    """What differs from the listed name, with the listed word, and what it costs of the score."""

    difference: str
    listed: str
    cost: str


class HitDecision(Model, kw_only=True):
    """What somebody has decided."""

    decision: str
    reason: str
    by: str
    at: str


class ScreeningHit(Model, kw_only=True):
    """An entry of a list that a party may be. `names` are the party's, `listed_name` and what follows the entry's."""

    id: str
    status: str
    party: str
    user: str
    names: list[str]
    list_name: str = msgspec.field(name="list")
    uid: str
    listed_name: str
    listed_aliases: list[str]
    birth_dates: list[str]
    countries: list[str]
    programmes: list[str]
    verdict: str
    score: str
    differences: list[ListDifference]
    found_at: str
    decisions: list[HitDecision]
