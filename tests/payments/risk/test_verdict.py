"""A verdict survives the ledger unchanged, explains itself, and is enough to decide it again."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payments.errors import UndecodableRecord
from payments.risk.document import MAX_RULES
from payments.risk.features import FEATURES
from payments.risk.limits import RiskReason
from payments.risk.verdict import (
    MAX_VERDICT_BYTES,
    UNWATCHED,
    Effect,
    Hit,
    Outcome,
    Verdict,
    attempted,
    decode,
    encode,
    tokens_of,
)
from tests.payments.risk.attempts import CARD, KEYS, NOON_US, PAYEE, PAYER

BY_TYPE = {int: st.integers(1, 2**63 - 1), bool: st.just(True), str: st.text(min_size=1, max_size=8)}
values = st.fixed_dictionaries({}, optional={name: BY_TYPE[feature.type] for name, feature in FEATURES.items()})
hits = st.builds(
    Hit,
    st.from_regex(r"[a-z0-9-]{1,40}", fullmatch=True),
    st.sampled_from(Outcome),
    st.sampled_from(Effect),
    st.booleans(),
)
verdicts = st.builds(
    Verdict,
    st.sampled_from(Outcome),
    st.lists(st.sampled_from(RiskReason), unique=True).map(tuple),
    st.integers(0, 2**31 - 1),
    st.lists(hits, max_size=4).map(tuple),
    values,
    st.just(()) | st.just((CARD, b"", b"address0")),
    st.booleans(),
    is_watched=st.just(True),
)


@settings(max_examples=50)
@given(verdicts)
def test_a_recorded_verdict_is_the_verdict(verdict: Verdict) -> None:
    recorded = encode(verdict)
    assert decode(recorded) == verdict
    assert encode(decode(recorded)) == recorded


def test_the_order_in_which_features_were_read_does_not_reach_the_ledger() -> None:
    one = Verdict(Outcome.ALLOW, features={"amount_minor": 1, "currency": "EUR"})
    other = Verdict(Outcome.ALLOW, features={"currency": "EUR", "amount_minor": 1})
    assert encode(one) == encode(other)


def test_what_nobody_watched_leaves_nothing_in_the_ledger() -> None:
    assert encode(UNWATCHED) == b""
    assert decode(b"") == UNWATCHED
    assert encode(Verdict(Outcome.ALLOW)) != b""


def test_the_largest_verdict_is_bounded() -> None:
    features = {name: "DE" if f.type is str else True if f.type is bool else 2**63 - 1 for name, f in FEATURES.items()}
    largest = Verdict(
        Outcome.DENY,
        tuple(RiskReason),
        2**31 - 1,
        tuple(Hit(f"{number:040}", Outcome.REVIEW, failed=True) for number in range(MAX_RULES)),
        features,
        KEYS[2:],
        just_under_threshold=True,
    )
    assert 4_000 < len(encode(largest)) <= MAX_VERDICT_BYTES


@pytest.mark.parametrize("recorded", [b"\x02\x90", b"\x01", b"\x01\x90", b"\x01\xc0", b"\x01" + b"\xff" * 9])
def test_bytes_that_are_no_verdict_are_refused(recorded: bytes) -> None:
    with pytest.raises(UndecodableRecord, match="verdict"):
        decode(recorded)


def test_a_position_that_no_feature_has_is_refused() -> None:
    recorded = encode(Verdict(Outcome.ALLOW, features={"currency": "EUR"}))
    with pytest.raises(UndecodableRecord, match="verdict"):
        decode(recorded.replace(b"\x01\xa3EUR", b"\x7f\xa3EUR"))


def test_the_fact_to_evolve_from_follows_from_the_entry_and_the_verdict() -> None:
    verdict = decode(encode(Verdict(Outcome.REVIEW, tokens=tokens_of(KEYS), just_under_threshold=True)))
    fact = attempted(verdict, time_us=NOON_US, amount_minor=5, payer=PAYER, payee=PAYEE, approved=True)
    assert fact == (NOON_US, 5, KEYS, True, True)
    without = Verdict(Outcome.ALLOW, tokens=tokens_of((PAYER, PAYEE, b"", b"", b"")))
    assert without.tokens == ()
    fact = attempted(without, time_us=NOON_US, amount_minor=5, payer=PAYER, payee=PAYEE, approved=False)
    assert fact.keys == (PAYER, PAYEE, b"", b"", b"")


def test_the_first_reason_is_the_one_that_is_told() -> None:
    verdict = Verdict(Outcome.DENY, (RiskReason.DAILY_LIMIT, RiskReason.REVIEW_BY_RULE), 7)
    assert verdict.reason is RiskReason.DAILY_LIMIT
    assert UNWATCHED.reason is None
