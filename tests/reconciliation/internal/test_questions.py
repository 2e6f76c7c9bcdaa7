"""Goal: whoever has no provider's key is answered in time or not at all, and never waits without end.

Method: real Postgres; what the connectors do is written by a second connection.
"""

import threading
import time
from datetime import timedelta

import psycopg
import pytest
from psycopg import Connection

from payments.commerce.connector import ConnectorOperation, Outcome
from payments.items.details import OrderStatus
from reconciliation.internal import questions
from reconciliation.internal.questions import Stopped, Wait, ask, name_of
from reconciliation.internal.reading import movements_named
from reconciliation.internal.views import Movement
from runtime import migrate
from tests.reconciliation.internal.books import change, charge
from tests.reconciliation.internal.views import PLACED

ANSWER = """
WITH told AS (UPDATE recon_questions SET taken_at = now(), answered_at = now() WHERE asked_by = 'fatima' RETURNING *)
INSERT INTO recon_provider_states
SELECT request_id, now(), 'succeeded', true, 'pi_1', '', 1000, 'EUR' FROM told"""
REFUSE = "UPDATE recon_questions SET refusal = 'no answer' WHERE request_id = %s"


@pytest.fixture
def stuck(books: Connection) -> list[Movement]:
    migrate.up(books.info.dsn, "reconciliation.internal")
    return movements_named(books, [charge(books, number, PLACED, OrderStatus.EXECUTING) for number in (1, 2)])


def waiting(longest_s: float = 20.0) -> Wait:
    return Wait("fatima", longest_s, threading.Event())


def test_what_the_connectors_have_found_out_is_the_answer(
    books: Connection, migrated: str, stuck: list[Movement]
) -> None:
    def answer() -> None:
        with psycopg.connect(migrated, autocommit=True) as connectors:
            while connectors.execute("SELECT FROM recon_questions").fetchone() is None:
                time.sleep(0.05)
            with connectors.transaction():
                connectors.execute(ANSWER)
                connectors.execute(REFUSE, (stuck[1].id,))

    thread = threading.Thread(target=answer)
    thread.start()
    told = ask(books, waiting(), stuck)
    thread.join()
    assert {id_: said.outcome for id_, said in told.items()} == {stuck[0].id: Outcome.SUCCEEDED}


def test_nobody_is_waited_for_who_is_not_there(
    books: Connection, stuck: list[Movement], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(questions, "UNATTENDED_S", 0.0)
    assert ask(books, waiting(), stuck) == {}
    books.execute("UPDATE recon_questions SET taken_at = now()")
    began_s = time.monotonic()
    assert ask(books, waiting(1.0), stuck) == {}
    assert 1.0 <= time.monotonic() - began_s < 15.0, "somebody is there, and is waited for"


def test_a_process_that_ends_waits_no_longer(books: Connection, stuck: list[Movement]) -> None:
    wait = waiting()
    wait.stop.set()
    with pytest.raises(Stopped):
        ask(books, wait, stuck)


def test_what_was_answered_before_is_asked_again_and_what_waits_stays(
    books: Connection, stuck: list[Movement], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An old answer is none; a question that waits keeps its turn, until nobody could be waiting any more."""
    monkeypatch.setattr(questions, "UNATTENDED_S", 0.0)
    ask(books, waiting(), stuck)
    books.execute(ANSWER)
    assert ask(books, waiting(), stuck[:1]) == {}
    books.execute("UPDATE recon_questions SET asked_at = asked_at - %s", (timedelta(minutes=1),))
    before = books.execute("SELECT asked_at FROM recon_questions ORDER BY request_id").fetchall()
    ask(books, waiting(), stuck[:1])
    assert books.execute("SELECT asked_at FROM recon_questions ORDER BY request_id").fetchall() == before
    books.execute("UPDATE recon_questions SET asked_at = asked_at - %s", (questions.LIFE,))
    ask(books, waiting(), stuck[:1])
    row = books.execute("SELECT count(*) FROM recon_questions WHERE asked_at > now() - interval '1 minute'").fetchone()
    assert row == (1,)


def test_a_payout_is_looked_up_by_its_own_name_where_that_is_known(books: Connection, stuck: list[Movement]) -> None:
    change(books, "provider_requests", "request_id", stuck[0].id, operation=int(ConnectorOperation.PAYOUT))
    change(
        books, "provider_requests", "request_id", stuck[0].id, attempt=1, outcome="pending", provider_reference="po_1"
    )
    named = [one.attempt for one in movements_named(books, [one.id for one in stuck])]
    assert [name_of(one) for one in named if one is not None] == ["po_1", ""]
