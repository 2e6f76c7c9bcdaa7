"""A line in the test report while tests run.

pytest redirects the descriptor that its reporter writes to, so with unbuffered output a line of a test or a fixture
would be captured with the test's own; and its quiet mode does not know that a line of dots is open.
"""

import pytest
from _pytest.capture import CaptureManager


def report_line(config: pytest.Config, line: str) -> None:
    """Show one line to whoever watches, on a line of its own."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    capture = config.pluginmanager.get_plugin("capturemanager")
    if reporter is None or not isinstance(capture, CaptureManager):
        return
    with capture.global_and_fixture_disabled():
        reporter.write(f"\n{line}\n", flush=True)
