"""Goal: nobody reads or changes what is another user's, by any route, and nobody can tell that it exists.

Method: the matrix is made from the routes of the app. Berta asks for what is Anna's and for what does not exist, and is
told the same; nothing is sent and no row changes. Anna's own call shows that it was not refused for another reason. A
route that names nobody's things, or names them in a new way, has to be entered below: that is its decision.
"""

import re
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from ingest_api.app import make_fastapi
from ingest_api.identity.machines.key import KEY
from ingest_api.identity.tokens import Scope
from payments.identifiers import ACCOUNT, ORDER, PAYMENT, SCHEDULE, format_id
from schemas.tables.notifications import DEVICE
from tests.ingest_api.owners import stored
from tests.ingest_api.owners.world import ANNA, BERTA, CARLA, Caller, World
from tests.ingest_api.people import things
from tests.ingest_api.webhooks import hooks
from tests.support.side_by_side import sampled

Route = tuple[str, str]
ROUTES: list[Route] = [
    (method.upper(), path) for path, methods in make_fastapi().openapi()["paths"].items() for method in methods
]


class Things(NamedTuple):
    """What is somebody's, by the name that it has in a path."""

    user_id: str
    key_id: str
    account_id: str
    payment_id: str
    alias_id: str
    schedule_id: str
    order_id: str
    payment_order_id: str
    payout_id: str
    deposit_id: str = stored.NOBODYS["deposit_id"]
    withdrawal_id: str = stored.NOBODYS["withdrawal_id"]
    hold_id: str = stored.NOBODYS["hold_id"]
    dispute_id: str = stored.NOBODYS["dispute_id"]
    receivable_id: str = stored.NOBODYS["receivable_id"]
    journal_id: str = stored.NOBODYS["journal_id"]
    bank_id: str = things.NOBODYS["bank_id"]
    bank_account_id: str = things.NOBODYS["bank_account_id"]
    transfer_id: str = things.NOBODYS["transfer_id"]
    quote_id: str = stored.NOBODYS["quote_id"]

    endpoint_id: str = hooks.NOBODYS["endpoint_id"]
    delivery_id: str = hooks.NOBODYS["delivery_id"]
    event_id: str = hooks.NOBODYS["event_id"]
    device_id: str = format_id(DEVICE, b"\x79" * 16)


NOBODYS = Things(
    CARLA,
    format_id(KEY, b"\x70" * 16),
    format_id(ACCOUNT, b"\x71" * 16),
    format_id(PAYMENT, b"\x72" * 16),
    format_id("als", b"\x73" * 16),
    format_id(SCHEDULE, b"\x74" * 16),
    format_id(ORDER, b"\x75" * 16),
    "order-nobody",
    format_id(PAYMENT, b"\x76" * 16),
)
PAYMENT_ORDERS: set[Route] = {
    ("GET", "/v1/payments/{payment_id}"),
    ("GET", "/v1/payment/{payment_id}"),
    ("POST", "/v1/refunds/{payment_id}"),
    ("POST", "/v1/orders/{order_id}/deliver"),
}
"""Here the path names a payment order, by the caller's own id of it."""

