"""The fault matrix: name → scenario, one line each."""

from tests.faults.kafka import brokers, membership
from tests.faults.scenario import Scenario, nothing
from tests.faults.tables_and_api import restarts

SCENARIOS: dict[str, Scenario] = {
    "nothing": Scenario("load alone", nothing),
    "worker_kill": Scenario("kill -9 of one or both workers, again and again", membership.worker_kill),
    "worker_failpoint": Scenario("kill -9 at a step of the commit cycle", membership.worker_failpoint),
    "worker_restore_kill": Scenario("kill -9 while a worker restores", membership.worker_restore_kill),
    "worker_zombie": Scenario("SIGSTOP beyond the session, then SIGCONT", membership.worker_zombie, duration_s=30),
    "worker_stall": Scenario("SIGSTOP beyond the transaction, within the session", membership.worker_stall),
    "same_slot": Scenario("two processes with one slot", membership.same_slot),
    "rebalance": Scenario("a worker joins and leaves every few seconds", membership.rebalance, duration_s=30),
    "poison": Scenario("one record in a hundred can't be decided", nothing, poison_per_mille=10),
    "sink_kill": Scenario("kill -9 of the sink, before and after COMMIT", restarts.sink_kill),
    "postgres_kill": Scenario("kill -9 of Postgres", restarts.postgres_kill),
    "broker_kill": Scenario("kill -9 of the only broker", brokers.broker_kill, duration_s=30),
    "broker_restart": Scenario("clean restart of the only broker", brokers.broker_restart, duration_s=30),
    "broker_kill_3": Scenario("kill -9 of one of three brokers (RF 3)", brokers.broker_kill, duration_s=40, brokers=3),
}
