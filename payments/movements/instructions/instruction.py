"""What every instruction is: an authority, an envelope, a headline for refusals and a fingerprint for its key.

Imperative, without state or outcome. The first field is the *authority*: the account at whose partition the
instruction is decided, which is the scope of its idempotency key and the Kafka key of its record.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import NamedTuple

from payments.commands import NO_REPLY
from payments.identifiers import NIL


class Attributes(NamedTuple):
    """What is known of how a payment was asked for, for the risk rules; empty where it is not known.

    The keys are keyed hashes of eight bytes, made where the payment is taken in; countries are ISO 3166-1 alpha-2.
    """

    card_key: bytes = b""
    device_key: bytes = b""
    ip_key: bytes = b""
    payer_country: str = ""
    payee_country: str = ""
    card_country: str = ""
    ip_country: str = ""


class Envelope(NamedTuple):
    """What every instruction carries."""

    idempotency_key: str
    reply_to: bytes = NO_REPLY
    description: str = ""
    attributes: Attributes = Attributes()


class Headline(NamedTuple):
    """The parties and the amount that a refusal names."""

    debit_account: bytes
    credit_account: bytes = NIL
    amount_minor: int = 0
    currency: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Instruction:
    """One instruction to one account."""

    LATER = frozenset[str]()
    """Fields that a later version has added: at their defaults the fingerprint is that of before."""

    envelope: Envelope

    @property
    def authority(self) -> bytes:
        """The account at whose partition this is decided."""
        raise NotImplementedError

    @property
    def headline(self) -> Headline:
        """What a refusal of it shows."""
        return Headline(self.authority)

    @property
    def fingerprint(self) -> bytes:
        """Eight bytes over everything that the same key must repeat: as of `Command.fingerprint`."""
        facts = (
            type(self).__name__,
            *(
                value
                for field in fields(self)
                if field.name != "envelope"
                and ((value := getattr(self, field.name)) != field.default or field.name not in self.LATER)
            ),
        )
        return hashlib.blake2b(canonical((*facts, self.envelope.description)), digest_size=8).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentInstruction(Instruction):
    """One about an amount that a payer pays a payee, decided at the payer."""

    payer: bytes
    payee: bytes
    amount_minor: int
    currency: str

    @property
    def authority(self) -> bytes:
        return self.payer

    @property
    def headline(self) -> Headline:
        return Headline(self.payer, self.payee, self.amount_minor, self.currency)


def canonical(value: object) -> bytes:
    """One text for equal values and another for others: bencoding (BEP 3), with `n` for None."""
    if value is None:
        return b"n"
    if isinstance(value, int):
        return b"i%de" % value
    if isinstance(value, str):
        value = value.encode()
    if isinstance(value, bytes):
        return b"%d:%b" % (len(value), value)
    assert isinstance(value, Iterable), value
    return b"l%be" % b"".join(map(canonical, value))