PAYEE = format_id(ACCOUNT, b"\x77" * 16)
PARTIES = {"amount": "1.00", "currency": "EUR"}
BODIES: dict[Route, Callable[[Things], Any]] = {
    **things.BODIES,
    ("POST", "/v1/transfers"): lambda its: PARTIES | {"from_account": its.account_id, "to_account": PAYEE},
    ("POST", "/v1/accounts/{account_id}/deposit"): lambda its: PARTIES,
    ("POST", "/v1/accounts/{account_id}/withdraw"): lambda its: PARTIES,
    ("POST", "/v1/deposits/{deposit_id}/return"): lambda its: {"code": "A"},
    ("POST", "/v1/withdrawals/{withdrawal_id}/return"): lambda its: {"code": "AC04"},
    ("POST", "/v1/holds"): lambda its: (
        PARTIES | {"from_account": its.account_id, "to_account": PAYEE, "expires_at": "2099-01-01T00:00:00Z"}
    ),
    ("POST", "/v1/holds/{hold_id}/capture"): lambda its: {"amount": "1.00"},
    ("POST", "/v1/holds/{hold_id}/increment"): lambda its: {"amount": "1.00"},
    ("POST", "/v1/transfers/{payment_id}/refunds"): lambda its: {},
    ("POST", "/v1/disputes"): lambda its: {"payment": its.payment_id},
    ("POST", "/v1/disputes/{dispute_id}/evidence"): lambda its: {"sha256": "0" * 64},
    ("POST", "/v1/disputes/{dispute_id}/resolve"): lambda its: {"outcome": "won"},
    ("POST", "/v1/wallet/credit"): lambda its: PARTIES | {"user": its.user_id},
    ("POST", "/v1/wallet/debit"): lambda its: PARTIES | {"user": its.user_id},
    ("POST", "/v1/accounts/{account_id}/owners"): lambda its: {"user": BERTA, "role": "co_owner"},
    ("POST", "/v1/api-keys/{key_id}/roll"): lambda its: {},
    ("PUT", "/v1/accounts/{account_id}"): lambda its: {"status": "frozen", "overdraft_limit": "5.00"},
    ("POST", "/v1/aliases"): lambda its: {
        "user": its.user_id,
        "type": "email",
        "value": "berta@example.com",
        "account": its.account_id,
    },
    ("PATCH", "/v1/webhook-endpoints/{endpoint_id}"): lambda its: {"url": "https://berta.example/"},
    ("POST", "/v1/scheduled-transfers"): lambda its: (
        PARTIES | {"from_account": its.account_id, "to_account": PAYEE, "starts": "2099-01-01"}
    ),
    ("PATCH", "/v1/scheduled-transfers/{schedule_id}"): lambda its: {"status": "paused"},
    ("POST", "/v1/payment"): lambda its: {"order_id": its.order_id, "credit_card_info": {"token": "pm_card_visa"}},
    ("POST", "/v1/refunds/{payment_id}"): lambda its: {},
    ("POST", "/v1/orders/{order_id}/deliver"): lambda its: {},
    ("POST", "/v1/risk"): lambda its: PARTIES | {"from_account": its.account_id, "to_account": PAYEE},
    ("POST", "/v1/payouts"): lambda its: PARTIES | {"account": its.account_id, "destination": "ba_1"},
}
"""What to send, where a route takes a body."""

QUERIES: dict[Route, Callable[[Things], str]] = {
    ("GET", "/v1/transactions"): lambda its: f"?account={its.account_id}",
    ("GET", "/v1/aliases"): lambda its: f"?user={its.user_id}",
    ("GET", "/v1/scheduled-transfers"): lambda its: f"?account={its.account_id}",
    ("DELETE", "/v1/order"): lambda its: f"?id={its.order_id}",
    ("GET", "/v1/accounts"): lambda its: f"?user={its.user_id}",
    ("GET", "/v1/holds"): lambda its: f"?account={its.account_id}",
    ("GET", "/v1/disputes"): lambda its: f"?account={its.account_id}",
    ("GET", "/v1/receivables"): lambda its: f"?account={its.account_id}",
    ("GET", "/v1/wallet/balance"): lambda its: f"?user={its.user_id}",
    ("GET", "/v1/balance"): lambda its: f"?accountId={its.account_id}",
    ("GET", "/v1/accounts/{account_id}/statement"): lambda _: "?month=2026-10",
    ("GET", "/v1/accounts/{account_id}/tax-report"): lambda _: "?year=2025",
    ("GET", "/v1/users/{user_id}/tax-report"): lambda _: "?year=2025",
    ("GET", "/v1/events"): lambda its: f"?account={its.account_id}",
}
"""Where a thing is named in the query, or something else has to be."""

_FOR_OPERATORS = (
    "/v1/failed-notices",
    "/v1/quarantine",
    "/v1/attempts",
    "/v1/cases",
    "/v1/screening",
    "/v1/reconciliation",
    "/v1/parties",
    "/v1/audit",
    "/v1/services",
)
_FOR_FINANCE = {
    *things.FOR_OPERATORS,
    ("POST", "/v1/ledger"),
    ("POST", "/v1/ledger/splits"),
    ("POST", "/v1/receivables/{receivable_id}/recover"),
    ("POST", "/v1/receivables/{receivable_id}/write-off"),
}
OPERATORS = {route: 403 for route in ROUTES if route[1].startswith(_FOR_OPERATORS) or route in _FOR_FINANCE}
"""No scope of customers allows these."""

