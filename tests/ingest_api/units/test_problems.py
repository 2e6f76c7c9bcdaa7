"""Goal: whatever is refused has a status, a title and a text that says what to do, in one complete document."""

from collections import Counter
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from ingest_api.http.advice import ADVICE
from ingest_api.http.bodies import parse_amount
from ingest_api.http.call import Answer
from ingest_api.http.resources import ProblemBody
from ingest_api.problems import (
    PROBLEM_JSON,
    STATUS,
    Code,
    Fault,
    FieldError,
    Problem,
    field_problem,
    refused,
    retry_later,
)
from payments.money import MAX_MINOR, AmountProblem
from payments.rejections import QUARANTINED, Reason

REASONS = [reason for reason in Reason if reason is not Reason.NONE]
ANSWERABLE = [reason for reason in REASONS if reason not in QUARANTINED]


def document_of(answer: Answer) -> dict[str, Any]:
    document: dict[str, Any] = msgspec.json.decode(answer.body)
    return document


def test_a_success_has_no_problem() -> None:
    assert str(Reason.NONE) not in {str(code) for code in STATUS}
    assert Reason.NONE not in ADVICE


def test_one_public_code_has_one_status_wherever_it_comes_from() -> None:
    """The same word may be a rule of the accounts and a fault of the request; a caller cannot tell them apart."""
    statuses: dict[str, set[int]] = {}
    for code, (status, _) in STATUS.items():
        statuses.setdefault(str(code), set()).add(status)
    assert {code: found for code, found in statuses.items() if len(found) > 1} == {}


def test_titles_are_short_different_and_no_sentences() -> None:
    titles = [title for code, (_, title) in STATUS.items()]
    assert all(title[0].isupper() and len(title) <= 50 and not title.endswith(".") for title in titles)
    shared = {title for title, count in Counter(titles).items() if count > 1}
    codes_of_shared = [{str(code) for code, (_, title) in STATUS.items() if title == text} for text in shared]
    assert all(len(codes) == 1 for codes in codes_of_shared), "one title means one code"


@pytest.mark.parametrize("code", [*Fault, *AmountProblem])
def test_public_codes_are_words_for_programs(code: Code) -> None:
    assert str(code).replace("_", "").isalpha()
    assert str(code) == str(code).lower()


@pytest.mark.parametrize("reason", REASONS)
def test_the_advice_of_a_refusal_is_whole_sentences_and_more_than_its_title(reason: Reason) -> None:
    advice, (_, title) = ADVICE[reason], STATUS[reason]
    assert advice[0].isupper() or advice.startswith("from_account")
    assert advice.endswith((".", '".'))
    assert advice.rstrip(".") != title
    assert "{" not in advice
    assert "None" not in advice


@pytest.mark.parametrize("reason", sorted(QUARANTINED - {Reason.IDEMPOTENCY_KEY_MISSING, Reason.TEXT_TOO_LONG}))
def test_a_command_in_quarantine_is_answered_as_such(reason: Reason) -> None:
    assert ADVICE[reason] == "The command is in quarantine; nothing moved."


def test_limits_in_texts_are_the_limits_of_the_code() -> None:
    assert str(MAX_MINOR) in ADVICE[Reason.AMOUNT_INVALID]
    assert str(MAX_MINOR) in ADVICE[Reason.BALANCE_LIMIT_EXCEEDED]
    too_large = parse_amount(msgspec.Raw(str(MAX_MINOR + 1).encode()), "JPY")
    assert isinstance(too_large, FieldError)
    assert str(MAX_MINOR) in too_large.detail


@pytest.mark.parametrize("code", sorted(STATUS, key=str))
def test_every_code_makes_a_document_of_the_declared_shape(code: Code) -> None:
    answer = field_problem(FieldError("/place", code, "Do this.")).answer("/v1/x", "id-1")
    shape = msgspec.json.decode(answer.body, type=ProblemBody)
    assert (shape.status, shape.title) == STATUS[code]
    assert answer.status == shape.status == Problem(code, "Do this.").status
    assert (shape.type, shape.code) == (f"urn:millrace:problem:{code}", str(code))
    assert (shape.instance, shape.request_id) == ("/v1/x", "id-1")
    assert shape.errorMessage == shape.detail == shape.errors[0].detail == "Do this."
    assert shape.errors[0].pointer == "/place"
    assert answer.content_type == PROBLEM_JSON


@pytest.mark.parametrize("reason", ANSWERABLE)
def test_a_refusal_by_the_accounts_carries_its_advice_and_its_payment(reason: Reason) -> None:
    document = document_of(refused(reason, {"payment": {"id": "pay_x"}}).answer("/v1/transfers", "r"))
    assert document["detail"] == ADVICE[reason]
    assert document["errors"] == []
    assert document["payment"] == {"id": "pay_x"}
    assert 400 <= document["status"] < 500, "a rule said no: that is never a fault of ours"


@pytest.mark.parametrize(("told_s", "header"), [(-3, "1"), (0, "1"), (1, "1"), (7, "7")])
def test_a_caller_is_never_told_to_come_back_at_once(told_s: int, header: str) -> None:
    problem = retry_later(Fault.QUEUE_FULL, "Later.", told_s)
    assert problem.headers == {"Retry-After": header}
    assert (b"retry-after", header.encode()) in problem.answer("/", "r").headers


def test_problems_do_not_share_what_is_changed_later() -> None:
    headers = {"Consistency-Token": "x"}
    first, second = Problem(Fault.INTERNAL, "x", headers=headers), Problem(Fault.INTERNAL, "x", headers=headers)
    first.headers["Retry-After"] = "1"
    assert second.headers == headers == {"Consistency-Token": "x"}


def test_a_problem_is_an_exception_that_says_its_text() -> None:
    assert str(Problem(Fault.ROUTE_UNKNOWN, "Look at /docs.")) == "Look at /docs."


@hypothesis_settings(max_examples=40)
@given(st.text(max_size=30), st.text(max_size=30), st.sampled_from(sorted(STATUS, key=str)))
def test_texts_with_quotes_and_other_alphabets_leave_the_document_whole(path: str, detail: str, code: Code) -> None:
    document = document_of(Problem(code, detail).answer(path, "r"))
    assert (document["instance"], document["detail"], document["code"]) == (path, detail, str(code))


@pytest.mark.parametrize("status", [401, 403, 404, 405, 409, 413, 415, 429, 500, 503])
def test_each_status_of_the_protocol_has_a_code(status: int) -> None:
    assert status in {found for found, _ in STATUS.values()}


def test_only_what_passes_by_itself_is_a_fault_of_ours() -> None:
    """A client that repeats on 5xx must get somewhere by it: rules and bad input are 4xx."""
    ours = {code for code, (status, _) in STATUS.items() if status >= 500}
    assert ours == {
        Fault.CONNECTIONS_TOO_MANY,
        Fault.QUEUE_FULL,
        Fault.OUTCOME_UNKNOWN,
        Fault.NOT_YET_VISIBLE,
        Fault.DATABASE_UNAVAILABLE,
        Fault.BANK_UNAVAILABLE,
        Fault.DIRECTORY_UNAVAILABLE,
        Fault.INTERNAL,
    }
