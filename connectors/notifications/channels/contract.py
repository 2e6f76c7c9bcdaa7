"""What every channel is to the dispatcher: it takes one message and says what came of it."""

from enum import StrEnum
from typing import NamedTuple, Protocol

from connectors.notifications.rendering import Text
from runtime.personal_data.personal import Personal


class Message(NamedTuple):
    """One notice for one address, number or device."""

    notice_id: str
    """The same in every try: receivers tell a repeat by it."""
    to: Personal
    text: Text
    unsubscribe_url: str = ""


class Verdict(StrEnum):
    """What came of a try."""

    DELIVERED = "delivered"
    AGAIN = "again"
    """It was not taken, and may be later."""
    REFUSED = "refused"
    """It will never be taken."""
    UNKNOWN = "unknown"
    """It may have been taken."""
    GONE = "gone"
    """There is no such device any more."""


class Outcome(NamedTuple):
    """A verdict, and a word of why: never what a provider writes, which may name the receiver."""

    verdict: Verdict
    reason: str | None = None


DELIVERED = Outcome(Verdict.DELIVERED)


class MessageChannel(Protocol):
    """Sends. Used by several threads at once."""

    recognises_repeats: bool
    """Whether a message that arrives twice is seen once: else one of unknown outcome is not sent again."""

    def send(self, message: Message) -> Outcome:
        """One try, within MILLRACE_NOTICE_TIMEOUT_MS for each step; whatever goes wrong is an outcome."""

    def rest(self) -> None:
        """Nothing is due: give up what is kept for the next message alone."""

    def close(self) -> None:
        """Give up connections."""
