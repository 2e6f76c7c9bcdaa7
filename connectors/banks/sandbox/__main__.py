"""`python -m connectors.banks.sandbox --state FILE [--port N]`: the bank as a process. Prints its address.

The client's secret comes from BANK_CLIENT_SECRET, because a command line is for all to see; its id is `millrace`.
"""

import argparse
import os
from pathlib import Path
from typing import Final

from connectors.banks.sandbox.server import BankApi
from connectors.sandbox.__main__ import announce
from connectors.sandbox.server import HOST, serve_application

CLIENT_ID: Final = "millrace"
SECRET_VARIABLE: Final = "BANK_CLIENT_SECRET"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m connectors.banks.sandbox")
    parser.add_argument("--state", type=Path, required=True, help="SQLite file that keeps everything")
    parser.add_argument("--port", type=int, default=0, help="default: any free one")
    given = parser.parse_args()
    secret = os.environ.get(SECRET_VARIABLE, "")
    if not secret:
        raise SystemExit(f"the bank knows its client by a secret: set {SECRET_VARIABLE}")
    serve_application(HOST, given.port, BankApi(given.state, CLIENT_ID, secret).application(), announce)


if __name__ == "__main__":
    main()
