"""How long a connection waits for a server that has vanished without a word.

Asked of the socket: on loopback the kernel answers for whoever is gone, so that the wait itself can't be seen here.
"""

import os
import socket
from typing import Any

import psycopg


def noticed_after_ms(connection: psycopg.Connection[Any] | psycopg.AsyncConnection[Any]) -> tuple[int, int]:
    """With something under way, and with nothing. Twelve minutes or more where nobody has said anything (0: never)."""
    with socket.socket(fileno=os.dup(connection.fileno())) as line:
        unanswered = line.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
        if not line.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE):
            return unanswered, 0
        options = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
        idle_s, interval_s, count = (line.getsockopt(socket.IPPROTO_TCP, option) for option in options)
    return unanswered, (idle_s + interval_s * count) * 1000
