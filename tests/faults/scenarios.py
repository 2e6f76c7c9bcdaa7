"""The fault matrix: name → scenario, one line each."""

from functools import partial

from tests.faults.commerce import faults as commerce
from tests.faults.commerce.environment import WithProvider
from tests.faults.commerce.faults import CONNECTORS
from tests.faults.commerce.load import CheckoutLoad
from tests.faults.http_api import faults as http_api
from tests.faults.http_api.load import HttpLoad
from tests.faults.installation import settings_of
from tests.faults.kafka import brokers, changelog, membership, network, transactions
from tests.faults.kafka.environments import BrokersBehindLines, behind_lines, brokers_with
from tests.faults.load import Load
from tests.faults.scenario import Break, Scenario, nothing
from tests.faults.tables_and_api import clocks, full_disk, postgres, sink
from tests.faults.tables_and_api.replica import asynchronous_replica, synchronous_replica
from tests.faults.upgrade import rollout


def _networked(what: str, faults: Break, brokers: int = 3) -> Scenario:
    return Scenario(what, faults, brokers=brokers, environment=BrokersBehindLines, surround=behind_lines)


def _by_http(what: str, faults: Break) -> Scenario:
    return Scenario(what, faults, load=HttpLoad, others=("api",))


SCENARIOS: dict[str, Scenario] = {
    "nothing": Scenario("load alone", nothing),
    "worker_kill": Scenario("kill -9 of one or both workers, again and again", membership.worker_kill),
    "worker_failpoint": Scenario("kill -9 at every step of the commit cycle", membership.worker_failpoint),
    "worker_restore_kill": Scenario("kill -9 while a worker restores", membership.worker_restore_kill),
    "worker_zombie": Scenario("SIGSTOP beyond the session, then SIGCONT", membership.worker_zombie),
    "worker_zombie_in_commit": Scenario(
        "SIGSTOP in a commit, beyond the session, then SIGCONT", membership.worker_zombie_in_commit
    ),
    "worker_stall": Scenario(
        "SIGSTOP in a commit, beyond the transaction, within the session",
        membership.worker_stall,
        surround=settings_of(session_timeout_ms=membership.LONG_SESSION_MS),
    ),
    "poll_interval": Scenario(
        "a worker does not poll, its client does",
        membership.poll_interval_exceeded,
        surround=settings_of(max_poll_interval_ms=membership.POLL_INTERVAL_MS),
    ),
    "agent_exception": Scenario("a bug raises in the middle of a decision", membership.agent_exception),
    "same_slot": Scenario("two processes with one slot", membership.same_slot),
    "rebalance": Scenario("a worker joins and leaves, static membership", membership.rebalance_storm),
    "rebalance_classic": Scenario(
        "a worker joins and leaves every 3-7 s, classic protocol, range",
        membership.rebalance_storm,
        surround=settings_of(static_membership="false"),
    ),
    "rebalance_848": Scenario(
        "a worker joins and leaves every 3-7 s, KIP-848, range",
        membership.rebalance_storm,
        surround=settings_of(static_membership="false", group_protocol="consumer"),
    ),
    "oversized": Scenario(
        "the largest records there may be, and kill -9 of workers",
        membership.worker_kill,
        load=partial(Load, large_batch_every_s=3),
    ),
    "compacted_tail": Scenario(
        "compacted snapshots, aborted and open transactions at the end, kill -9 of both workers",
        changelog.compacted_and_half_aborted,
        environment=brokers_with(log_cleaner_backoff_ms="500"),
    ),
    "hanging_transaction": Scenario(
        "a stray write: found by the watch, explained and ended by the command",
        transactions.hanging,
        environment=brokers_with(transaction_partition_verification_enable="false"),
    ),
    "marker_kept": Scenario(
        "a transaction ends while a partition has no leader (KAFKA-20734)",
        transactions.marker_of_a_leaderless_partition,
        brokers=3,
    ),
    "poison": Scenario("one record in a hundred can't be decided", nothing, load=partial(Load, poison_per_mille=10)),
    "poison_kill": Scenario(
        "poison, and kill -9 of workers", membership.worker_kill, load=partial(Load, poison_per_mille=10)
    ),
    "sink_kill": Scenario("kill -9 of the sink, before and after COMMIT", sink.sink_kill),
    "postgres_disk_full": Scenario(
        "no space left on Postgres' disk",
        full_disk.full_disk,
        environment=full_disk.disk_of_postgres,
        surround=full_disk.emptied_after,
    ),
    "broker_disk_full": Scenario(
        "no space left on the broker's disk",
        full_disk.full_disk,
        environment=full_disk.disk_of_broker,
        surround=full_disk.emptied_after,
    ),
    "clock_jump": Scenario(
        "the clock of broker, workers and sink jumps by an hour",
        clocks.clock_jump,
        environment=clocks.OneClock,
        surround=clocks.one_clock,
    ),
    "rolling_upgrade": Scenario(
        "workers restarted one by one into a release with a second schema version",
        rollout.rolling_upgrade,
        duration_s=1,
        fresh_each_seed=True,
    ),
    "http": _by_http("load by HTTP: early give-ups, tenfold submissions", nothing),
    "api_kill": _by_http("kill -9 of the API with requests in flight", http_api.api_kill),
    "api_restart": _by_http("SIGTERM of the API with requests in flight", http_api.api_restart),
    "http_kill_all": _by_http("kill -9 of API, workers, sink and Postgres in turn", http_api.each_in_turn),
    "checkout": Scenario(
        "kill -9 of workers, connectors and the payment provider in turn, with orders in flight",
        commerce.each_in_turn,
        load=CheckoutLoad,
        others=(CONNECTORS,),
        environment=WithProvider,
    ),
    "postgres_kill": Scenario("kill -9 of Postgres", postgres.kill),
    "postgres_restart": Scenario("clean restart of Postgres", postgres.restart),
    "postgres_cut": Scenario(
        "connections cut before and after COMMIT", postgres.cut_around_commit, surround=postgres.behind_line
    ),
    "postgres_failover": Scenario(
        "failover to a synchronous replica",
        postgres.failover,
        duration_s=1,
        surround=synchronous_replica,
        fresh_each_seed=True,
    ),
    "postgres_failover_behind": Scenario(
        "failover to an asynchronous replica that is 2 s behind",
        postgres.failover_behind,
        duration_s=1,
        surround=asynchronous_replica,
        fresh_each_seed=True,
    ),
    "broker_kill": Scenario("kill -9 of the only broker", brokers.kill),
    "broker_restart": Scenario("clean restart of the only broker", brokers.restart),
    "broker_kill_3": Scenario("kill -9 of one of three brokers (RF 3)", brokers.kill, brokers=3),
    "broker_rolling_restart": Scenario(
        "clean restart of all three brokers in turn", brokers.rolling_restart, brokers=3
    ),
    "transaction_coordinator_kill": Scenario(
        "kill -9 of the leader of __transaction_state", brokers.transaction_coordinator_kill, brokers=3
    ),
    "group_coordinator_kill": Scenario(
        "kill -9 of the leader of __consumer_offsets", brokers.group_coordinator_kill, brokers=3
    ),
    "ledger_leader_kill": Scenario(
        "kill -9 of the leader of a ledger partition", brokers.ledger_leader_kill, brokers=3
    ),
    "coordinator_move": Scenario("coordinators move in mid-transaction", brokers.coordinator_move, brokers=3),
    "too_few_in_sync": Scenario("two of three brokers down: ISR below min.isr", brokers.too_few_in_sync, brokers=3),
    "latency": _networked("2-80 ms between services and brokers", network.latency, brokers=1),
    "delayed_end_txn": _networked("an EndTxn that is 1-30 s late", network.delayed_end_txn, brokers=1),
    "transaction_coordinator_cut": _networked(
        "all brokers are reached but not the transaction coordinator", network.transaction_coordinator_cut
    ),
    "group_coordinator_cut": _networked(
        "all brokers are reached but not the group coordinator", network.group_coordinator_cut
    ),
    "broker_cut": _networked("one of three brokers refuses the services", network.cut),
    "broker_black_hole": _networked("one of three brokers answers nothing", network.black_hole),
    "fetches_half_open": _networked("the connections that fetch are half open", network.fetches_half_open, brokers=1),
    "broker_half_open": _networked("one of three brokers has lost its connections", network.half_open),
}
