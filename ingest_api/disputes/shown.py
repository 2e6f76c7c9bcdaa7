"""What may be sent about disputes and receivables, and what they look like."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec

from ingest_api.http.bodies import AmountText, Description, LimitText
from ingest_api.http.resources import account_text, rfc3339
from ingest_api.identity.tokens import Principal
from ingest_api.owners.rights import Action, by_scope
from payments.entries import EntryKind
from payments.identifiers import DISPUTE, PAYMENT, RECEIVABLE, format_id
from payments.money import format_minor


class DisputeBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Contest a payment, by its id or its payment_order_id; without `amount` the whole of it. What the network charges
    the merchant for it (`fee`), what the provider through which it was paid keeps for it (`provider_fee`), and whether
    the customer is credited at once (`provisional`), is for operators to say.
    """

    payment: str
    amount: AmountText = msgspec.field(default_factory=msgspec.Raw)
    fee: LimitText = msgspec.field(default_factory=lambda: msgspec.Raw(b"0"))
    provider_fee: LimitText = msgspec.field(default_factory=lambda: msgspec.Raw(b"0"))
    provisional: bool = False
    description: Description = ""


class EvidenceBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Hand in evidence: a document that is kept elsewhere, named by its SHA-256."""

    sha256: Annotated[str, msgspec.Meta(extra_json_schema={"pattern": "^[0-9a-f]{64}$"})]


class ResolutionBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """How it ended, for the merchant."""

    outcome: Literal["won", "lost"]


class RecoveryBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Pay part or all of a debt from what its account has available."""

    amount: AmountText


class Evidence(msgspec.Struct):
    """A document, by its hash, and when it was handed in."""

    sha256: str
    at: str


class Dispute(msgspec.Struct):
    """A payment that its payer contests. While it is `open` the amount lies with neither side. `won` and `lost` are the
    merchant's; `owed` is what the merchant did not have, and owes. `provider_fee` is shown to operators alone.
    """

    id: str
    status: Literal["received", "open", "won", "lost"]
    payment_id: str
    merchant_account: str
    customer_account: str
    amount: str
    amount_minor: int
    fee: str
    fee_minor: int
    currency: str
    provisional: bool
    description: str
    receivable_id: str | None = None
    owed: str | None = None
    owed_minor: int | None = None
    opened_at: str | None = None
    resolved_at: str | None = None
    evidence: list[Evidence] | None = None
    provider_fee: str | None = None
    provider_fee_minor: int | None = None


class DisputePage(msgspec.Struct):
    """Disputes, newest first. `next_cursor` leads on where `has_more`."""

    items: list[Dispute]
    has_more: bool
    next_cursor: str | None


class Receivable(msgspec.Struct):
    """What an account owes, because an involuntary debit found too little."""

    id: str
    status: Literal["open", "recovered", "written_off"]
    account: str
    owed: str
    owed_minor: int
    currency: str
    opened_at: str
    changed_at: str


class ReceivablePage(msgspec.Struct):
    """Receivables, newest first. `next_cursor` leads on where `has_more`."""

    items: list[Receivable]
    has_more: bool
    next_cursor: str | None


RESOURCES: tuple[type, ...] = (
    DisputeBody,
    EvidenceBody,
    ResolutionBody,
    RecoveryBody,
    Dispute,
    DisputePage,
    Receivable,
    ReceivablePage,
)


def shown_dispute(row: Mapping[str, Any], evidence: list[Evidence] | None = None) -> Dispute:
    """A dispute of a row of reads.DISPUTES."""
    currency, owed_minor, kept_minor = row["currency"], row["owed_minor"], row["provider_fee_minor"]
    return Dispute(
        id=format_id(DISPUTE, row["dispute_id"].bytes),
        status="open" if row["is_open"] else row["outcome"],
        payment_id=row["payment_order_id"] or format_id(PAYMENT, row["payment_id"].bytes),
        merchant_account=account_text(row["merchant"].bytes),
        customer_account=account_text(row["customer"].bytes),
        amount=format_minor(row["amount_minor"], currency),
        amount_minor=row["amount_minor"],
        fee=format_minor(row["fee_minor"], currency),
        fee_minor=row["fee_minor"],
        currency=currency,
        provisional=row["is_provisional"],
        description=row["description"] or "",
        receivable_id=format_id(RECEIVABLE, row["dispute_id"].bytes) if owed_minor else None,
        owed=format_minor(owed_minor, currency) if owed_minor else None,
        owed_minor=owed_minor or None,
        opened_at=rfc3339(row["opened_at"]),
        resolved_at=rfc3339(row["resolved_at"]) if row["resolved_at"] else None,
        evidence=evidence,
        provider_fee=format_minor(kept_minor, currency) if kept_minor else None,
        provider_fee_minor=kept_minor or None,
    )


def seen_by(principal: Principal, dispute: Dispute) -> Dispute:
    """The dispute as the principal may see it: what a provider keeps is the operator's own cost."""
    if by_scope(principal.scopes, Action.OPERATE):
        return dispute
    return msgspec.structs.replace(dispute, provider_fee=None, provider_fee_minor=None)


def shown_receivable(row: Mapping[str, Any]) -> Receivable:
    """A debt of a row of reads.RECEIVABLES."""
    ended: Literal["recovered", "written_off"] = (
        "written_off" if row["last_kind"] == EntryKind.JOURNAL_POSTED else "recovered"
    )
    return Receivable(
        id=format_id(RECEIVABLE, row["receivable_id"].bytes),
        status="open" if row["is_open"] else ended,
        account=account_text(row["account_id"].bytes),
        owed=format_minor(row["amount_minor"], row["currency"]),
        owed_minor=row["amount_minor"],
        currency=row["currency"],
        opened_at=rfc3339(row["opened_at"]),
        changed_at=rfc3339(row["changed_at"]),
    )