NAME_NOTHING: dict[Route, str] = {
    **things.NAME_NOTHING,
    ("POST", "/v1/accounts"): "opens the caller's own; test_owners has who else may be named",
    ("POST", "/v1/api-keys"): "makes the caller's own",
    ("GET", "/v1/api-keys"): "lists the caller's own",
    ("POST", "/v1/webhook-endpoints"): "makes the caller's own; test_endpoints has whose events it gets",
    ("GET", "/v1/webhook-endpoints"): "lists the caller's own",
    ("GET", "/v1/notification-preferences"): "shows the caller's own",
    ("PUT", "/v1/notification-preferences"): "changes the caller's own",
    ("GET", "/v1/notification-devices"): "lists the caller's own",
    ("POST", "/v1/notification-devices"): "adds to the caller's own",
    ("GET", "/v1/notifications"): "lists what the caller was told",
    ("GET", "/v1/notifications/unsubscribe/{token}"): "for everybody: a page with a button",
    ("POST", "/v1/notifications/unsubscribe/{token}"): "a signed link is the right to it; test_preferences forges some",
    ("GET", "/livez"): "for everybody",
    ("POST", "/v1/psp/{psp}/webhooks"): "signed by a provider; names no user",
    ("GET", "/readyz"): "for everybody",
    ("GET", "/startupz"): "for everybody",
    ("GET", "/metrics"): "for everybody on the operator's network: counts by route",
    ("POST", "/v1/fx/quotes"): "quotes to the caller",
    ("POST", "/v1/payments"): "pays others with the caller's card",
    ("POST", "/v1/order"): "orders from others, and is the caller's own",
    ("POST", "/v1/transfers:batch"): "lines, not a body: tried below, line by line",
}
_OF_LOGINS = ("/v1/auth/", "/v1/oauth/", "/v1/generate_token/", "/.well-known/")
NAME_NOTHING |= {
    route: "tests/ingest_api/identity has strangers who are logged in"
    for route in ROUTES
    if route[1] == "/v1/auth" or route[1].startswith(_OF_LOGINS)
}
MATRIX = [route for route in ROUTES if route not in OPERATORS and route not in NAME_NOTHING]


class Told(NamedTuple):
    """What an answer tells, without what the caller sent."""

    status: int
    body: str


async def told(caller: Caller, route: Route, its: Things) -> Told:
    method, path = route
    names = its._asdict()
    if route in PAYMENT_ORDERS:
        names |= {"payment_id": its.payment_order_id, "order_id": its.payment_order_id}
    where = path.format(**names) + (QUERIES[route](its) if route in QUERIES else "")
    answer = await caller(method, where, BODIES[route](its) if route in BODIES else None)
    body = re.sub(r'"(instance|request_id)":"[^"]*"', "", answer.text)
    for thing in its:
        body = body.replace(thing, "")
    return Told(answer.status_code, body)


async def annas(world: World) -> Things:
    account = await world.account_of(world.anna)
    await world.operator("POST", f"/v1/accounts/{account}/deposit", PARTIES)
    payee = await world.account_of(world.carla)
    body = {"user": ANNA, "type": "email", "value": "anna@example.com", "account": account}
    alias = (await world.anna("POST", "/v1/aliases", body)).json()["id"]
    parties = PARTIES | {"from_account": account, "to_account": payee, "starts": "2099-01-01"}
    schedule = (await world.anna("POST", "/v1/scheduled-transfers", parties)).json()["id"]
    lines = {"lines": [PARTIES | {"seller_account": account}]}
    order = (await world.anna("POST", "/v1/order", lines)).json()["id"]
    of_a_till = {"name": "till", "scopes": ["accounts:read"]}
    key = (await world.anna("POST", "/v1/api-keys", of_a_till)).json()["id"]
    paid, sold = world.paid(account, payee, b"\x41" * 16), world.sold(account, "order-anna")
    paid_out = world.paid_out(account, b"\x42" * 16)
    more = (
        stored.stored_of(world, account, payee)
        | await things.things_of(world, world.anna, account)
        | await hooks.hooks_of(world, world.anna, account, payee)
    )
    device = (await world.anna("POST", "/v1/notification-devices", {"token": "annas phone"})).json()["id"]
    more |= {"device_id": device}
    return Things(ANNA, key, account, paid, alias, schedule, order, sold, paid_out, **more)


