"""What random operations are made of: accounts, amounts, currencies and keys, most of them good."""

import random
from typing import TypeVar

from payments.accounts import AccountStatus
from payments.commands import NO_REPLY, Command, CommandKind
from payments.identifiers import NIL, system_account
from payments.money import MAX_MINOR
from payments.movements.instructions import Envelope
from payments.postings import SystemAccount
from tests.model.rules.state import HOUR_US, State

START_US = 1_700_000_000_000_000
ACCOUNTS, DAY_US = 12, 24 * HOUR_US
CURRENCIES = ("EUR", "EUR", "EUR", "EUR", "USD", "JPY")
EDGES = (0, -1, MAX_MINOR - 1, MAX_MINOR, MAX_MINOR + 1, 1 << 61, -(1 << 61))
FAILS_AT = 77
"""Minor units at which one rule divides by zero."""
T = TypeVar("T")


class Parts:
    """Chooses with an eye on the state."""

    def __init__(self, rng: random.Random, state: State) -> None:
        self.now_us = START_US
        """Whoever plays the operations moves it."""
        self._rng = rng
        self._state = state
        self._keys = 0
        self._accounts = [self._new_account() for _ in range(ACCOUNTS)]
        self._stranger = self._new_account()

    def _one_in(self, count: int) -> bool:
        return self._rng.randrange(count) == 0

    def _new_account(self) -> bytes:
        id_ = bytearray(self._rng.randbytes(16))
        id_[6] = 0x70 | id_[6] & 0x0F
        return bytes(id_)

    def _envelope(self) -> Envelope:
        self._keys += 1
        reply_to = NO_REPLY if self._one_in(2) else self._keys.to_bytes(8, "big")
        return Envelope(f"key {self._keys}", reply_to, "rent" if self._one_in(10) else "")

    def _command(self, kind: CommandKind, payer: bytes, payee: bytes, amount: int, currency: str) -> Command:
        key = self._envelope()
        return Command(kind, payer, payee, amount, currency, key.reply_to, key.idempotency_key, key.description)

    def _account(self) -> bytes:
        return self._stranger if self._one_in(100) else self._rng.choice(self._accounts)

    def _opened(self, currency: str = "") -> bytes:
        """An account that exists, and of this currency, where there is one."""
        accounts = self._state.accounts
        fitting = [id_ for id_ in self._accounts if id_ in accounts and currency in ("", accounts[id_].currency)]
        return self._rng.choice(fitting or self._accounts)

    def _standing(self, account: bytes) -> AccountStatus | None:
        known = self._state.accounts.get(account)
        return known.standing if known is not None else None

    def _payer(self) -> bytes:
        """An account that can pay something, mostly."""
        able = [id_ for id_ in self._accounts if self._standing(id_) is AccountStatus.OPEN]
        rich = [id_ for id_ in able if self._state.available(id_) > 0]
        return self._account() if not rich or self._one_in(10) else self._rng.choice(rich)

    def _currency_of(self, account: bytes) -> str:
        known = self._state.accounts.get(account)
        return self._rng.choice(CURRENCIES) if known is None or self._one_in(60) else known.currency

    def _operators(self, currency: str) -> bytes:
        return system_account(self._rng.choice(list(SystemAccount)), currency)

    def _amount(self) -> int:
        if self._one_in(40):
            return FAILS_AT if self._one_in(3) else self._rng.choice(EDGES)
        return self._rng.randint(1, 500)

    def _amount_of(self, whole: int) -> int:
        """Part or all of something, or one too much."""
        if self._one_in(8):
            return self._amount()
        return self._rng.choice((whole, whole, max(1, whole // 2), max(1, whole // 3), whole + 1))

    def _spendable(self, account: bytes) -> int:
        known = self._state.accounts.get(account)
        if known is None or self._rng.random() < 0.7:
            return self._amount()
        return max(1, self._amount_of(known.available + known.limit))

    def _payee(self, currency: str) -> bytes:
        chance = self._rng.randrange(30)
        if chance == 0:
            return self._rng.choice((NIL, system_account(999, "EUR"), self._operators("USD")))
        if chance < 4:
            return self._operators(currency)
        return self._account() if chance < 7 else self._opened(currency)

    def _some(self, kept: dict[bytes, T]) -> bytes:
        """The id of something that is open, rarely of something that is not."""
        if not kept or self._one_in(40):
            return self._rng.choice([id_ for _, id_ in self._state.payments][-50:] or [NIL])
        return self._rng.choice(list(kept)[-60:])
