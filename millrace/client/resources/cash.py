"""Money in and out: deposits by method, their clearing and return, withdrawals, wallets."""

from typing import Any

from millrace.client.endpoints import C, Resource, endpoint
from millrace.client.models.money import Deposit, Payment, WalletBalance, Withdrawal
from millrace.client.requests import Amount, Ask, Moment, amount_text, given


class Deposits(Resource[C]):
    """`client.deposits`."""

    @endpoint("POST /v1/accounts/{account_id}/deposit", Payment, keyed=True)
    def create(
        self,
        account_id: str,
        amount: Amount,
        currency: str,
        *,
        method: str = "cash",
        description: str | None = None,
        idempotency_key: str | None = None,
        wait_s: int | None = None,
    ) -> Ask:
        """Pay money in. By check, direct debit and the like it is `incoming` until it is collected."""
        body = _moved(amount, currency, method, description)
        return Ask((account_id,), body=body, key=idempotency_key, wait_s=wait_s)

    @endpoint("GET /v1/deposits/{deposit_id}", Deposit)
    def get(self, deposit_id: str) -> Ask:
        """A deposit that may bounce, by the id of its payment."""
        return Ask((deposit_id,))

    @endpoint("POST /v1/deposits/{deposit_id}/clear", Deposit, keyed=True)
    def clear(self, deposit_id: str, *, idempotency_key: str | None = None, wait_s: int | None = None) -> Ask:
        """It is collected."""
        return Ask((deposit_id,), body={}, key=idempotency_key, wait_s=wait_s)

    @endpoint("POST /v1/deposits/{deposit_id}/return", Deposit, keyed=True)
    def reverse(
        self, deposit_id: str, code: str, *, idempotency_key: str | None = None, wait_s: int | None = None
    ) -> Ask:
        """It came back: reverse it. `code`: one of the method's."""
        return Ask((deposit_id,), body={"code": code}, key=idempotency_key, wait_s=wait_s)


class Withdrawals(Resource[C]):
    """`client.withdrawals`."""

    @endpoint("POST /v1/accounts/{account_id}/withdraw", Payment, keyed=True)
    def create(
        self,
        account_id: str,
        amount: Amount,
        currency: str,
        *,
        method: str = "cash",
        description: str | None = None,
        fee: str | None = None,
        idempotency_key: str | None = None,
        wait_s: int | None = None,
    ) -> Ask:
        """Pay money out, with the fee of a schedule. Of users above a limit it needs a fresh second factor."""
        body = _moved(amount, currency, method, description) | given(fee=fee)
        return Ask((account_id,), body=body, key=idempotency_key, wait_s=wait_s)

    @endpoint("GET /v1/withdrawals/{withdrawal_id}", Withdrawal)
    def get(self, withdrawal_id: str) -> Ask:
        """A withdrawal that may come back, by the id of its payment."""
        return Ask((withdrawal_id,))

    @endpoint("POST /v1/withdrawals/{withdrawal_id}/return", Withdrawal, keyed=True)
    def reverse(
        self, withdrawal_id: str, code: str, *, idempotency_key: str | None = None, wait_s: int | None = None
    ) -> Ask:
        """It came back: the account has it again, once. `code`: one of the method's."""
        return Ask((withdrawal_id,), body={"code": code}, key=idempotency_key, wait_s=wait_s)


class Wallets(Resource[C]):
    """`client.wallets`: the default account of a currency, without its id."""

    @endpoint("POST /v1/wallet/credit", Payment, keyed=True)
    def credit(
        self,
        amount: Amount,
        currency: str,
        *,
        user: str | None = None,
        method: str = "cash",
        description: str | None = None,
        idempotency_key: str | None = None,
        wait_s: int | None = None,
    ) -> Ask:
        """Pay money in."""
        body = _moved(amount, currency, method, description) | given(user=user)
        return Ask(body=body, key=idempotency_key, wait_s=wait_s)

    @endpoint("POST /v1/wallet/debit", Payment, keyed=True)
    def debit(
        self,
        amount: Amount,
        currency: str,
        *,
        user: str | None = None,
        method: str = "cash",
        description: str | None = None,
        idempotency_key: str | None = None,
        wait_s: int | None = None,
    ) -> Ask:
        """Pay money out."""
        body = _moved(amount, currency, method, description) | given(user=user)
        return Ask(body=body, key=idempotency_key, wait_s=wait_s)

    @endpoint("GET /v1/wallet/balance", WalletBalance)
    def balance(self, *, user: str | None = None, currency: str | None = None, at: Moment | None = None) -> Ask:
        """Balances by currency, now or as they stood."""
        return Ask(query=given(user=user, currency=currency, at=at))


def _moved(amount: Amount, currency: str, method: str, description: str | None) -> dict[str, Any]:
    return given(amount=amount_text(amount), currency=currency, method=method, description=description)
