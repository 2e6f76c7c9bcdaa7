"""Goal: a crashed service is back at once, and one that can't start neither burns a core nor stays unnoticed."""

from hypothesis import given
from hypothesis import strategies as st

from millrace.supervisor.restarts import ALARM_EXITS, IN_A_ROW_S, WINDOW_S, RestartHistory


def test_the_first_exit_is_followed_at_once() -> None:
    assert RestartHistory().record_exit(100.0) == 0.0


def test_pauses_double_and_are_bounded() -> None:
    history = RestartHistory()
    assert [history.record_exit(100.0) for _ in range(9)] == [0.0, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 5.0]


def test_a_quiet_window_forgets() -> None:
    history = RestartHistory()
    history.record_exit(100.0)
    history.record_exit(101.0)
    assert history.record_exit(101.0 + WINDOW_S) == 0.0


def test_five_exits_within_the_window_are_an_alarm_and_it_ends() -> None:
    history = RestartHistory()
    for second in range(ALARM_EXITS - 1):
        history.record_exit(float(second))
    assert not history.is_alarming(4.0)
    history.record_exit(4.0)
    assert history.is_alarming(4.0)
    assert history.is_alarming(29.9)
    assert not history.is_alarming(4.0 + IN_A_ROW_S)


def test_a_service_that_lives_ten_seconds_and_dies_again_and_again_is_an_alarm() -> None:
    history = RestartHistory()
    for exits in range(ALARM_EXITS):
        now_s = 15.0 * exits
        assert not history.is_alarming(now_s)
        history.record_exit(now_s)
    assert history.exits_recently(now_s) < ALARM_EXITS
    assert history.is_alarming(now_s)
    assert history.said(now_s) == "5 times in a row, each within 60 s of the last"
    assert not history.is_alarming(now_s + IN_A_ROW_S), "it lives"


def test_crashes_an_hour_apart_are_no_row() -> None:
    history = RestartHistory()
    for exits in range(2 * ALARM_EXITS):
        history.record_exit(3_600.0 * exits)
    assert not history.is_alarming(3_600.0 * (2 * ALARM_EXITS - 1))


@given(st.lists(st.floats(min_value=0.0, max_value=60.0), max_size=50))
def test_no_pause_is_negative_or_longer_than_five_seconds(gaps_s: list[float]) -> None:
    history, now_s = RestartHistory(), 0.0
    for gap_s in gaps_s:
        now_s += gap_s
        pause_s = history.record_exit(now_s)
        assert 0.0 <= pause_s <= 5.0
        assert history.exits_recently(now_s) >= 1


@given(st.lists(st.floats(min_value=0.0, max_value=10.0), min_size=1, max_size=50))
def test_exits_are_counted_as_a_window_says(gaps_s: list[float]) -> None:
    history, exits, now_s = RestartHistory(), [], 0.0
    for gap_s in gaps_s:
        now_s += gap_s
        history.record_exit(now_s)
        exits.append(now_s)
    assert history.exits_recently(now_s) == sum(1 for exit_s in exits if exit_s > now_s - WINDOW_S)
