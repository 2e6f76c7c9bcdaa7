"""Users, their bank accounts and transactions, sessions and second factors, API keys."""

from collections.abc import Mapping, Sequence
from typing import Any

from millrace.client.endpoints import C, Resource, endpoint, listing
from millrace.client.models.people import (
    ApiKey,
    BankAccount,
    BankAccountList,
    Enrolment,
    RecoveryCodes,
    SecondFactorState,
    SessionList,
    Transaction,
    User,
)
from millrace.client.requests import Amount, Ask, Moment, amount_text, given
from millrace.client.resources.accounts import only_if


class Users(Resource[C]):
    """`client.users`. Fields of bodies are those of document 0: `phoneNumber`, `bankAccountNumber`, …"""

    @endpoint("POST /v1/user", User, keyed=True)
    def sign_up(
        self,
        username: str,
        password: str,
        *,
        email: str | None = None,
        phone: str | None = None,
        name: str | None = None,
        address: str | None = None,
        debit_card_id: str | None = None,
        idempotency_key: str | None = None,
    ) -> Ask:
        """A new user. `debit_card_id`: a provider's token of the card."""
        body = given(
            username=username,
            password=password,
            email=email,
            phone=phone,
            name=name,
            address=address,
            debitCardId=debit_card_id,
        )
        return Ask(body=body, key=idempotency_key)

    @endpoint("GET /v1/user/{user_id}", User)
    def get(self, user_id: str, *, since: Moment | None = None, until: Moment | None = None) -> Ask:
        """By id, e-mail, phone or user name: with balance and the bank accounts that were linked between two times."""
        return Ask((user_id,), given(from_=since, to=until))

    @endpoint("PUT /v1/user/{user_id}", User, keyed=True)
    def change(
        self,
        user_id: str,
        fields: Mapping[str, Any],
        *,
        if_match: str | None = None,
        idempotency_key: str | None = None,
    ) -> Ask:
        """Change what is named; what is left out stays."""
        return Ask((user_id,), body=dict(fields), key=idempotency_key, headers=only_if(if_match))

    @endpoint("POST /v1/user/{user_id}/accounts", BankAccount, keyed=True)
    def link_bank_account(self, user_id: str, fields: Mapping[str, Any], *, idempotency_key: str | None = None) -> Ask:
        """Link one by IBAN, or routing and account number."""
        return Ask((user_id,), body=dict(fields), key=idempotency_key)

    @endpoint("POST /v1/user/{user_id}/accounts/{bank_account_id}/verify", BankAccount, keyed=True)
    def verify_bank_account(
        self,
        user_id: str,
        bank_account_id: str,
        *,
        amounts: Sequence[str] | None = None,
        code: str | None = None,
        idempotency_key: str | None = None,
    ) -> Ask:
        """Ask for two small amounts, or tell them; or at once with the `code` that the bank gives its holder."""
        return Ask((user_id, bank_account_id), body=given(amounts=amounts, code=code), key=idempotency_key)

    @endpoint("DELETE /v1/user/{user_id}/accounts/{bank_account_id}", BankAccount)
    def unlink_bank_account(self, user_id: str, bank_account_id: str) -> Ask:
        """Money leaves to it no more."""
        return Ask((user_id, bank_account_id))

    @endpoint("GET /v1/bankAccounts/{user_id}", BankAccountList)
    def bank_accounts(self, user_id: str, *, since: Moment | None = None, until: Moment | None = None) -> Ask:
        """In the order in which they were linked."""
        return Ask((user_id,), given(startTime=since, endTime=until))

    @endpoint("POST /v1/transaction", Transaction, keyed=True)
    def send_money(
        self,
        from_id: str,
        to_id: str,
        amount: Amount,
        *,
        currency: str | None = None,
        date: Moment | None = None,
        idempotency_key: str | None = None,
    ) -> Ask:
        """Between users, accounts, aliases and linked bank accounts; what a rule refuses is `declined`."""
        body = given(fromId=from_id, toId=to_id, amount=amount_text(amount), currency=currency, transactionDate=date)
        return Ask(body=body, key=idempotency_key)


class Auth(Resource[C]):
    """`client.auth`: the caller's own sessions, password and second factor."""

    @endpoint("GET /v1/auth/sessions", SessionList)
    def sessions(self) -> Ask:
        """Where the caller is logged in."""
        return Ask()

    @endpoint("DELETE /v1/auth/sessions", SessionList)
    def end_all_sessions(self) -> Ask:
        """Log out everywhere."""
        return Ask()

    @endpoint("DELETE /v1/auth/sessions/{session_id}", SessionList)
    def end_session(self, session_id: str) -> Ask:
        """Log out there."""
        return Ask((session_id,))

    @endpoint("PUT /v1/auth/password", SessionList)
    def change_password(self, password: str, new_password: str) -> Ask:
        """Every other session ends."""
        return Ask(body={"password": password, "new_password": new_password})

    @endpoint("POST /v1/auth/totp/enrol", Enrolment)
    def enrol_totp(self, password: str) -> Ask:
        """The secret for an app; in force once confirmed."""
        return Ask(body={"password": password})

    @endpoint("POST /v1/auth/totp/confirm", RecoveryCodes)
    def confirm_totp(self, otp: str) -> Ask:
        """The app works: here are codes for the day it is lost."""
        return Ask(body={"otp": otp})

    @endpoint("POST /v1/auth/totp/disable", SecondFactorState)
    def disable_totp(self, otp: str) -> Ask:
        """Without a second factor from now on."""
        return Ask(body={"otp": otp})

    @endpoint("POST /v1/auth/totp/recovery-codes", RecoveryCodes)
    def renew_recovery_codes(self, otp: str) -> Ask:
        """Fresh codes; the old ones are void."""
        return Ask(body={"otp": otp})


class ApiKeys(Resource[C]):
    """`client.api_keys`."""

    @endpoint("POST /v1/api-keys", ApiKey)
    def create(
        self,
        name: str,
        scopes: Sequence[str],
        *,
        algorithm: str | None = None,
        public_key: Mapping[str, Any] | None = None,
        expires_in_days: int | None = None,
        networks: Sequence[str] | None = None,
    ) -> Ask:
        """The answer has the `secret`, once; keys with a `public_key` have none."""
        body = given(
            name=name,
            scopes=scopes,
            algorithm=algorithm,
            public_key=public_key,
            expires_in_days=expires_in_days,
            networks=networks,
        )
        return Ask(body=body)

    @listing("GET /v1/api-keys", ApiKey)
    def list(self, *, limit: int | None = None, cursor: str | None = None) -> Ask:
        """The caller's keys, the latest first."""
        return Ask(query=given(limit=limit, cursor=cursor))

    @endpoint("GET /v1/api-keys/{key_id}", ApiKey)
    def get(self, key_id: str) -> Ask:
        """What it may do, and when it was used last."""
        return Ask((key_id,))

    @endpoint("DELETE /v1/api-keys/{key_id}", ApiKey)
    def revoke(self, key_id: str) -> Ask:
        """In force everywhere within a second."""
        return Ask((key_id,))

    @endpoint("POST /v1/api-keys/{key_id}/roll", ApiKey)
    def roll(self, key_id: str, *, overlap_s: int | None = None, public_key: Mapping[str, Any] | None = None) -> Ask:
        """The next key; the old one works for `overlap_s` more."""
        return Ask((key_id,), body=given(overlap_s=overlap_s, public_key=public_key))
