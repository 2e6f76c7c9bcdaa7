"""What operators see of a request that its provider leaves open, and what they send."""

from typing import Annotated, Final, Literal

import msgspec

from schemas.codec.connectors import MAX_REFERENCE_CHARS

ATTEMPT: Final = "att"
"""Kind prefix of requests' ids; the rest is that of the payment order, refund or payout."""

EndText = Literal["succeeded", "failed"]


class AttemptSettlementBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What became of it, as the provider's own records say. `provider_reference`: of what it has made, where it has
    succeeded and named nothing before.
    """

    outcome: EndText
    provider_reference: Annotated[str, msgspec.Meta(extra_json_schema={"maxLength": MAX_REFERENCE_CHARS})] = ""


class ProposedEnd(msgspec.Struct, omit_defaults=True):
    """What people have found out. `settled_by`: how many of them; two settle it. `contradiction`: what the provider has
    said since, where that is something else.
    """

    outcome: str
    provider_reference: str
    settled_by: int
    contradiction: str | None = None


class ProviderAttempt(msgspec.Struct, omit_defaults=True):
    """A request to a provider. `status`: `executing` while it is asked about; `unknown` when nobody asks any more and
    people have to; `lost` when nothing was heard of it for 7 days, and people may; `ended`. `outcome`: the provider's
    last word. `account`: the seller's, or the one that is paid out.
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


class ProviderAttemptPage(msgspec.Struct):
    """Those that people have to find out, the oldest first. `next_cursor` leads on where `has_more`."""

    items: list[ProviderAttempt]
    has_more: bool
    next_cursor: str | None


RESOURCES: Final = (AttemptSettlementBody, ProviderAttempt, ProviderAttemptPage)
