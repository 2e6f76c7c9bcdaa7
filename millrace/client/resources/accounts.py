"""Accounts: opening, looking, statements, and whose they are."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from millrace.client.endpoints import C, Resource, endpoint, listing
from millrace.client.models.history import AccountEntry, Statement
from millrace.client.models.money import Account, AccountChange, Balance, HeldAccount, OwnerList, Wallet
from millrace.client.requests import Amount, Ask, Moment, amount_text, given

FileFormat = Literal["csv", "camt053", "pdf"]


class Accounts(Resource[C]):
    """`client.accounts`."""

    @endpoint("POST /v1/accounts", Account, keyed=True)
    def open(
        self,
        currency: str,
        *,
        type: str | None = None,
        owners: Sequence[Mapping[str, str]] | None = None,
        overdraft_limit: Amount | None = None,
        limits: Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
        wait_s: int | None = None,
    ) -> Ask:
        """Open an account. `owners`: `[{"user": "usr_…", "role": "owner"}]`."""
        limit = amount_text(overdraft_limit) if overdraft_limit is not None else None
        body = given(currency=currency, type=type, owners=owners, overdraft_limit=limit, limits=limits)
        return Ask(body=body, key=idempotency_key, wait_s=wait_s)

    @endpoint("GET /v1/accounts/{account_id}", Account)
    def get(self, account_id: str) -> Ask:
        """The account as it stands."""
        return Ask((account_id,))

    @listing("GET /v1/accounts", Account)
    def list(
        self,
        *,
        user: str | None = None,
        type: str | None = None,
        status: str | None = None,
        currency: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Ask:
        """A user's accounts by id. Who calls as a user may leave `user` out."""
        return Ask(query=given(user=user, type=type, status=status, currency=currency, limit=limit, cursor=cursor))

    @endpoint("PUT /v1/accounts/{account_id}", AccountChange, keyed=True)
    def change(
        self,
        account_id: str,
        *,
        status: str | None = None,
        overdraft_limit: Amount | None = None,
        limits: Mapping[str, Any] | None = None,
        if_match: str | None = None,
        idempotency_key: str | None = None,
        wait_s: int | None = None,
    ) -> Ask:
        """Freeze, unfreeze, close; set the overdraft limit or the account's own limits. What is left out stays."""
        limit = amount_text(overdraft_limit) if overdraft_limit is not None else None
        body = given(status=status, overdraft_limit=limit, limits=limits)
        return Ask((account_id,), body=body, key=idempotency_key, wait_s=wait_s, headers=only_if(if_match))

    @endpoint("GET /v1/accounts/{account_id}/balance", Balance)
    def balance(self, account_id: str, *, at: Moment | None = None) -> Ask:
        """Posted, available, held, incoming; now or at a time."""
        return Ask((account_id,), given(at=at))

    @listing("GET /v1/accounts/{account_id}/entries", AccountEntry)
    def entries(
        self,
        account_id: str,
        *,
        since: Moment | None = None,
        until: Moment | None = None,
        oldest_first: bool = False,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Ask:
        """Entries with the balance after each. `since` is inclusive, `until` exclusive."""
        order = "asc" if oldest_first else "desc"
        return Ask((account_id,), given(from_=since, to=until, order=order, limit=limit, cursor=cursor))

    @endpoint("GET /v1/accounts/{account_id}/statement", Statement)
    def statement(self, account_id: str, month: str | None = None, *, year: int | None = None) -> Ask:
        """The statement of a month, `2026-10`, or of a year."""
        return Ask((account_id,), given(month=month, year=year))

    @endpoint("GET /v1/accounts/{account_id}/statement", bytes)
    def statement_file(self, account_id: str, month: str | None, format: FileFormat, *, year: int | None = None) -> Ask:
        """The same as a file."""
        return Ask((account_id,), given(month=month, year=year, format=format), headers={"Accept": "*/*"})

    @endpoint("GET /v1/accounts/{account_id}/tax-report", bytes)
    def tax_report(self, account_id: str, year: int) -> Ask:
        """A year's totals as CSV."""
        return Ask((account_id,), given(year=year), headers={"Accept": "*/*"})

    @endpoint("GET /v1/users/{user_id}/tax-report", bytes)
    def tax_report_of_user(self, user_id: str, year: int) -> Ask:
        """The same of every account that the user owns, alone or with others."""
        return Ask((user_id,), given(year=year), headers={"Accept": "*/*"})

    @endpoint("GET /v1/accounts/{account_id}/owners", OwnerList)
    def owners(self, account_id: str, *, history: bool = False) -> Ask:
        """Who has which part in the account."""
        return Ask((account_id,), given(history=history))

    @endpoint("POST /v1/accounts/{account_id}/owners", OwnerList, repeats=True)
    def set_owner(self, account_id: str, user: str, role: str, *, if_match: str | None = None) -> Ask:
        """Give a user a part, or another one: `owner`, `co_owner`, `viewer`."""
        return Ask((account_id,), body=given(user=user, role=role), headers=only_if(if_match))

    @endpoint("DELETE /v1/accounts/{account_id}/owners/{user_id}", OwnerList)
    def remove_owner(self, account_id: str, user_id: str, *, if_match: str | None = None) -> Ask:
        """Take a user's part away."""
        return Ask((account_id, user_id), headers=only_if(if_match))

    @listing("GET /v1/users/{user_id}/accounts", HeldAccount)
    def of_user(self, user_id: str, *, limit: int | None = None, cursor: str | None = None) -> Ask:
        """Accounts in which a user has a part, with their balances."""
        return Ask((user_id,), given(limit=limit, cursor=cursor))

    @endpoint("GET /v1/users/{user_id}/wallet", Wallet)
    def wallet(self, user_id: str) -> Ask:
        """A user's money by currency."""
        return Ask((user_id,))


def only_if(tag: str | None) -> dict[str, str]:
    """The header If-Match: 412 where the resource has changed since its ETag was `tag`."""
    return {"If-Match": tag} if tag is not None else {}
