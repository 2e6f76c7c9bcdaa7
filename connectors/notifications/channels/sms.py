"""Text messages by a provider with Twilio's contract: `POST /2010-04-01/Accounts/{account}/Messages.json`.

The contract knows no idempotency key, so a message of unknown outcome is not sent again: it becomes a dead letter.
"""

from typing import Self

import httpx

from connectors.notifications.channels.contract import DELIVERED, Message, Outcome, Verdict
from runtime.settings import Settings

TEXT_CHARS_MAX = 306
"""Two segments of 153 characters of GSM-7; each is paid for."""

_LATER = frozenset({401, 403, 429})
"""Our account's fault, or too many at once: another try may be taken."""


class SmsChannel:
    """Sends from the number, or messaging service, of the settings."""

    recognises_repeats = False

    def __init__(self, http: httpx.Client, path: str, sender: str) -> None:
        self._http = http
        self._path = path
        self._sender = sender

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Raises OSError where the token can't be read."""
        assert settings.sms_token_file is not None  # checked with the settings
        login = settings.sms_account, settings.sms_token_file.read_text().strip()
        http = httpx.Client(base_url=settings.sms_url, auth=login, timeout=settings.notice_timeout_ms / 1_000)
        return cls(http, f"/2010-04-01/Accounts/{settings.sms_account}/Messages.json", settings.sms_from)

    def rest(self) -> None:
        """Idle connections end by themselves."""

    def close(self) -> None:
        self._http.close()

    def send(self, message: Message) -> Outcome:
        """One try."""
        text = f"{message.text.title}\n{message.text.body}"[:TEXT_CHARS_MAX]
        form = {"To": message.to.reveal(), "From": self._sender, "Body": text}
        try:
            answer = self._http.post(self._path, data=form)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout):
            return Outcome(Verdict.AGAIN, "connection_failed")
        except httpx.HTTPError:
            return Outcome(Verdict.UNKNOWN, "connection_lost")
        if answer.is_success:
            return DELIVERED
        if answer.status_code >= 500:
            return Outcome(Verdict.UNKNOWN, f"http_{answer.status_code}")
        verdict = Verdict.AGAIN if answer.status_code in _LATER else Verdict.REFUSED
        return Outcome(verdict, f"http_{answer.status_code}")
