"""The figures of one API process: counted as answers go out, told when somebody scrapes them.

Guarantees: labels come from the table of routes and from status codes alone, so their number is bounded and no name,
id or amount is among them.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from itertools import accumulate
from typing import Final

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from ingest_api.publisher import Publisher
from ingest_api.reads.balances.balances import Balances
from ingest_api.replies import WaitingCalls

BOUNDS_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""A transfer that is posted takes 20 to 100 ms, and no call waits for longer than 30 s."""


class Figures(Collector):
    """Counts, and reads what is counted elsewhere."""

    def __init__(self, waiting: WaitingCalls, publisher: Publisher, balances: Balances) -> None:
        self._waiting = waiting
        self._publisher = publisher
        self._balances = balances
        self._answers: Counter[tuple[str, str, str]] = Counter()
        self._in_bucket = [0] * (len(BOUNDS_S) + 1)
        self._seconds = 0.0
        self._registry = CollectorRegistry()
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    def note(self, method: str, route: str, status: int, seconds: float) -> None:
        """An answer has begun."""
        self._answers[method, route, str(status)] += 1
        self._in_bucket[bisect_left(BOUNDS_S, seconds)] += 1
        self._seconds += seconds

    def exposition(self) -> bytes:
        """All of them in Prometheus's text format."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        answers = CounterMetricFamily(
            "millrace_api_answers", "Answers by route and status", labels=("method", "route", "status")
        )
        for labels, count in [*self._answers.items()]:
            answers.add_metric(labels, count)
        yield answers
        bounds = [*map(str, BOUNDS_S), "+Inf"]
        counts = [*zip(bounds, accumulate(self._in_bucket), strict=True)]
        seconds = HistogramMetricFamily("millrace_api_answer_seconds", "From the call to the beginning of its answer")
        seconds.add_metric((), counts, self._seconds)
        yield seconds
        yield _gauge("millrace_api_waiting_calls", "Calls that wait for an outcome", len(self._waiting))
        yield _gauge(
            "millrace_api_unsent_bytes", "Commands that Kafka has not taken yet", self._publisher.pending_bytes
        )
        yield from self._of_balances()

    def _of_balances(self) -> Iterator[Metric]:
        answered = CounterMetricFamily("millrace_api_balances", "Balances answered, by source", labels=("source",))
        answered.add_metric(("memory",), self._balances.from_memory)
        answered.add_metric(("postgres",), self._balances.from_postgres)
        yield answered
        yield _gauge("millrace_api_balances_in_memory", "Accounts kept up to date", len(self._balances))
        yield _gauge(
            "millrace_api_balances_records_behind",
            "Ledger records that Postgres had and memory had not",
            self._balances.records_behind,
        )


def _gauge(name: str, meaning: str, value: int) -> Metric:
    gauge = Metric(name, meaning, "gauge")
    gauge.add_sample(name, {}, value)
    return gauge
