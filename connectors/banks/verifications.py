"""Whether linked bank accounts are their users': asked of their banks for the API, which calls nobody itself.

Takes what is open in bank_verifications. Guarantees: a question is asked again only under its Idempotency-Key; a bank
that does not answer holds up nobody's question for longer than a call may take.
"""

import asyncio
import logging
import threading
from datetime import timedelta
from typing import Final

import psycopg

from connectors.banks.register import Question, RegisterUnavailable
from connectors.banks.rest import VERIFICATION_S, RestBanks
from connectors.rounds import rounds

log = logging.getLogger("millrace.connectors")

LOOK_S: Final = 0.5
AT_ONCE: Final = 8
TAKEN_FOR: Final = timedelta(seconds=3 * VERIFICATION_S)
"""Whoever has taken a question and not answered it by then has died."""

_TAKE: Final = """
UPDATE bank_verifications SET taken_at = now() WHERE bank_account_id IN (
    SELECT bank_account_id FROM bank_verifications
    WHERE result IS NULL AND (taken_at IS NULL OR taken_at < now() - %s)
    ORDER BY asked_at LIMIT %s FOR UPDATE SKIP LOCKED
) RETURNING verification_id, user_id, bank_account_id, bank_id"""


class BankVerifications:
    """Answers what the API asks."""

    def __init__(self, url: str, banks: RestBanks) -> None:
        self._url = url
        self._banks = banks

    async def follow(self, stop: threading.Event) -> None:
        """Until stopped. Never raises: money does not wait for it."""
        await rounds(self._url, stop, self._look, "no questions to banks", rest_s=LOOK_S)

    async def _look(self, connection: psycopg.AsyncConnection) -> None:
        """Raises psycopg.Error."""
        rows = await (await connection.execute(_TAKE, (TAKEN_FOR, AT_ONCE))).fetchall()
        questions = [Question(*(id_.bytes for id_ in row)) for row in rows]
        for ended in await asyncio.gather(*map(self._banks.verify, questions), return_exceptions=True):
            if isinstance(ended, RegisterUnavailable):
                log.info("a bank's answer was not kept; it is asked again")
            elif isinstance(ended, BaseException):
                raise ended
