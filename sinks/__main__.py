"""`python -m sinks`: the sink as a process of its own, configured by the environment."""

import logging
import sys

from runtime.settings import Settings
from sinks.service import run

if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    sys.exit(run(Settings()))
