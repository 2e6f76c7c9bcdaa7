"""A service for tests of the harness: it runs until it is killed, or ends with the code that it was started with."""

import os
import sys
import time

ENDS_WITH = "ENDS_WITH"
LIVES_S = 60

if __name__ == "__main__":
    if ENDS_WITH in os.environ:
        sys.exit(int(os.environ[ENDS_WITH]))
    time.sleep(LIVES_S)
