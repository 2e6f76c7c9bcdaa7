"""The state of an account follows from recorded facts alone, survives being stored, and stays small."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payments.errors import UndecodableRecord
from payments.risk.activity import Attempted, Key
from payments.risk.limits import UNLIMITED, Limits, Tier, usage_at
from payments.risk.state import MAX_STATE_BYTES, NEW, Fact, LimitsSet, RiskState, TierSet, decode, encode, evolve
from payments.risk.windows import SPANS
from tests.payments.risk.attempts import DAY_US, KEYS, NOON_US, attempted

keys = st.just(b"") | st.binary(min_size=8, max_size=8)
facts: st.SearchStrategy[Fact] = st.one_of(
    st.builds(
        Attempted,
        time_us=st.integers(0, 60 * DAY_US).map(lambda after_us: NOON_US + after_us),
        amount_minor=st.integers(1, 10**15),
        keys=st.tuples(keys, keys, keys, keys, keys),
        approved=st.booleans(),
        just_under_threshold=st.booleans(),
    ),
    st.builds(LimitsSet, st.builds(Limits, *[st.integers(0, 10**15)] * 3)),
    st.builds(TierSet, st.sampled_from(Tier)),
)


def evolved(recorded: list[Fact], state: RiskState = NEW) -> RiskState:
    for fact in recorded:
        state = evolve(state, fact)
    return state


@given(st.lists(facts, max_size=40), st.integers(0, 40))
def test_a_replay_from_any_stored_state_is_the_state_in_memory(recorded: list[Fact], stored_after: int) -> None:
    in_memory = evolved(recorded)
    stored = encode(evolved(recorded[:stored_after]))
    replayed = evolved(recorded[stored_after:], decode(stored))
    assert replayed == in_memory
    assert encode(replayed) == encode(in_memory)
    assert decode(encode(in_memory)) == in_memory


def test_limits_and_tier_are_the_last_that_were_set_and_leave_the_rest() -> None:
    before = evolve(NEW, attempted())
    after = evolved([TierSet(Tier.BASIC), LimitsSet(Limits(1, 2, 3)), TierSet(Tier.ENHANCED)], before)
    assert after == before._replace(limits=Limits(1, 2, 3), tier=Tier.ENHANCED)
    assert evolve(after, LimitsSet(UNLIMITED)).limits == UNLIMITED


def test_only_what_was_reserved_is_spent() -> None:
    state = evolved([attempted(approved=False), attempted(amount_minor=7)])
    assert state.usage.day_minor == state.usage.month_minor == 7


def test_what_comes_late_is_spent_on_the_newest_day_even_if_that_began_with_a_refusal() -> None:
    refused = evolve(NEW, attempted(NOON_US + DAY_US, approved=False))
    late = evolve(refused, attempted(NOON_US, amount_minor=7))
    assert usage_at(late.usage, NOON_US + DAY_US).day_minor == 7


def test_time_never_runs_backwards() -> None:
    """A late attempt is the same as one at the newest time, in every part of the state."""
    state = evolved([attempted(NOON_US), attempted(NOON_US + 90 * DAY_US)])
    late = Attempted(NOON_US + 30 * DAY_US, 9_500_00, KEYS, approved=True, just_under_threshold=True)
    assert evolve(state, late) == evolve(state, late._replace(time_us=NOON_US + 90 * DAY_US))


def test_a_state_as_full_as_it_gets_is_bounded() -> None:
    state = NEW
    for number in range(12 * 24 * 31):
        many = tuple([number.to_bytes(8, "big")] * len(Key))
        time_us = NOON_US + number * SPANS[1].bucket_us
        state = evolve(state, Attempted(time_us, 10**15, many, approved=True, just_under_threshold=True))
    assert 3_000 < len(encode(state)) <= MAX_STATE_BYTES


def test_a_payment_a_day_takes_a_few_hundred_bytes() -> None:
    state = evolved([attempted(NOON_US + day * DAY_US) for day in range(60)])
    assert len(encode(state)) < 700


@settings(max_examples=30)
@given(st.binary(max_size=200))
def test_bytes_that_are_no_state_are_refused(stored: bytes) -> None:
    with pytest.raises(UndecodableRecord):
        decode(stored)
    with pytest.raises(UndecodableRecord):
        decode(encode(NEW)[:1] + stored)


def test_a_state_of_another_version_or_shape_is_refused() -> None:
    with pytest.raises(UndecodableRecord, match="version 02"):
        decode(b"\x02" + encode(NEW)[1:])
    lacking = NEW._replace(activity=NEW.activity._replace(windows=(b"",)))
    with pytest.raises(UndecodableRecord, match="number of windows"):
        decode(encode(lacking))
    assert decode(encode(evolve(NEW, attempted()))).activity.seen[Key.PAYEE][:8] == KEYS[Key.PAYEE]
