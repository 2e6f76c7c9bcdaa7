"""Requests to and results of connectors come back as they were written, and nothing else is taken for one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments.errors import UndecodableRecord
from payments.money import EXPONENTS, MAX_MINOR
from schemas.codec.connectors import (
    ConnectorOperation,
    ConnectorRequest,
    ConnectorResult,
    Decline,
    Outcome,
    decode_request,
    decode_result,
    encode_request,
    encode_result,
)

ids = st.binary(min_size=16, max_size=16)
texts = st.text(max_size=40)
times = st.integers(0, 2**63 - 1)
attempts = st.integers(1, 2**31 - 1)
operations = st.sampled_from(ConnectorOperation)
currencies = st.sampled_from(sorted(EXPONENTS))

requests = st.builds(
    ConnectorRequest,
    request_id=ids,
    provider=texts,
    operation=operations,
    payment_order_id=texts,
    amount_minor=st.integers(-MAX_MINOR, MAX_MINOR),
    currency=currencies,
    idempotency_key=texts,
    token=texts,
    provider_reference=texts,
    attempt=attempts,
    first_asked_at_us=times,
    not_before_us=times,
    deadline_us=times,
)
results = st.builds(
    ConnectorResult,
    request_id=ids,
    attempt=attempts,
    provider=texts,
    operation=operations,
    payment_order_id=texts,
    outcome=st.sampled_from(Outcome),
    provider_reference=texts,
    decline=st.sampled_from(Decline),
    provider_code=texts,
    fee_minor=st.one_of(st.none(), st.integers(-MAX_MINOR, MAX_MINOR)),
    fee_currency=st.one_of(currencies, st.just("")),
    at_us=times,
    attempt_follows=st.booleans(),
)


@given(requests)
def test_a_request_comes_back(request: ConnectorRequest) -> None:
    assert decode_request(encode_request(request)) == request


@given(results)
def test_a_result_comes_back(result: ConnectorResult) -> None:
    assert decode_result(encode_result(result)) == result


@given(requests, results)
def test_neither_is_taken_for_the_other(request: ConnectorRequest, result: ConnectorResult) -> None:
    with pytest.raises(UndecodableRecord, match="a ConnectorResult where a ConnectorRequest"):
        decode_request(encode_result(result))
    with pytest.raises(UndecodableRecord, match="a ConnectorRequest where a ConnectorResult"):
        decode_result(encode_request(request))


@given(requests, st.integers(0, 60))
def test_a_cut_request_is_refused(request: ConnectorRequest, kept: int) -> None:
    with pytest.raises(UndecodableRecord):
        decode_request(encode_request(request)[: kept % len(encode_request(request))])
