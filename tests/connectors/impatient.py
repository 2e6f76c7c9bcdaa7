"""`python -m tests.connectors.impatient …`: the command `millrace`, its connectors waiting for seconds, not minutes."""

from connectors import attempt
from millrace.cli import main

if __name__ == "__main__":
    attempt.CALL_TIMEOUT_S = 2  # type: ignore[misc]
    attempt.BACKOFF_S = (0.05, 0.1)  # type: ignore[misc]
    attempt.ATTEMPT_DELAYS_US = (300_000, *[1_000_000] * 7)  # type: ignore[misc]
    main()
