"""When things are tried again: the table of docs/webhooks.md, as the code has it."""

from datetime import timedelta

from connectors.webhooks.retries import BREAKER_FAILURES, DELAYS_S, GIVEN_UP_AFTER, delay_after, pause_after

DELIVERIES = [number.to_bytes(16, "big") for number in range(500)]


def test_a_delivery_is_tried_for_less_than_three_days() -> None:
    for delivery in DELIVERIES:
        delays = [delay_after(delivery, tries) for tries in range(1, len(DELAYS_S) + 1)]
        assert sum(filter(None, delays), timedelta()) < GIVEN_UP_AFTER
        assert delay_after(delivery, len(DELAYS_S) + 1) is None


def test_each_wait_is_up_to_a_tenth_longer_than_the_table_says() -> None:
    for tries, delay_s in enumerate(DELAYS_S, 1):
        found = [delay for delay in (delay_after(each, tries) for each in DELIVERIES) if delay is not None]
        least, most = timedelta(seconds=delay_s), timedelta(seconds=delay_s) * 11 / 10
        assert all(least <= delay <= most for delay in found)
        assert max(found) - min(found) > (most - least) * 9 / 10, "spread over nearly all of the tenth"


def test_every_dispatcher_plans_the_same() -> None:
    assert delay_after(b"\x01" * 16, 3) == timedelta(milliseconds=301_554)


def test_an_endpoint_is_paused_from_the_fifth_failure_on_and_at_most_for_an_hour() -> None:
    assert all(pause_after(failures) is None for failures in range(BREAKER_FAILURES))
    found = [pause_after(failures) for failures in range(BREAKER_FAILURES, BREAKER_FAILURES + 8)]
    assert found == [timedelta(minutes=minutes) for minutes in (1, 2, 4, 8, 16, 32, 60, 60)]
    assert pause_after(1_000_000) == timedelta(hours=1)
