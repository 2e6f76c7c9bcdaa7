"""Users, logins, keys, and the transactions of document 0."""

from millrace.client.models.model import Model


class TokenAnswer(Model, kw_only=True):
    """RFC 6749 §5.1."""

    access_token: str
    expires_in: int
    scope: str
    token_type: str
    refresh_token: str | None = None


class RefreshTokenOfAccount(Model, kw_only=True):
    """What to send to get the next token."""

    token: str
    type: str | None = None


class AccountToken(Model, kw_only=True, rename="camel"):
    """A token for the user of an account."""

    status_code: int
    token: str
    expiration_timestamp: str
    refresh: RefreshTokenOfAccount | None = None


class Session(Model, kw_only=True):
    """A login."""

    id: str
    authenticated_at: str
    used_at: str
    expires_at: str
    current: bool
    client: str | None = None
    second_factor_at: str | None = None


class SessionList(Model, kw_only=True):
    """The latest first."""

    items: list[Session]


class Enrolment(Model, kw_only=True):
    """What the app has to know: shown once, and of no effect until it is confirmed."""

    secret: str
    otpauth_uri: str


class RecoveryCodes(Model, kw_only=True):
    """Each is good once, in the place of a code. Shown once."""

    recovery_codes: list[str]


class SecondFactorState(Model, kw_only=True):
    """Whether logins need a second factor."""

    enabled: bool


class ApiKey(Model, kw_only=True):
    """A key. `secret`: in the answer that makes it, and never again. Without `prefix` calls are signed (RFC 9421)
    with the id as `keyid`.
    """

    id: str
    name: str
    algorithm: str
    scopes: list[str]
    status: str
    created_at: str
    prefix: str | None = None
    networks: list[str] | None = None
    expires_at: str | None = None
    last_used_at: str | None = None
    revoked_at: str | None = None
    rolled_to: str | None = None
    secret: str | None = None


class BankAccount(Model, kw_only=True, rename="camel"):
    """A linked bank account. Money leaves to it once it is `verified`."""

    bank_account_id: str
    user_id: str
    create_time: str
    bank_name: str
    bank_phone_number: str
    bank_email: str
    account_id: str
    currency: str
    status: str
    number: str | None = None
    external_bank_id: str | None = None


class BankAccountList(Model, kw_only=True, rename="camel"):
    """A user's bank accounts, in the order in which they were linked."""

    user_id: str
    bank_accounts: list[BankAccount]


class User(Model, kw_only=True, rename="camel"):
    """A user with the balance of the default account."""

    user_id: str
    create_time: str
    username: str
    email: str
    phone_number: str
    name: str
    address: str
    status: str
    debit_card_id: str
    balance: int
    currency: str | None = None
    account_id: str | None = None
    bank_accounts: list[BankAccount]


class Transaction(Model, kw_only=True, rename="camel"):
    """A transaction. `amount` is in minor units of `currency`; `status`: `accepted`, `declined` or `waiting for
    verification`.
    """

    transaction_id: str
    from_id: str
    to_id: str
    transaction_date: str
    amount: int
    currency: str
    status: str
