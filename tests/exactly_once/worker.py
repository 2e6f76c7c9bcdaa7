"""A worker process of the application under test: `python -m tests.exactly_once.worker RUN {plain|faust} [MUTANT]`."""

import signal
import sys
import threading

from runtime.exactly_once.engine import run_plain
from runtime.settings import Settings
from tests.exactly_once.account_sums import AccountSums


def main(run: str, mode: str) -> None:
    store = AccountSums(run)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    run_plain(run, store, Settings(), store.decide, stop)


if __name__ == "__main__":
    main(*sys.argv[1:])
