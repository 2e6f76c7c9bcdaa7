"""`python -m connectors.sandbox --state FILE [--port N] [--webhook-url URL]`: the Stripe-shaped provider as a process.

Prints its address. The webhook's secret comes from STRIPE_WEBHOOK_SECRET, because a command line is for all to see.
"""

import argparse
import os
import sys
from pathlib import Path

from pydantic import SecretStr

from connectors.sandbox.server import HOST, serve
from connectors.sandbox.webhooks import Endpoint

SECRET_VARIABLE = "STRIPE_WEBHOOK_SECRET"


def webhook_of(url: str) -> Endpoint | None:
    """Raises SystemExit where there is a URL and no secret."""
    secret = os.environ.get(SECRET_VARIABLE, "")
    if not url:
        return None
    if not secret:
        raise SystemExit(f"a webhook needs a secret to be signed with: set {SECRET_VARIABLE}")
    return Endpoint(url, SecretStr(secret))


def announce(address: str) -> None:
    sys.stdout.write(f"{address}\n")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m connectors.sandbox")
    parser.add_argument("--state", type=Path, required=True, help="SQLite file that keeps everything")
    parser.add_argument("--port", type=int, default=0, help="default: any free one")
    parser.add_argument("--webhook-url", default="", help="where events are sent")
    given = parser.parse_args()
    serve(HOST, given.port, given.state, webhook_of(given.webhook_url), announce)


if __name__ == "__main__":
    main()
