"""Goal: whatever matters for security leaves an entry of its own in the audit log, with who, whom, before and after.

Method: the writing operations of the OpenAPI document. Each either leaves an action, which is tried below over HTTP, or
is excused: then its call is an entry (audit_log/calls.py), and something else tells what it changed.
"""

import re
from typing import Any, Final

import psycopg

from ingest_api.app import make_fastapi
from ingest_api.audit_log.witness import Witness
from ingest_api.identity.directories.shadow import Known, user_of
from ingest_api.identity.passwords.throttle import FREE_OF_NAME
from ingest_api.identity.roles import UserRole
from ingest_api.identity.users.user import Field, User, UserStatus
from payments.identifiers import USER, format_id
from runtime.personal_data.keyring import Keyring
from runtime.personal_data.personal import Personal
from runtime.personal_data.store import PersonalData
from schemas.tables.notifications import PREVIOUS_MAX
from schemas.tables.security_actions import SecurityAction as Did
from tests.ingest_api.identity.people import ANNA, PASSWORD, Town, next_code
from tests.ingest_api.owners.world import CUSTOMER

Route = tuple[str, str]
NAME: Final = format_id(USER, ANNA)
WRITING: Final[list[Route]] = [
    (method.upper(), path)
    for path, methods in make_fastapi().openapi()["paths"].items()
    for method in methods
    if method != "get"
]
_LOGIN: Final = {Did.LOGIN_SUCCEEDED, Did.LOGIN_FAILED, Did.LOGIN_LOCKED, Did.REFRESH_TOKEN_REUSED}
RECORDED: Final[dict[Route, set[Did]]] = {
    ("POST", "/v1/oauth/token"): _LOGIN,
    ("POST", "/v1/auth"): _LOGIN,
    ("POST", "/v1/generate_token/{account_id}"): _LOGIN,
    ("PUT", "/v1/generate_token/{account_id}"): _LOGIN,
    ("DELETE", "/v1/auth/sessions"): {Did.SESSIONS_ENDED},
    ("DELETE", "/v1/auth/sessions/{session_id}"): {Did.SESSION_ENDED},
    ("PUT", "/v1/auth/password"): {Did.PASSWORD_CHANGED},
    ("POST", "/v1/auth/totp/enrol"): {Did.SECOND_FACTOR_ENROLLED},
    ("POST", "/v1/auth/totp/confirm"): {Did.SECOND_FACTOR_CONFIRMED},
    ("POST", "/v1/auth/totp/disable"): {Did.SECOND_FACTOR_DISABLED},
    ("POST", "/v1/auth/totp/recovery-codes"): {Did.RECOVERY_CODES_REPLACED},
    ("POST", "/v1/auth/step-up"): {Did.SECOND_FACTOR_GIVEN},
    ("POST", "/v1/user"): {Did.USER_CREATED},
    ("POST", "/v1/users"): {Did.USER_CREATED},
    ("PUT", "/v1/user"): {Did.USER_CHANGED, Did.BANK_ACCOUNT_LINKED, Did.BANK_ACCOUNT_UNLINKED},
    ("PUT", "/v1/user/{user_id}"): {Did.USER_CHANGED, Did.BANK_ACCOUNT_LINKED, Did.BANK_ACCOUNT_UNLINKED},
    ("POST", "/v1/user/{user_id}/accounts"): {Did.BANK_ACCOUNT_LINKED},
    ("DELETE", "/v1/user/{user_id}/accounts/{bank_account_id}"): {Did.BANK_ACCOUNT_UNLINKED},
    ("DELETE", "/v1/account/{bank_account_id}"): {Did.BANK_ACCOUNT_UNLINKED},
    ("DELETE", "/v1/aliases/{alias_id}"): {Did.BANK_ACCOUNT_UNLINKED},
    ("POST", "/v1/api-keys"): {Did.API_KEY_CREATED},
    ("POST", "/v1/api-keys/{key_id}/roll"): {Did.API_KEY_ROLLED},
    ("DELETE", "/v1/api-keys/{key_id}"): {Did.API_KEY_REVOKED},
    ("POST", "/v1/webhook-endpoints"): {Did.WEBHOOK_ENDPOINT_CREATED},
    ("PATCH", "/v1/webhook-endpoints/{endpoint_id}"): {Did.WEBHOOK_ENDPOINT_CHANGED},
    ("DELETE", "/v1/webhook-endpoints/{endpoint_id}"): {Did.WEBHOOK_ENDPOINT_CHANGED},
    ("POST", "/v1/webhook-endpoints/{endpoint_id}/rotate-secret"): {Did.WEBHOOK_SECRET_ROTATED},
    ("PUT", "/v1/notification-preferences"): {Did.NOTIFICATIONS_CHANGED},
    ("POST", "/v1/notification-devices"): {Did.NOTIFICATIONS_CHANGED},
    ("DELETE", "/v1/notification-devices/{device_id}"): {Did.NOTIFICATIONS_CHANGED},
    ("POST", "/v1/notifications/unsubscribe/{token}"): {Did.NOTIFICATIONS_CHANGED},
}

