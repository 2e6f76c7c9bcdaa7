"""What the stages that share notices agree on: kinds, channels, words of status, preferences and their defaults.

ingest_api/preferences keeps what users choose, sealed among their personal values; connectors/notifications reads it.
"""

import base64
import binascii
import hashlib
import hmac
from enum import StrEnum
from typing import Final, NamedTuple

import msgspec

NOTICE: Final = "ntc"
DEVICE: Final = "dev"
"""Kinds of ids."""

EMAIL_FIELD: Final = "user.email"
PHONE_FIELD: Final = "user.phone"
PREFERENCES_FIELD: Final = "notification.preferences"
DEVICE_FIELD: Final = "notification.device."
"""Names of personal values; that of a device ends in its id, and holds the token that its provider knows it by."""

_BEFORE: Final = ".before."
PREVIOUS_MAX: Final = 10
"""Addresses, or numbers, of before that are kept of a user until each was told of the change: the first ones."""

DEVICES_MAX: Final = 10
LANGUAGES: Final = ("en", "de")


class Channel(StrEnum):
    """How somebody is told."""

    EMAIL = "email"
    SMS = "sms"
    PUSH = "push"


def previous_contacts(field: str) -> str:
    """Of an address or number (EMAIL_FIELD, PHONE_FIELD), how the names of those of before begin."""
    return field + _BEFORE


def channel_of_previous(name: str) -> Channel | None:
    """How who has a contact of before is told; None for another name."""
    field = name.partition(_BEFORE)[0] if _BEFORE in name else ""
    return {EMAIL_FIELD: Channel.EMAIL, PHONE_FIELD: Channel.SMS}.get(field)


class Mode(StrEnum):
    """When a channel tells of a kind."""

    NOW = "now"
    DAILY = "daily"
    """In the summary of the day. By e-mail alone."""
    OFF = "off"


class NoticeKind(StrEnum):
    """What somebody may be told of."""

    PAYMENT_RECEIVED = "payment_received"
    PAYMENT_SENT = "payment_sent"
    PAYMENT_IN_REVIEW = "payment_in_review"
    PAYMENT_FAILED = "payment_failed"
    DEPOSIT_RETURNED = "deposit_returned"
    DISPUTE_OPENED = "dispute_opened"
    DISPUTE_DECIDED = "dispute_decided"
    PAYOUT_SENT = "payout_sent"
    PAYOUT_FAILED = "payout_failed"
    ACCOUNT_CHANGED = "account_changed"
    PASSWORD_CHANGED = "password_changed"
    SECOND_FACTOR_CHANGED = "second_factor_changed"
    LOGIN_COPIED = "login_copied"
    ROLES_CHANGED = "roles_changed"
    CONTACT_CHANGED = "contact_changed"
    API_KEY_CREATED = "api_key_created"
    BANK_ACCOUNT_CHANGED = "bank_account_changed"
    DAILY_SUMMARY = "daily_summary"
    """Made of those that wait for it; nobody chooses it."""


SECURITY: Final = frozenset(
    {
        NoticeKind.PASSWORD_CHANGED,
        NoticeKind.SECOND_FACTOR_CHANGED,
        NoticeKind.LOGIN_COPIED,
        NoticeKind.ROLES_CHANGED,
        NoticeKind.CONTACT_CHANGED,
        NoticeKind.API_KEY_CREATED,
        NoticeKind.BANK_ACCOUNT_CHANGED,
    }
)
"""Whoever took over a login would switch these off first: they come by e-mail at once, whatever was chosen."""

CHOOSABLE: Final = tuple(kind for kind in NoticeKind if kind is not NoticeKind.DAILY_SUMMARY)
_QUIETLY: Final = {NoticeKind.PAYMENT_RECEIVED: Mode.DAILY, NoticeKind.PAYMENT_SENT: Mode.OFF}
"""E-mails about what happens every day."""


class NoticeStatus(StrEnum):
    """Where a notice stands."""

    PENDING = "pending"
    COLLECTED = "collected"
    """Waits for the summary."""
    SUMMARISED = "summarised"
    DELIVERED = "delivered"
    """Its provider has taken it."""
    FAILED = "failed"
    """Given up: the dead letters, for an operator."""
    WITHHELD = "withheld"
    """There is no address any more, or the user has no part in the account any more."""


class Preferences(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a user has chosen. Times are HH:MM of the zone's wall clock; equal ones mean no quiet hours."""

    language: str = LANGUAGES[0]
    zone: str = "UTC"
    quiet_from: str = "00:00"
    quiet_until: str = "00:00"
    summary_at: str = "08:00"
    choices: dict[str, dict[str, str]] = {}
    """Kind → channel → mode, as far as it is not the default."""

    def mode(self, kind: NoticeKind, channel: Channel) -> Mode:
        """When this channel tells of this kind."""
        if channel is Channel.EMAIL and kind in SECURITY:
            return Mode.NOW
        chosen = self.choices.get(kind, {}).get(channel)
        return Mode(chosen) if chosen is not None else default_mode(kind, channel)


def default_mode(kind: NoticeKind, channel: Channel) -> Mode:
    """Where nothing was chosen: a text message costs money, so none."""
    if channel is Channel.SMS:
        return Mode.OFF
    return Mode.NOW if channel is Channel.PUSH else _QUIETLY.get(kind, Mode.NOW)


DECODE_PREFERENCES: Final = msgspec.json.Decoder(Preferences).decode


class Unsubscribing(NamedTuple):
    """Whose e-mails of which kind are not wanted any more."""

    user: bytes
    kind: NoticeKind


_MAC_BYTES: Final = 16


def unsubscribe_token(key: bytes, unsubscribing: Unsubscribing) -> str:
    """What a link in an e-mail carries: it allows this one thing, without a login (RFC 8058)."""
    said = unsubscribing.user + unsubscribing.kind.encode()
    return base64.urlsafe_b64encode(_mac(key, said) + said).rstrip(b"=").decode()


def read_unsubscribe_token(key: bytes, text: str) -> Unsubscribing | None:
    """What such a token allows; None for a text that is none of ours."""
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        mac, said = raw[:_MAC_BYTES], raw[_MAC_BYTES:]
        if not hmac.compare_digest(mac, _mac(key, said)):
            return None
        return Unsubscribing(said[:16], NoticeKind(said[16:].decode()))
    except (ValueError, binascii.Error):
        return None


def _mac(key: bytes, said: bytes) -> bytes:
    return hmac.digest(key, b"unsubscribe\0" + said, hashlib.sha256)[:_MAC_BYTES]
