"""The line to Postgres cuts where it says: nothing is in before COMMIT, all of it after, and the client can't tell."""

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import psycopg
import pytest

from tests.faults.tables_and_api.postgres import LineToPostgres
from tests.support.lines.kafka import LineLoop
from tests.support.lines.postgres import Moment, PostgresLine


@contextmanager
def line_to(database: str) -> Iterator[LineToPostgres]:
    loop = LineLoop()
    parts = urlsplit(database)
    line = PostgresLine(parts.hostname or "127.0.0.1", parts.port or 5432)
    try:
        loop.run(line.mend)
        yield LineToPostgres(loop, line, database)
        loop.run(line.cut)
    finally:
        loop.close()


@pytest.mark.parametrize(("moment", "rows"), [(Moment.BEFORE_COMMIT, 0), (Moment.AFTER_COMMIT, 1)])
def test_the_connection_breaks_around_commit(database: str, moment: Moment, rows: int) -> None:
    with psycopg.connect(database, autocommit=True) as direct, line_to(database) as around:
        direct.execute("CREATE TABLE seen (number integer)")
        cut = psycopg.connect(around.variables["MILLRACE_DATABASE_URL"])
        cut.execute("INSERT INTO seen VALUES (1)")
        around.line.break_next_commit(moment)
        with pytest.raises(psycopg.OperationalError):
            cut.commit()
        assert not around.line.waits_for_commit
        assert direct.execute("SELECT count(*) FROM seen").fetchone() == (rows,)
        with psycopg.connect(around.variables["MILLRACE_DATABASE_URL"]) as next_one:
            next_one.execute("INSERT INTO seen VALUES (2)")
        assert direct.execute("SELECT count(*) FROM seen").fetchone() == (rows + 1,)
