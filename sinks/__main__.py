"""`python -m sinks`: the sink as a process of its own, configured by the environment."""

import sys

from runtime.log_lines import log_to_stderr
from runtime.settings import Settings
from sinks.service import run

if __name__ == "__main__":
    log_to_stderr()
    sys.exit(run(Settings()))
