"""What callers send and see of aliases. The name of a person goes out to who may read it, and nowhere else."""

from typing import Annotated, Literal
from uuid import UUID

import msgspec

from ingest_api.aliases.parties import USER
from ingest_api.aliases.register import Alias, field_of
from ingest_api.http.bodies import AccountText
from ingest_api.http.resources import account_text, rfc3339
from ingest_api.reads.cursor import Cursor, encode_cursor
from payments.identifiers import format_id
from runtime.personal_data.normal_forms import TEXT_CHARS_MAX
from runtime.personal_data.personal import Personal

UserText = Annotated[str, msgspec.Meta(extra_json_schema={"pattern": "^usr_[0-7][0-9a-hjkmnp-tv-z]{25}$"})]
KindText = Literal["user", "phone", "email", "bank_account"]
ValueText = Annotated[
    str,
    msgspec.Meta(
        description="As people write it; case, spaces and hyphens don't matter",
        extra_json_schema={"maxLength": TEXT_CHARS_MAX, "examples": ["anna@example.com"]},
    ),
]


class AliasBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Let a name of a user stand for an account. `verified`: the caller has seen that the name is the user's."""

    user: UserText
    type: KindText
    value: ValueText
    account: AccountText
    verified: bool = False


class AliasResource(msgspec.Struct, omit_defaults=True):
    """A name for an account. Money is sent to it while it is `verified`; from `valid_to` on it stands for nothing, and
    `value` is forgotten.
    """

    id: str
    user: str
    type: str
    account: str
    currency: str
    verified: bool
    valid_from: str
    valid_to: str | None = None
    value: str | None = None


class AliasPage(msgspec.Struct):
    """Aliases, the latest first. `next_cursor` leads on where `has_more`."""

    items: list[AliasResource]
    has_more: bool
    next_cursor: str | None


RESOURCES: tuple[type, ...] = (AliasBody, AliasResource, AliasPage)


def shown(alias: Alias, value: Personal | None) -> AliasResource:
    """One alias."""
    return AliasResource(
        field_of(alias.alias),
        format_id(USER, alias.subject),
        alias.kind,
        account_text(alias.account),
        alias.currency,
        alias.verified,
        rfc3339(alias.valid_from),
        rfc3339(alias.valid_to) if alias.valid_to else None,
        value.reveal() if value else None,
    )


def shown_page(found: list[tuple[Alias, Personal | None]], limit: int) -> AliasPage:
    """Up to `limit` of them; one more than that says that there are more."""
    has_more = len(found) > limit
    last = found[:limit][-1][0] if has_more else None
    cursor = encode_cursor(Cursor(last.valid_from, UUID(bytes=last.alias))) if last else None
    return AliasPage([shown(*one) for one in found[:limit]], has_more, cursor)
