"""People of the register who log in over HTTP, and what they can do with what they get."""

import time
from typing import Any, Final

import httpx

from ingest_api.aliases.parties import USER
from ingest_api.identity.passwords.rules import normal_password
from ingest_api.identity.roles import UserRole
from ingest_api.identity.second_factor.totp import STEP_S, code_at
from ingest_api.identity.users.user import Field, User
from payments.identifiers import format_id
from runtime.personal_data.personal import Personal
from tests.ingest_api.owners.world import CUSTOMER, World

PASSWORD: Final = "tulip hammer seven"
ANNA, BERTA = bytes([0x51]) * 16, bytes([0x52]) * 16


class Town:
    """One installation, and who lives in it."""

    def __init__(self, world: World, http: httpx.AsyncClient) -> None:
        self.world = world
        self.identity = world.services.identity
        self.http = http

    async def settles(self, user: bytes, username: str, *roles: UserRole) -> User:
        """Somebody new, whose password is PASSWORD."""
        password_hash = await self.identity.hasher.hash(normal_password(Personal(PASSWORD)))
        values = {Field.USERNAME: Personal(username), Field.EMAIL: Personal(f"{username}@example.com")}
        made = await self.identity.users.create(user, values, roles or [UserRole.CUSTOMER], password_hash, "a test")
        assert isinstance(made, User), made
        return made

    async def token_request(self, **form: str) -> httpx.Response:
        """As RFC 6749 sends it."""
        return await self.http.post("/v1/oauth/token", data=form)

    async def tries(self, username: str = "anna", password: str = PASSWORD, **form: str) -> httpx.Response:
        return await self.token_request(grant_type="password", username=username, password=password, **form)

    async def logs_in(self, username: str = "anna", **form: str) -> "Resident":
        answer = await self.tries(username, **form)
        assert answer.status_code == 200, answer.text
        return Resident(self, answer.json())

    async def refreshes(self, refresh_token: str) -> httpx.Response:
        return await self.token_request(grant_type="refresh_token", refresh_token=refresh_token)

    def locks_last(self, free: int) -> None:
        """The first lock takes two seconds, and a busy machine may take longer for the next try."""
        self.world.rows(
            "UPDATE login_failures SET locked_until = now() + interval '1 hour' WHERE failures > %s RETURNING 1", free
        )

    def waits(self) -> None:
        """Until every lock is over."""
        self.world.rows("UPDATE login_failures SET locked_until = now() - interval '1 second' RETURNING 1")

    def is_locked(self) -> bool:
        """Somebody is, now."""
        return bool(self.world.rows("SELECT 1 FROM login_failures WHERE locked_until > now()"))

    async def account_of(self, user: bytes) -> str:
        """An account that the user owns."""
        return await self.world.account_of(self.world.caller(format_id(USER, user), *CUSTOMER))


class Resident:
    """Somebody who is logged in."""

    def __init__(self, town: Town, answer: dict[str, Any]) -> None:
        self.town = town
        self.answer = answer
        self.refresh_token: str = answer.get("refresh_token", "")

    async def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        named = {"Authorization": f"Bearer {self.answer['access_token']}"}
        named |= {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.town.http.request(method, path, json=body, headers=named)

    async def uses_an_app(self) -> tuple[Personal, list[str]]:
        """Secret and recovery codes of a second factor that is confirmed now. Its code of now is used up."""
        secret = await self.enrols()
        confirmed = await self("POST", "/v1/auth/totp/confirm", {"otp": code_at(secret, time.time())})
        assert confirmed.status_code == 200, confirmed.text
        return secret, confirmed.json()["recovery_codes"]

    async def enrols(self) -> Personal:
        enrolled = await self("POST", "/v1/auth/totp/enrol", {"password": PASSWORD})
        assert enrolled.status_code == 200, enrolled.text
        return Personal(enrolled.json()["secret"])


def next_code(secret: Personal) -> str:
    """Of the step after the present one: a clock that is a step ahead shows it."""
    return code_at(secret, time.time() + STEP_S)
