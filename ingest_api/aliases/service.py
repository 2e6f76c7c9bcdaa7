"""Aliases in one API process: transfers that name parties by alias, the register behind the routes, the hourly sweep.

Guarantees: nothing is sent for a name that does not stand for an account, and no refusal repeats a name.
"""

import asyncio
import contextlib
from typing import Final

import msgspec

from ingest_api.aliases.parties import USER, AliasName, alias_name, is_account_id
from ingest_api.aliases.pins import Pin, Pins, request_digest
from ingest_api.aliases.register import INDEX, Register, Registration
from ingest_api.http.advice import ADVICE
from ingest_api.http.bodies import TransferBody, parse_account
from ingest_api.http.resources import account_text
from ingest_api.problems import Fault, FieldError, Problem, field_problem
from ingest_api.reads.database import Database, DatabaseUnavailable, Share, end_asking
from payments.identifiers import derive_consequence_id, format_id
from payments.rejections import Reason
from runtime.personal_data.keyring import Keyring
from runtime.personal_data.normal_forms import EXPECTED, Identifier
from runtime.personal_data.personal import Personal
from runtime.personal_data.store import PersonalData
from runtime.settings import Settings

_CONNECTIONS: Final = 4
"""Four take 600 new calls by alias a second on two busy cores; further ones wait for a connection, 2 s at most."""

_SWEEP_EVERY_S: Final = 3_600
_SWEEP_PAUSE_S: Final = 1


class Aliases:
    """Names → accounts. Everything runs on the loop."""

    def __init__(self, database: Database, keyring: Keyring) -> None:
        self._database = database
        self._personal = PersonalData(keyring)
        self._pins = Pins(database, keyring.index_key)
        self._keys_checked = False
        self._sweeper: asyncio.Task[None] | None = None
        self.register = Register(database, self._personal)

    @classmethod
    def of(cls, settings: Settings, writing: Database) -> "Aliases":
        """Raises KeyringFault."""
        return cls(Share(writing, _CONNECTIONS), Keyring.of(settings))

    async def open(self) -> None:
        """Does not wait for Postgres: calls that name accounts by id are taken without it."""
        await self._database.open()
        self._sweeper = asyncio.create_task(self._sweep())

    async def close(self) -> None:
        await end_asking(self._sweeper)
        await self._database.close()

    async def digest(self, name: AliasName, pointer: str) -> bytes:
        """Where a name stands in the index. Raises Problem where it is not of its kind, DatabaseUnavailable, and
        KeyringFault where the keys are not those of the database.
        """
        if not self._keys_checked:
            async with self._database.transaction() as connection:
                await self._personal.require_same_keys(connection)
            self._keys_checked = True
        digest = self._personal.digest(INDEX, name.kind, name.value)
        if digest is None:
            raise field_problem(FieldError(pointer, Fault.FIELD_INVALID, f"Send {EXPECTED[name.kind]}."))
        return digest

    async def default_account(self, user: bytes, account: bytes, currency: str) -> Registration:
        """What lets a user's id stand for this account: money sent to the user arrives there."""
        name = AliasName(Identifier.USER, Personal(format_id(USER, user)))
        alias = derive_consequence_id(account, "default account")
        return Registration(alias, user, *name, await self.digest(name, ""), account, currency, verified=True)

    async def resolved(self, principal: str, key: str, body: TransferBody) -> TransferBody:
        """The same transfer with the accounts that it meant when it first came. Raises Problem, DatabaseUnavailable."""
        request = request_digest(b"alias pin", principal, key)
        named = [await self._named(text, at) for text, at in _parties(body)]
        parties = self._pins.parties_digest(request, *named)
        pin = await self._pins.find(request) or await self._pinned(request, parties, named, body)
        if pin.parties not in {None, parties}:
            raise Problem(Reason.IDEMPOTENCY_KEY_REUSED, ADVICE[Reason.IDEMPOTENCY_KEY_REUSED])
        return msgspec.structs.replace(body, from_account=account_text(pin.payer), to_account=account_text(pin.payee))

    async def _pinned(self, request: bytes, parties: bytes, named: list[bytes], body: TransferBody) -> Pin:
        payer, payee = [
            digest if is_account_id(text) else await self._account(digest, body.currency, at)
            for digest, (text, at) in zip(named, _parties(body), strict=True)
        ]
        by_alias = not is_account_id(body.from_account)
        return await self._pins.pin(request, Pin(parties, payer, payee), payer_by_alias=by_alias)

    async def _named(self, text: str, pointer: str) -> bytes:
        """The account, or the digest of the alias, that a party is named by. Raises Problem."""
        name = alias_name(text)
        if name is not None:
            return await self.digest(name, pointer)
        account = parse_account(text, pointer)
        if isinstance(account, FieldError):
            raise field_problem(account)
        return account

    async def _account(self, digest: bytes, currency: str, pointer: str) -> bytes:
        account = await self._pins.resolve(digest, currency)
        if account is None:
            detail = "No account of this currency has this alias, or nobody has verified it. Nothing moved."
            raise Problem(Fault.ALIAS_UNKNOWN, detail, errors=[FieldError(pointer, Fault.ALIAS_UNKNOWN, detail)])
        return account

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(_SWEEP_EVERY_S)
            with contextlib.suppress(DatabaseUnavailable):  # the next round has its rows too
                while await self._pins.sweep():
                    await asyncio.sleep(_SWEEP_PAUSE_S)


def names_an_alias(body: TransferBody) -> bool:
    """False for the usual call, which costs two comparisons."""
    return not (is_account_id(body.from_account) and is_account_id(body.to_account))


def _parties(body: TransferBody) -> tuple[tuple[str, str], tuple[str, str]]:
    """Text and JSON pointer of payer and payee."""
    return (body.from_account, "/from_account"), (body.to_account, "/to_account")
