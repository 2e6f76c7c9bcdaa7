"""Faults of the brokers: killed, restarted one after the other, too few of them, leaders that move."""

import random
import time
from collections.abc import Callable, Iterator

from millrace.environment import LocalEnvironment
from tests.faults.installation import Installation
from tests.faults.kafka import cluster
from tests.faults.kafka.cluster import Place
from tests.faults.scenario import Fault, fault_now

PlaceOf = Callable[[LocalEnvironment, random.Random], Place]


def kill(installation: Installation, rng: random.Random) -> Iterator[Fault]:
    """Of the only one, or of any of three."""
    time.sleep(rng.uniform(2, 4))
    yield from _killed(installation.env, rng.choice(cluster.broker_names(installation.env)), "")


def restart(installation: Installation, rng: random.Random) -> Iterator[Fault]:
    """In order: leaderships are handed over where there is somebody to take them."""
    time.sleep(rng.uniform(2, 4))
    name = rng.choice(cluster.broker_names(installation.env))
    pid = installation.env.restart(name)
    yield fault_now(f"restart of {name}")
    installation.env.wait_restarted(name, pid, cluster.BACK_TIMEOUT_S)
    time.sleep(5)


def rolling_restart(installation: Installation, rng: random.Random) -> Iterator[Fault]:
    """As an upgrade does it: the next one when the last is in sync again."""
    env = installation.env
    time.sleep(rng.uniform(1, 3))
    for name in rng.sample(cluster.broker_names(env), 3):
        pid = env.restart(name)
        yield fault_now(f"restart of {name}")
        env.wait_restarted(name, pid, cluster.BACK_TIMEOUT_S)
        cluster.wait_in_sync(env)


def transaction_coordinator_kill(installation: Installation, rng: random.Random) -> Iterator[Fault]:
    yield from _leader_killed(installation, rng, lambda env, draw: cluster.transaction_place(env, draw.randrange(2)))


def group_coordinator_kill(installation: Installation, rng: random.Random) -> Iterator[Fault]:
    yield from _leader_killed(installation, rng, lambda env, _: cluster.group_place(env))


def ledger_leader_kill(installation: Installation, rng: random.Random) -> Iterator[Fault]:
    def any_shard(env: LocalEnvironment, draw: random.Random) -> Place:
        return cluster.ledger_place(draw.randrange(env.settings.shards))

    yield from _leader_killed(installation, rng, any_shard)


def coordinator_move(installation: Installation, rng: random.Random) -> Iterator[Fault]:
    """In order, without any broker ending: transactions are under way 20 times a second."""
    env = installation.env
    time.sleep(rng.uniform(1, 2))
    place = rng.choice([cluster.transaction_place(env, 0), cluster.transaction_place(env, 1), cluster.group_place(env)])
    before, after = cluster.move_leader(env, place)
    yield fault_now(f"{place[0]}[{place[1]}] moves from broker {before} to {after}")
    time.sleep(rng.uniform(2, 4))


def too_few_in_sync(installation: Installation, rng: random.Random) -> Iterator[Fault]:
    """Two of three are down: nothing can be written until one is back. Counted from their return."""
    env = installation.env
    time.sleep(rng.uniform(1, 3))
    down = rng.sample(cluster.broker_names(env), 2)
    with cluster.kept_down(env, *down):
        time.sleep(rng.uniform(5, 10))
    yield fault_now(f"{' and '.join(down)} were down")
    cluster.wait_in_sync(env)
    time.sleep(2)


def _leader_killed(installation: Installation, rng: random.Random, place_of: PlaceOf) -> Iterator[Fault]:
    time.sleep(rng.uniform(1, 3))
    place = place_of(installation.env, rng)
    yield from _killed(installation.env, cluster.leader_name(installation.env, place), f", leader of {place[0]}")


def _killed(env: LocalEnvironment, name: str, role: str) -> Iterator[Fault]:
    pid = env.kill(name)
    yield fault_now(f"kill -9 {name}{role}")
    env.wait_restarted(name, pid, cluster.BACK_TIMEOUT_S)
    cluster.wait_in_sync(env)
    time.sleep(4)
