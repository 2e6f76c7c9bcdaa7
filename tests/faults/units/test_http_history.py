"""The history checker finds every kind of contradiction, and none where there is none."""

from tests.faults.http_api.history import Attempt, Expected, Row, ShownPayment, Told, disagreements, read_answer

ASKED = {"k": Expected("acc_a", "acc_b", 100)}
POSTED = ShownPayment("pay_1", "posted", True, "acc_a", "acc_b", 100)
WAITING = ShownPayment("pay_1", "authorised", False, "acc_a", "acc_b", 100)
RETURNED = ShownPayment("pay_1", "returned", True, "acc_a", "acc_b", 100, "payee_not_found")
OTHER = ShownPayment("pay_2", "posted", True, "acc_a", "acc_b", 100)
DEARER = ShownPayment("pay_1", "posted", True, "acc_a", "acc_b", 101)
ROW = Row("pay_1", "posted")


def attempt(told: Told, payment: ShownPayment | None, at_s: float = 0, *, replayed: bool = False) -> Attempt:
    return Attempt("k", told, at_s, at_s + 1, payment, replayed)


def found(*attempts: Attempt, rows: tuple[Row, ...] = (ROW,)) -> list[str]:
    return disagreements(attempts, ASKED, rows)


def test_repeats_that_agree_are_fine() -> None:
    unknown, waiting = attempt(Told.UNKNOWN, None), attempt(Told.OK, WAITING, 2)
    assert found(unknown, waiting, attempt(Told.OK, POSTED, 4, replayed=True)) == []
    assert found(unknown, rows=()) == []
    assert found(attempt(Told.FAILED, RETURNED), rows=(Row("pay_1", "returned"),)) == []
    assert found(attempt(Told.OK, POSTED), attempt(Told.OK, POSTED, 0.5)) == [], "at the same time, both may be first"


def test_each_contradiction_is_named() -> None:
    posted = attempt(Told.OK, POSTED)
    assert "answered with 2 payments" in found(posted, attempt(Told.OK, OTHER), rows=(ROW, Row("pay_2", "posted")))[0]
    assert "another payment's accounts or amount" in found(attempt(Told.OK, DEARER))[0]
    assert "answered with [" in found(posted, attempt(Told.FAILED, RETURNED))[0]
    assert "0 rows of pay_1" in found(posted, rows=())[0]
    assert "2 rows of pay_1" in found(posted, rows=(ROW, ROW))[0]
    assert "the tables show returned" in found(posted, rows=(Row("pay_1", "returned"),))[0]
    assert "answered as new after" in found(posted, attempt(Told.OK, POSTED, 5))[0]
    assert "refused without its payment" in found(attempt(Told.FAILED, None))[0]


def test_one_payment_does_not_answer_two_keys() -> None:
    asked = ASKED | {"other": ASKED["k"]}
    attempts = [attempt(Told.OK, POSTED), attempt(Told.OK, POSTED)._replace(key="other")]
    assert disagreements(attempts, asked, [ROW]) == ["payment pay_1 answers 2 keys"]


def test_answers_are_ok_failed_or_unknown() -> None:
    shown = b'{"id":"pay_1","status":"posted","final":true,"from_account":"a","to_account":"b","amount_minor":1}'
    assert read_answer(201, shown)[0] is Told.OK
    told, payment = read_answer(422, b'{"code":"insufficient_funds","payment":' + shown + b"}")
    assert (told, payment and payment.id) == (Told.FAILED, "pay_1")
    assert read_answer(429, b"{}") == (Told.FAILED, None)
    assert read_answer(503, b"{}") == (Told.UNKNOWN, None)
