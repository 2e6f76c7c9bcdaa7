"""The Locust plan: each user logs in once, then pays a cent and reads the balance that it has left, again and again.

Runs against any installation: MILLRACE_LOAD names a file as `python -m benchmarks.locust` writes it (authority,
password and a list of payers), `locust -f benchmarks/locust/plan.py --host https://…` does the rest.
"""

import json
import os
import ssl
import uuid
from itertools import count
from pathlib import Path
from typing import Any

from locust import FastHttpUser, constant, task

VARIABLE = "MILLRACE_LOAD"
_numbers = count()


class Payer(FastHttpUser):  # type: ignore[misc]  # Locust is an extra, and its types are not complete
    """One user of the gateway."""

    wait_time = constant(0)
    insecure = False

    def __init__(self, environment: Any) -> None:
        self._load = json.loads(Path(os.environ[VARIABLE]).read_text())
        super().__init__(environment)
        payers = self._load["payers"]
        self._payer = payers[next(_numbers) % len(payers)]
        self._token: dict[str, str] = {}

    def ssl_context_factory(self) -> Any:
        """Trusts the gateway's own authority alone."""
        return ssl.create_default_context(cafile=self._load["authority"])

    def on_start(self) -> None:
        """Log in."""
        form = {"grant_type": "password", "username": self._payer["username"], "password": self._load["password"]}
        with self.client.post("/v1/oauth/token", data=form, name="log in", catch_response=True) as answer:
            self._token = {"Authorization": f"Bearer {answer.json()['access_token']}"}

    @task  # type: ignore[untyped-decorator]
    def pay_and_look(self) -> None:
        """A transfer with a key of its own, then a read that shows at least that transfer."""
        body = {"from_account": self._payer["account"], "to_account": self._payer["payee"], "amount": "0.01"}
        keyed = self._token | {"Idempotency-Key": str(uuid.uuid4())}
        paid = self.client.post("/v1/transfers", json=body | {"currency": "EUR"}, headers=keyed, name="transfer")
        seen = self._token | {"Consistency-Token": paid.headers.get("Consistency-Token", "")}
        path = f"/v1/accounts/{self._payer['account']}/balance"
        self.client.get(path, headers=seen, name="balance after it")
