"""Goal: who floods is told when to come back and harms nobody else; large bodies have a budget that comes back whole;
headers with a grammar of their own are read by it or not at all.
"""

from contextlib import ExitStack

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest_api.http import rate_limit as under_test
from ingest_api.http.body_budget import BodyBudget, BudgetSpent
from ingest_api.http.preferences import (
    MAX_WAIT_S,
    idempotency_key,
    preferred_wait_s,
    prefers_representation,
    required_key,
)
from ingest_api.http.rate_limit import ClientRateLimit
from ingest_api.problems import Problem
from payments.commands import MAX_KEY_CHARS
from payments.rejections import Reason

S = 1_000_000_000


class Clock:
    def __init__(self) -> None:
        self.now_ns = 12_345

    def __call__(self) -> int:
        return self.now_ns


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_client_may_spend_its_burst_at_once_and_then_its_rate(clock: Clock) -> None:
    limit = ClientRateLimit(10, 100, clock)
    assert limit.retry_after_s("a", 100) == 0
    assert limit.retry_after_s("a", 1) == 1
    clock.now_ns += S // 10
    assert limit.retry_after_s("a", 1) == 0
    assert limit.retry_after_s("a", 1) == 1


def test_what_was_refused_costs_nothing(clock: Clock) -> None:
    limit = ClientRateLimit(10, 100, clock)
    for _ in range(50):
        assert limit.retry_after_s("a", 101) > 0
    assert limit.retry_after_s("a", 100) == 0


def test_one_client_does_not_notice_the_other(clock: Clock) -> None:
    limit = ClientRateLimit(1, 10, clock)
    assert limit.retry_after_s("flooder", 10) == 0
    assert limit.retry_after_s("flooder", 10) == 10
    assert limit.retry_after_s("quiet", 10) == 0


def test_a_bucket_is_never_fuller_than_its_burst(clock: Clock) -> None:
    limit = ClientRateLimit(1_000, 100, clock)
    limit.retry_after_s("a", 1)
    clock.now_ns += 3_600 * S
    assert limit.retry_after_s("a", 100) == 0
    assert limit.retry_after_s("a", 1) == 1


@settings(max_examples=60)
@given(
    per_s=st.integers(1, 5_000),
    burst=st.integers(1, 20_000),
    asked=st.lists(st.tuples(st.integers(1, 20_000), st.integers(0, 5 * S)), max_size=12),
)
def test_a_wait_that_was_told_is_enough_and_not_a_second_too_long(
    per_s: int, burst: int, asked: list[tuple[int, int]]
) -> None:
    clock = Clock()
    limit = ClientRateLimit(per_s, burst, clock)
    for commands, passes_ns in asked:
        clock.now_ns += passes_ns
        wait_s = limit.retry_after_s("a", commands)
        if wait_s and commands <= burst:
            clock.now_ns += (wait_s - 1) * S
            if wait_s > 1:
                assert limit.retry_after_s("a", commands) == 1, "a second less would not have been enough"
            clock.now_ns += S
            assert limit.retry_after_s("a", commands) == 0


@settings(max_examples=60)
@given(st.integers(1, 100), st.integers(1, 200), st.lists(st.integers(0, S), max_size=60))
def test_nobody_gets_more_than_the_burst_and_the_rate_together(per_s: int, burst: int, pauses_ns: list[int]) -> None:
    clock = Clock()
    limit, began_ns, taken = ClientRateLimit(per_s, burst, clock), clock.now_ns, 0
    for pause_ns in pauses_ns:
        clock.now_ns += pause_ns
        taken += limit.retry_after_s("a", 5) == 0
    assert 5 * taken <= burst + per_s * (clock.now_ns - began_ns) / S


