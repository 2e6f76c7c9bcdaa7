"""Credentials of who has this installation's signing key: a token of its own, made anew before it expires."""

import time
from typing import Final

from ingest_api.identity.tokens import ALL_SCOPES, issue_token
from millrace.client.credentials import Bearer
from millrace.client.exchange import Request
from runtime.settings import Settings

_LIFE_S: Final = 600
_SUBJECT: Final = "operator"
"""As `millrace token` has it."""


class LocalToken:
    """For as long as a command runs."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._bearer = Bearer("")
        self._until_s = 0.0

    def authorised(self, request: Request) -> Request:
        if time.monotonic() > self._until_s:
            self._bearer = Bearer(issue_token(self._settings, _SUBJECT, ALL_SCOPES, _LIFE_S))
            self._until_s = time.monotonic() + _LIFE_S / 2
        return self._bearer.authorised(request)