_LEDGER: Final = "a command: the ledger's own hash chain has it, with its outcome"
_ROWS: Final = "its rows say who changed what and when, and are never changed or deleted"
EXCUSED: Final = {
    r"/v1/accounts/\{account_id\}/owners.*": "account_owner_changes, written by a trigger",
    r"/v1/accounts(/.*)?": _LEDGER,
    r"/v1/(transfers|holds|deposits|withdrawals|wallet|disputes|receivables|ledger|payments|payment)\b.*": _LEDGER,
    r"/v1/(refunds|payouts)\b.*": _LEDGER,
    r"/v1/(order|orders|transaction)\b.*": _LEDGER,
    r"/v1/(external-banks/\{bank_id\}/transfers|cases/.*|attempts/.*)": _LEDGER,
    r"/v1/(aliases|scheduled-transfers|screening|parties|quarantine)\b.*": _ROWS,
    r"/v1/(external-banks|user/\{user_id\}/accounts/\{bank_account_id\}/verify)": _ROWS,
    r"/v1/reconciliation\b.*": _ROWS,
    r"/v1/(fx/quotes|risk)": "moves and changes nothing",
    r"/v1/psp/.*": "a provider's event, kept as it came; it decides nothing",
    r"/v1/webhook-endpoints/\{endpoint_id\}/(test|deliveries.*)": "the delivery's row",
    r"/v1/failed-notices/.*": "the notice's row",
    r"/v1/services\b.*|/eureka/.*": "the register of services: an instance's own standing, for seconds",
}
"""Path → what tells of the change beside the call's entry."""


def test_every_write_leaves_an_action_or_is_excused() -> None:
    unrecorded = [route for route in WRITING if route not in RECORDED]
    undecided = [route for route in unrecorded if not any(re.fullmatch(pattern, route[1]) for pattern in EXCUSED)]
    assert undecided == [], "record what it changes, or enter why not"


def test_what_is_entered_above_is_there() -> None:
    assert RECORDED.keys() <= set(WRITING)
    of_commands = {Did.CLIENT_CREATED, Did.CLIENT_REVOKED, Did.USER_ROLES_CHANGED, Did.USER_STATUS_CHANGED}
    assert set(Did) - set().union(*RECORDED.values()) == of_commands, "no route does these: commands and directories do"


def entries(town: Town, action: Did) -> list[dict[str, Any]]:
    return town.world.rows(
        "SELECT actor, object, before, after, request_id FROM audit_entries WHERE action = %s ORDER BY at", action
    )


async def test_logins(town: Town) -> None:
    await town.settles(ANNA, "anna")
    anna = await town.logs_in()
    await town.tries(password="wrong")
    await town.tries(username="nobody.at.all", password="wrong")
    for _ in range(FREE_OF_NAME):
        await town.tries(password="wrong")
    town.locks_last(FREE_OF_NAME)
    await town.tries(password="wrong")
    first = anna.refresh_token
    for _ in range(2):
        first = (await town.refreshes(first)).json()["refresh_token"]
    await town.refreshes(anna.refresh_token)
    assert [(row["actor"], row["object"]) for row in entries(town, Did.LOGIN_SUCCEEDED)] == [(NAME, NAME)]
    failed = entries(town, Did.LOGIN_FAILED)
    assert {(row["actor"], row["object"], row["after"]["factor"]) for row in failed} == {
        (None, NAME, "password"),
        (None, None, "password"),
    }
    assert entries(town, Did.LOGIN_LOCKED)[0]["object"] == NAME
    [reused] = entries(town, Did.REFRESH_TOKEN_REUSED)
    assert (reused["object"], reused["after"]["session"][:4]) == (NAME, "ses_")
    assert "wrong" not in str(town.world.rows("SELECT * FROM audit_entries"))


async def test_what_users_change_about_their_login(town: Town) -> None:
    await town.settles(ANNA, "anna")
    anna = await town.logs_in()
    secret, codes = await anna.uses_an_app()
    await anna("POST", "/v1/auth/step-up", {"otp": next_code(secret)})
    await anna("POST", "/v1/auth/totp/recovery-codes", {"otp": codes[0]})
    other = await anna("GET", "/v1/auth/sessions")
    await anna("PUT", "/v1/auth/password", {"password": PASSWORD, "new_password": "seven tulips hammering"})
    codes = (await anna("POST", "/v1/auth/totp/recovery-codes", {"otp": codes[1]})).json().get("recovery_codes", codes)
    await anna("DELETE", f"/v1/auth/sessions/{other.json()['items'][0]['id']}")
    done = {row["action"] for row in town.world.rows("SELECT action FROM audit_entries WHERE object = %s", NAME)}
    assert done >= {
        Did.SECOND_FACTOR_ENROLLED,
        Did.SECOND_FACTOR_CONFIRMED,
        Did.SECOND_FACTOR_GIVEN,
        Did.RECOVERY_CODES_REPLACED,
        Did.PASSWORD_CHANGED,
        Did.SESSION_ENDED,
    }
    told = str(town.world.rows("SELECT before, after FROM audit_entries"))
    assert not any(text in told for text in ("seven tulips", secret.reveal(), *codes))


