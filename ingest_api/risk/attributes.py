"""What a caller knows of how a payment was asked for, as it may stand in the log: keyed hashes, and countries.

The address, the device's id and the card's token end here: what goes on are eight bytes of a blind index, under the key
that all API processes of an installation share (docs/personal_data.md). Two of 10⁸ devices share theirs with a chance
of 10¹⁶ ÷ 2⁶⁵ = 0.03 %, and are then counted as one.
"""

from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Annotated, Final, Self

import msgspec

from ingest_api.problems import Fault, FieldError
from payments.movements.instructions import Attributes
from payments.risk.distinct import KEY_BYTES
from runtime.personal_data.blind_index import digest_of_text
from runtime.personal_data.card_numbers import holds_card_number
from runtime.personal_data.keyring import Keyring
from runtime.settings import Settings

MAX_ID_CHARS: Final = 255
_SUBNET_BYTES: Final = 8
"""An IPv6 subscriber has at least a /64 and can take any address in it, so that is what is counted."""

IdText = Annotated[str, msgspec.Meta(extra_json_schema={"maxLength": MAX_ID_CHARS})]
CountryText = Annotated[
    str, msgspec.Meta(pattern="^([A-Z]{2})?$", max_length=2, description="ISO 3166-1 alpha-2", examples=["DE"])
]


class RiskBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """How the payment was asked for, for the risk rules; leave out what is not known. `ip`, `device` and `card` (the
    token of a provider, never a number) are kept as keyed hashes alone.
    """

    ip: Annotated[str, msgspec.Meta(examples=["203.0.113.7"])] = ""
    device: IdText = ""
    card: IdText = ""
    payer_country: CountryText = ""
    payee_country: CountryText = ""
    card_country: CountryText = ""
    ip_country: CountryText = ""


class RiskKeys:
    """Equal for equal cards, devices and addresses of this installation, and nothing to anybody without the key."""

    def __init__(self, index_key: bytes) -> None:
        self._index_key = index_key

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Raises KeyringFault."""
        return cls(Keyring.of(settings).index_key)

    def attributes(self, body: RiskBody) -> Attributes | FieldError:
        """What goes into the log, or what is wrong with the body. The fault repeats nothing of it."""
        address = _normal_address(body.ip)
        if address is None:
            return FieldError("/risk/ip", Fault.FIELD_INVALID, "Not an IPv4 or IPv6 address.")
        for name, text in (("device", body.device), ("card", body.card)):
            if len(text) > MAX_ID_CHARS:
                return FieldError(f"/risk/{name}", Fault.FIELD_INVALID, f"At most {MAX_ID_CHARS} characters.")
        if holds_card_number(body.card):
            return FieldError("/risk/card", Fault.CARD_NUMBER, "Send the provider's token, never the card's number.")
        keys = self._key("card", body.card), self._key("device", body.device), self._key("ip", address)
        return Attributes(*keys, body.payer_country, body.payee_country, body.card_country, body.ip_country)

    def analyst(self, subject: str) -> bytes:
        """Who decides a review, as the log may hold it: 16 bytes, the same for the same subject."""
        return digest_of_text(self._index_key, "risk analyst", subject)

    def _key(self, kind: str, text: str) -> bytes:
        return digest_of_text(self._index_key, f"risk {kind}", text)[:KEY_BYTES] if text else b""


def _normal_address(text: str) -> str | None:
    """One spelling per IPv4 address and per IPv6 subnet; empty where none is given, None where it is no address."""
    if not text:
        return ""
    try:
        if ":" not in text:
            return str(IPv4Address(text))
        address = IPv6Address(text)
    except AddressValueError:
        return None
    return str(address.ipv4_mapped or IPv6Address(address.packed[:_SUBNET_BYTES].ljust(16, b"\0")))