HOOKS = ("webhook_endpoints", "webhook_secrets", "webhook_deliveries")


def everything(world: World) -> list[Any]:
    """All that a stranger could change."""
    tables = ("accounts", "account_owners", "account_owner_changes", "aliases", "personal_values", "personal_index")
    return [world.rows(f"SELECT * FROM {table} ORDER BY 1, 2") for table in (*tables, "api_keys", *HOOKS)] + [
        len(world.partition.entries)
    ]


def test_every_route_has_a_decision() -> None:
    known = set(re.findall(r"{(\w+)}", " ".join(path for _, path in MATRIX)))
    assert known <= set(Things._fields), "enter how a stranger would name somebody else's"
    named = {route for route in MATRIX if "{" in route[1]} | BODIES.keys() | QUERIES.keys()
    assert [route for route in MATRIX if route not in named] == [], "a route without a decision: enter it above"
    assert (BODIES.keys() | QUERIES.keys() | NAME_NOTHING.keys()) <= set(ROUTES), "a route that is no more"


async def test_a_stranger_can_do_nothing_and_learns_nothing(world: World) -> None:
    its = await annas(world)
    before = everything(world)
    let_in: list[tuple[Route, Told, Told]] = []
    for route in MATRIX:
        foreign, missing = await told(world.berta, route, its), await told(world.berta, route, NOBODYS)
        if foreign != missing or foreign.status != 404 or everything(world) != before:
            let_in.append((route, foreign, missing))
    assert let_in == []


@pytest.mark.parametrize("route", sampled(MATRIX, 5), ids=" ".join)
async def test_the_owner_is_let_through(world: World, route: Route) -> None:
    """Else the test above shows nothing."""
    its = await annas(world)
    foreign, decided = await told(world.berta, route, its), len(world.partition.entries)
    own = await told(world.anna, route, its)
    assert own != foreign or len(world.partition.entries) > decided


async def test_no_customer_does_what_is_for_operators(world: World) -> None:
    let_in: list[tuple[Route, int]] = []
    for (method, path), status in OPERATORS.items():
        names = dict.fromkeys(re.findall(r"{(\w+)}", path), "0-0-0") | {"party_id": BERTA}
        answer = await world.berta(method, path.format(**names), {})
        if answer.status_code != status:
            let_in.append(((method, path), answer.status_code))
    assert let_in == []


async def test_a_batch_takes_no_line_about_another_ones_account(world: World) -> None:
    its, own = await annas(world), await world.account_of(world.berta)
    lines = [
        BODIES["POST", "/v1/transfers"](which) | {"idempotency_key": str(number)}
        for number, which in enumerate([its, NOBODYS, its._replace(account_id=own)])
    ]
    lines.append(PARTIES | {"kind": "deposit", "account": own, "idempotency_key": "d"})
    lines.append({"kind": "open_account", "currency": "EUR", "idempotency_key": "o"})
    receipt = (await world.berta.batch(lines)).json()
    assert receipt["accepted"] == 1
    assert [(line["line"], line["code"]) for line in receipt["rejected"]] == [
        (1, "account_not_found"),
        (2, "account_not_found"),
        (4, "role_insufficient"),
        (5, "role_insufficient"),
    ]


async def test_a_payee_sees_the_payment_and_not_the_payers_account(world: World) -> None:
    its = await annas(world)
    paid = await world.carla("GET", f"/v1/transfers/{its.payment_id}")
    assert paid.json()["from_account"] == its.account_id
    assert (await world.carla("GET", f"/v1/accounts/{its.account_id}")).status_code == 404


async def test_without_a_role_every_scope_of_customers_shows_nothing(world: World) -> None:
    """A service that may pay, and not for everybody."""
    its = await annas(world)
    till = world.caller("till-7", Scope.PAYMENTS_WRITE, Scope.ACCOUNTS_READ)
    assert (await till("GET", f"/v1/accounts/{its.account_id}")).status_code == 404
    assert (await told(till, ("POST", "/v1/transfers"), its)).status == 404