async def test_users_links_and_endpoints(town: Town) -> None:
    world = town.world
    signed_up = await town.http.post(
        "/v1/user", json={"username": "carl", "password": PASSWORD, "email": "carl@example.com"}
    )
    user = signed_up.json()["userId"]
    carl = world.caller(user, *CUSTOMER)
    account = await world.account_of(carl)
    await carl("PUT", f"/v1/user/{user}", {"email": "carl2@example.com"})
    number = {"bankAccountNumber": "123456789", "bankRoutingNumber": "021000021", "accountId": account}
    linked = (await carl("POST", f"/v1/user/{user}/accounts", number)).json()["bankAccountId"]
    await carl("DELETE", f"/v1/account/{linked}")
    endpoint = (await carl("POST", "/v1/webhook-endpoints", {"url": "https://carl.example/"})).json()["id"]
    await carl("PATCH", f"/v1/webhook-endpoints/{endpoint}", {"status": "disabled"})
    await carl("POST", f"/v1/webhook-endpoints/{endpoint}/rotate-secret")
    [changed] = entries(town, Did.USER_CHANGED)
    assert (changed["actor"], changed["object"]) == (user, user)
    assert changed["before"].pop("contacts_before")
    assert changed["before"] == changed["after"] == {"user.email": "(personal)"}
    [link], [unlink] = entries(town, Did.BANK_ACCOUNT_LINKED), entries(town, Did.BANK_ACCOUNT_UNLINKED)
    assert (link["object"], link["after"]) == (user, {"bank_account": linked, "status": "pending"})
    assert (unlink["object"], unlink["before"]) == (user, {"bank_account": linked})
    [switched] = entries(town, Did.WEBHOOK_ENDPOINT_CHANGED)
    assert (switched["before"]["status"], switched["after"]["status"]) == ("enabled", "disabled")
    assert entries(town, Did.WEBHOOK_SECRET_ROTATED)[0]["object"] == endpoint
    told = str(world.rows("SELECT * FROM audit_entries"))
    assert not any(text in told for text in ("carl2@", "123456789", "whsec_", PASSWORD))


async def test_what_a_directory_changes_at_a_login_is_its_own_doing(town: Town) -> None:
    users, witness = town.identity.users, Witness(town.world.services.audit, None, "r-1")
    known = Known("ldap", "entry-1", Personal("dora"), frozenset({UserRole.OPERATOR}))
    for roles in ({UserRole.OPERATOR}, {UserRole.FINANCE}, {UserRole.FINANCE}):
        dora = await user_of(users, known._replace(roles=frozenset(roles)), witness)
    assert dora is not None
    [made], [changed] = entries(town, Did.USER_CREATED), entries(town, Did.USER_ROLES_CHANGED)
    assert (made["actor"], made["after"]["roles"]) == ("ldap", ["operator"])
    assert (changed["before"], changed["after"]) == ({"roles": ["operator"]}, {"roles": ["finance"]})
    assert (changed["actor"], changed["object"]) == ("ldap", format_id(USER, dora.user))


async def test_contacts_of_before_are_kept_sealed_and_the_first_ones_stay(town: Town) -> None:
    """Whoever takes a login over and changes its address again and again does not keep its owner from being told."""
    await town.settles(ANNA, "anna")
    witness = Witness(town.world.services.audit, NAME, "r-1")
    for number in range(PREVIOUS_MAX + 2):
        change = {Field.EMAIL: Personal(f"thief{number}@example.com")}
        assert isinstance(await town.identity.users.change(ANNA, change, witness=witness), User)
    names = [name for row in entries(town, Did.USER_CHANGED) for name in row["before"].get("contacts_before", ())]
    assert len(names) == PREVIOUS_MAX
    settings = town.world.services.settings
    async with await psycopg.AsyncConnection.connect(settings.database_url) as connection:
        kept = await PersonalData(Keyring.of(settings)).values(connection, ANNA, *names)
    assert kept[names[0]] == Personal("anna@example.com")


async def test_roles_and_standing(town: Town) -> None:
    """A change that is rolled back leaves no entry, and an entry is never there without its change."""
    await town.settles(ANNA, "anna")
    users, witness = town.identity.users, Witness(town.world.services.audit, "an operator", "r-1")
    await users.set_roles(ANNA, [UserRole.FINANCE], witness)
    await users.set_status(ANNA, UserStatus.SUSPENDED, witness)
    [roles], [status] = entries(town, Did.USER_ROLES_CHANGED), entries(town, Did.USER_STATUS_CHANGED)
    assert (roles["before"], roles["after"]) == ({"roles": ["customer"]}, {"roles": ["finance"]})
    assert (status["before"], status["after"]) == ({"status": "active"}, {"status": "suspended"})
    assert roles["actor"] == "an operator"
