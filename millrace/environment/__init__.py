"""Real Kafka and Postgres as child processes of one supervisor: no Docker, system Java or system Postgres needed."""

from millrace.environment.connection import connected
from millrace.environment.faults import EnvironmentFault
from millrace.environment.local import LocalEnvironment

__all__ = ["EnvironmentFault", "LocalEnvironment", "connected"]
