"""What can go wrong with a local environment. A message is one line that says what to do; the CLI prints it, exits 1.

EnvironmentFault
├── DownloadFault        the registry does not answer, or what it sent is wrong
├── PortTaken            somebody listens where a server should
├── EnvironmentBusy      another environment runs in the same home
├── NotRunning           nothing answers in this home
└── StartFault           a child process did not become ready
"""


class EnvironmentFault(Exception):
    """The environment can't do what was asked; `str()` names the cause and the remedy."""


class DownloadFault(EnvironmentFault):
    """A file could not be fetched, or its checksum is not the pinned one."""


class PortTaken(EnvironmentFault):
    """An address that a local server needs is in use."""


class EnvironmentBusy(EnvironmentFault):
    """The home belongs to an environment that is running."""


class NotRunning(EnvironmentFault):
    """No environment runs in this home."""


class StartFault(EnvironmentFault):
    """A child process ended, or was not ready in time."""
