"""The inbox of providers' events: who may have signed them, and the table that keeps each once."""

from pathlib import Path
from typing import Any, Final

import msgspec
import stripe

from ingest_api.problems import Fault, Problem
from ingest_api.reads.database import Database
from ingest_api.reads.migrated import MigratedDatabase
from runtime.settings import Settings
from schemas.tables.psp_events import REQUEST_ID

PACKAGE: Final = "ingest_api.psp_webhooks"
STRIPE: Final = "stripe"
TOLERANCE_S: Final = 300
"""Age of a signature, as Stripe's own libraries have it: what is recorded and sent again later is refused."""

ENDINGS: Final = frozenset(
    {
        *("payment_intent.succeeded", "payment_intent.payment_failed", "payment_intent.canceled"),
        *("charge.captured", "charge.failed", "charge.succeeded"),
        *("refund.failed", "refund.updated", "charge.refund.updated"),
        *("payout.paid", "payout.failed", "payout.canceled", "transfer.reversed"),
    }
)
"""Types after which an inquiry is worth one of the request's few attempts."""

_CONNECTIONS: Final = 2
_ID_HEX_CHARS: Final = 32
_KEEP: Final = """
INSERT INTO psp_events (psp, event_id, type, object_id, request_id) VALUES (%s, %s, %s, %s, %s)
ON CONFLICT DO NOTHING"""


class _Object(msgspec.Struct):
    id: str = ""
    metadata: dict[str, Any] | None = None


class _Data(msgspec.Struct):
    object: _Object


class StripeEvent(msgspec.Struct):
    """What is read of an event."""

    id: str
    type: str
    data: _Data

    @property
    def request_id(self) -> bytes | None:
        """The request of ours that it brings to an end, as far as it says."""
        if self.type not in ENDINGS:
            return None
        text = (self.data.object.metadata or {}).get(REQUEST_ID)
        if not isinstance(text, str) or len(text) != _ID_HEX_CHARS:
            return None
        try:
            return bytes.fromhex(text)
        except ValueError:
            return None


_DECODER: Final = msgspec.json.Decoder(StripeEvent)


class PspInbox:
    """Every method raises DatabaseUnavailable."""

    def __init__(self, database: MigratedDatabase, secrets: tuple[str, ...]) -> None:
        self._database = database
        self._secrets = secrets

    @classmethod
    def of(cls, settings: Settings, writing: Database) -> "PspInbox":
        """Raises OSError where the file of secrets can't be read."""
        return cls(
            MigratedDatabase(writing, settings.database_url, PACKAGE, _CONNECTIONS),
            _secrets(settings.stripe_webhook_secret_file),
        )

    async def open(self) -> None:
        """Does not wait for Postgres."""
        await self._database.open()

    async def close(self) -> None:
        await self._database.close()

    def checked(self, psp: str, body: bytes, signature: str) -> StripeEvent:
        """The event, once it is the provider's. Raises Problem."""
        if psp != STRIPE or not self._secrets:
            raise Problem(Fault.PSP_UNKNOWN, "No provider of this name sends events here.")
        if not any(_is_signed(body, signature, secret) for secret in self._secrets):
            detail = "The signature is not the provider's, or older than five minutes. Nothing was kept."
            raise Problem(Fault.PSP_SIGNATURE, detail)
        try:
            return _DECODER.decode(body)
        except (msgspec.DecodeError, UnicodeError):
            raise Problem(Fault.JSON_MALFORMED, "The body is no event: id, type and data.object are needed.") from None

    async def keep(self, psp: str, event: StripeEvent) -> bool:
        """Keep it, unless it is there; whether it was not."""
        row = (psp, event.id, event.type, event.data.object.id, event.request_id)
        async with self._database.transaction() as connection:
            kept = await connection.execute(_KEEP, row)
        return kept.rowcount == 1


def _secrets(file: Path | None) -> tuple[str, ...]:
    return tuple(file.read_text().split()) if file is not None else ()


def _is_signed(body: bytes, signature: str, secret: str) -> bool:
    try:
        stripe.WebhookSignature.verify_header(body.decode(), signature, secret, TOLERANCE_S)
    except (stripe.SignatureVerificationError, UnicodeDecodeError, ValueError):
        return False
    return True
