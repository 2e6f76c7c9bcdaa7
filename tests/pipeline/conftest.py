"""Kafka and Postgres for the pipeline's tests, with the topics made and nothing running on them."""

from collections.abc import Iterator

import pytest

from millrace.audit.report import AuditReport
from millrace.audit.verify import verify
from millrace.environment import LocalEnvironment
from millrace.topics import ensure_topics
from runtime import migrate
from tests.support.environment import running_environment


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalEnvironment]:
    """Of its own: the deciding stage decides every command in its topics, and the audit reads all of them."""
    with running_environment(tmp_path_factory.mktemp("stage")) as environment:
        ensure_topics(environment.settings)
        migrate.up(environment.database_url, "sinks")
        yield environment


def assert_books_balance(environment: LocalEnvironment) -> AuditReport:
    """Every promise that the audit can prove holds, and nothing is left in flight."""
    return assert_clean(verify(environment.settings))


def assert_clean(report: AuditReport) -> AuditReport:
    """Of an installation at rest."""
    assert report.ok, report.differences
    assert (report.postings_sum_minor, report.drift_minor, report.negative_accounts) == (0, 0, 0)
    assert (report.in_flight, report.undecided, report.unapplied_records) == (0, 0, 0)
    return report
