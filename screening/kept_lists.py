"""The lists in force in the memory of one process: read when they are first needed, and again when a newer version is
stored.

Which version is the newest is asked before each screening, 0.1 ms beside the 3 ms that a screening takes: no index is
ever older than the screening that it is used for. Building one takes about 1.2 s for 20,000 entries; whoever screens
meanwhile waits for it.
"""

import threading
from typing import Final

from psycopg import Connection

from payments.screening.index import NameIndex
from screening.stored_lists import ListsInForce, lists_in_force

_NEWEST: Final = "SELECT coalesce(max(version), 0) FROM screening_lists"


class KeptLists:
    """Safe to share between threads."""

    def __init__(self) -> None:
        self._lists = ListsInForce(NameIndex([]), {})
        self._building = threading.Lock()

    def current(self, connection: Connection) -> ListsInForce:
        """All lists as they stand. Raises psycopg.Error."""
        with self._building:
            row = connection.execute(_NEWEST).fetchone()
            if row != (self._lists.newest,):
                self._lists = lists_in_force(connection)
            return self._lists
