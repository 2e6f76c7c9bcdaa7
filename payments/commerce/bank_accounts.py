"""Which account of which bank a request is about, as its token says it: by ids, never by a number of a bank account.

The connector finds address, credentials and number in Postgres, where they lie sealed: no log record holds them.
"""

from typing import NamedTuple, Self

from payments.identifiers import BANK_ACCOUNT, EXTERNAL_BANK, format_id, parse_id

_BETWEEN = "/"


class BankAccount(NamedTuple):
    """A linked bank account, and the registered bank over whose API it is reached."""

    bank: bytes
    account: bytes

    @property
    def token(self) -> str:
        return f"{format_id(EXTERNAL_BANK, self.bank)}{_BETWEEN}{format_id(BANK_ACCOUNT, self.account)}"

    @classmethod
    def of(cls, token: str) -> Self | None:
        """None for a text that is no such token."""
        bank_text, _, account_text = token.partition(_BETWEEN)
        bank, account = parse_id(EXTERNAL_BANK, bank_text), parse_id(BANK_ACCOUNT, account_text)
        return cls(bank, account) if bank is not None and account is not None else None
