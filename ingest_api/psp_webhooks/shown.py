"""What a provider is answered."""

import msgspec


class PspEventReceipt(msgspec.Struct):
    """The event is kept; `replayed`: it was before."""

    event: str
    replayed: bool


RESOURCES: tuple[type, ...] = (PspEventReceipt,)
