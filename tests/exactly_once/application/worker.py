"""One worker of the application under test: `python -m tests.exactly_once.application.worker RUN MODE [MUTANT]`."""

import os
import signal
import sys
import threading

from runtime.exactly_once.engine import run_plain
from runtime.settings import Settings
from tests.exactly_once.application.account_sums import AccountSums
from tests.exactly_once.application.mutants import MUTANTS


def run_plain_worker(run: str) -> None:
    store = AccountSums(run)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    run_plain(run, store, Settings(), store.decide, stop)


def run_faust_worker(run: str) -> None:
    os.environ["ACCOUNT_SUMS_RUN"] = run
    from runtime.faust_app import run_worker
    from tests.exactly_once.application.faust_worker import app

    run_worker(app)


if __name__ == "__main__":
    if len(sys.argv) > 3:
        MUTANTS[sys.argv[3]]()
    {"plain": run_plain_worker, "faust": run_faust_worker}[sys.argv[2]](sys.argv[1])
