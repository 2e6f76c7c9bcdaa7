"""The installation that is fuzzed: one that runs already, or one of its own; with something in it to find."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import httpx

from ingest_api.identity.tokens import ALL_SCOPES, issue_token
from tests.support.environment import running_installation

TOKEN_TTL_S = 6 * 3_600
"""20,000 cases take 10 to 40 minutes."""

_TIMEOUT_S = 60.0
USER = "usr_00000000000000000000000042"


class Target(NamedTuple):
    """Where to send cases, as whom, and ids that lead somewhere, by the name of a path's parameter."""

    url: str
    token: str
    known_ids: dict[str, str]


@contextmanager
def own_installation(home: Path) -> Iterator[Target]:
    """A whole installation that ends with the run."""
    with running_installation(home) as environment:
        settings = environment.settings
        token = issue_token(settings, "fuzz", ALL_SCOPES, TOKEN_TTL_S)
        yield furnished(f"http://{settings.api_host}:{settings.api_port}", token)


def furnished(url: str, token: str) -> Target:
    """An installation with accounts, a payment, a hold and a schedule in it. Raises httpx.HTTPError, KeyError."""
    headers = {"Authorization": f"Bearer {token}", "Prefer": "wait=30"}
    with httpx.Client(base_url=url, headers=headers, timeout=_TIMEOUT_S) as http:
        payer, payee = (_made(http, "/v1/accounts", {"currency": "EUR", "owners": [_OWNER]}) for _ in range(2))
        _made(http, f"/v1/accounts/{payer}/deposit", {"amount": "1000.00", "currency": "EUR", "method": "cash"})
        parties = {"from_account": payer, "to_account": payee, "amount": "10.00", "currency": "EUR"}
        payment = _made(http, "/v1/transfers", parties)
        in_an_hour = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
        hold = _made(http, "/v1/holds", parties | {"expires_at": in_an_hour})
        schedule = _made(http, "/v1/scheduled-transfers", parties | {"starts": "2099-01-01"})
    ids = {"account_id": payer, "payment_id": payment, "hold_id": hold, "schedule_id": schedule, "user_id": USER}
    return Target(url, token, ids)


_OWNER = {"user": USER, "role": "owner"}


def _made(http: httpx.Client, path: str, body: dict[str, Any]) -> str:
    answer = http.post(path, json=body, headers={"Idempotency-Key": secrets.token_hex(8)})
    answer.raise_for_status()
    made: str = answer.json()["id"]
    return made