def test_only_so_many_clients_are_remembered_and_the_quiet_ones_are_forgotten(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Being forgotten refills a bucket: whoever keeps flooding must not be forgotten for newcomers."""
    monkeypatch.setattr(under_test, "_CLIENTS_MAX", 3)
    limit = ClientRateLimit(1, 10, clock)
    assert limit.retry_after_s("flooder", 10) == 0
    for number in range(20):
        limit.retry_after_s(f"newcomer {number}", 1)
        assert limit.retry_after_s("flooder", 10) == 10
    assert len(limit._buckets) == 3


def test_a_budget_is_shared_and_comes_back() -> None:
    budget = BodyBudget(100)
    with budget.reserved(60):
        with pytest.raises(BudgetSpent, match="40 bytes are free, 41 are needed"), budget.reserved(41):
            raise AssertionError("not entered")
        with budget.reserved(40), pytest.raises(BudgetSpent), budget.reserved(1):
            raise AssertionError("not entered")
    with budget.reserved(100):
        pass


def test_a_budget_comes_back_from_a_call_that_failed() -> None:
    budget = BodyBudget(100)
    for _ in range(10):
        with pytest.raises(ZeroDivisionError), budget.reserved(100):
            raise ZeroDivisionError
    with budget.reserved(100):
        pass


def test_an_empty_body_needs_no_budget() -> None:
    budget = BodyBudget(10)
    with budget.reserved(10), budget.reserved(0):
        pass


@settings(max_examples=60)
@given(st.lists(st.integers(0, 60), max_size=30))
def test_bodies_in_work_never_pass_the_budget(sizes: list[int]) -> None:
    budget, held = BodyBudget(100), 0
    with ExitStack() as stack:
        for size in sizes:
            try:
                stack.enter_context(budget.reserved(size))
            except BudgetSpent:
                assert held + size > 100
            else:
                held += size
            assert held <= 100
    with budget.reserved(100):
        pass


@pytest.mark.parametrize(
    ("prefer", "wait_s"),
    [
        (None, None),
        ("", None),
        ("wait=5", 5),
        ("wait=0", 0),
        ("Wait = 7", 7),
        ('wait="9"', 9),
        ("respond-async, wait=3", 3),
        ("wait=3; foo=bar", 3),
        ("return=representation,wait=4", 4),
        ("wait=30", 30),
        ("wait=31", MAX_WAIT_S),
        ("wait=999999", MAX_WAIT_S),
        ("wait=1000000", None),
        ("wait=" + "9" * 5_000, None),
        ("wait=-1", None),
        ("wait=1.5", None),
        ("wait=", None),
        ("await=5", None),
        ("wait=5s", None),
        ("wait=٣", None),
    ],
)
def test_a_wait_is_read_by_rfc_7240_or_counts_as_not_said(prefer: str | None, wait_s: int | None) -> None:
    assert preferred_wait_s(prefer) == wait_s


@pytest.mark.parametrize(
    ("prefer", "wanted"),
    [
        (None, False),
        ("return=representation", True),
        ('Return="representation"', True),
        ("wait=5, return=representation", True),
        ("return=representation; x=1, wait=5", True),
        ("return=minimal", False),
        ("no-return=representation", False),
        ("return=representations", False),
    ],
)
def test_ids_of_every_line_come_only_when_they_are_asked_for(prefer: str | None, wanted: bool) -> None:
    assert prefers_representation(prefer) == wanted


@pytest.mark.parametrize(
    ("header", "key"),
    [
        (None, None),
        ("order-4711", "order-4711"),
        ("  order-4711  ", "order-4711"),
        ('"order-4711"', "order-4711"),
        ('"a \\"quoted\\" word"', 'a "quoted" word'),
        ('"back\\\\slash"', "back\\slash"),
        ('"with space"', "with space"),
        ("with space", "with space"),
        ("k" * MAX_KEY_CHARS, "k" * MAX_KEY_CHARS),
    ],
)
def test_a_key_is_the_same_quoted_and_bare(header: str | None, key: str | None) -> None:
    assert idempotency_key(header) == key


@pytest.mark.parametrize(
    "header", ["", '""', '"unclosed', "k" * (MAX_KEY_CHARS + 1), '"a\\x"', "é", "a\tb", "a\x00b", '"é"', '"'], ids=repr
)
def test_what_is_no_key_is_refused_at_its_header(header: str) -> None:
    with pytest.raises(Problem) as refused:
        idempotency_key(header)
    assert refused.value.status in (400, 422)
    assert [error.pointer for error in refused.value.errors] == ["Idempotency-Key"]


def test_money_does_not_move_without_a_key() -> None:
    with pytest.raises(Problem) as refused:
        required_key(None)
    assert (refused.value.status, refused.value.code) == (400, Reason.IDEMPOTENCY_KEY_MISSING)
    assert "Idempotency-Key" in refused.value.detail
    assert required_key("k") == "k"


@settings(max_examples=60)
@given(st.text(max_size=40))
def test_any_header_is_a_key_or_a_refusal_and_never_an_error_of_ours(header: str) -> None:
    try:
        key = idempotency_key(header)
    except Problem:
        return
    assert key
    quoted = key.replace("\\", "\\\\").replace('"', '\\"')
    assert idempotency_key(f'"{quoted}"') == key, "the quoted form means the same key"
