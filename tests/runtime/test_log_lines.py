"""Goal: no card number, IBAN, token or password comes into a log line, however it got into the record."""

import logging
import re
import sys
from pathlib import Path

import pytest

from runtime.log_lines import LogLine, log_to_stderr, redacted

ROOT = Path(__file__).parent.parent.parent
TOKEN = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJ1c3JfMSJ9.c2lnbmF0dXJl"
KEY = "mk_0123456789ab_" + "k" * 43

MASKED = {
    "card 4111 1111 1111 1111 of": "card [card number] of",
    "x4111111111111111y": "x[card number]y",
    "4111-1111-1111-1111 12/29": "[card number]",
    "pays DE89 3704 0044 0532 0130 00.": "pays [IBAN].",
    "de89370400440532013000": "[IBAN]",
    f"Authorization: Bearer {TOKEN}": "Authorization: Bearer [secret]",
    f"token {TOKEN} refused": "token [secret] refused",
    f"key {KEY}": "key mk_0123456789ab_[secret]",
    "Basic bWtfMDEyMzQ1Njc4OWFi": "Basic [secret]",
    "mrt_abcdefghijkl and mcs_abcdefghijkl": "mrt_[secret] and mcs_[secret]",
    "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw": "whsec_[secret]",
    "postgresql://payments:hun:t@er2@db/books": "postgresql://[secret]@db/books",
    "host=db password=hunter2 user=x": "host=db password=[secret] user=x",
    '{"password": "hunter 2", "otp":"123456"}': '{"password": [secret], "otp":[secret]}',
    "grant_type=password&client_secret=abc&refresh_token=def": "grant_type=password&client_secret=[secret]"
    "&refresh_token=[secret]",
}

KEPT = (
    "offset 1732281234567890 of payments.commands-3",
    "8a1f4111-1111-4111-9111-111111111111 is a UUID with a number in it",
    "acc_01jd5v2q7xf8k8v6n3m4p5r6st has 4111111111111112 minor units",  # the check digit is another
    "a bearer token is needed, the password is not taken",
    "next page https://api.example:8443/v1/transactions?cursor=abc",
)


@pytest.mark.parametrize(("text", "shown"), MASKED.items())
def test_what_must_not_be_read_is_masked(text: str, shown: str) -> None:
    assert redacted(text) == shown
    assert redacted(shown) == shown


@pytest.mark.parametrize("text", KEPT)
def test_what_operators_need_stays(text: str) -> None:
    assert redacted(text) == text


def formatted(message: str, *values: object, error: BaseException | None = None) -> str:
    trace = (type(error), error, error.__traceback__) if error is not None else None
    record = logging.LogRecord("millrace.api", logging.ERROR, "x.py", 1, message, values, trace)
    return LogLine("%(levelname)s %(name)s %(message)s").format(record)


def test_arguments_exceptions_and_their_causes_are_masked_too() -> None:
    try:
        try:
            raise ValueError(f"password={KEY}")
        except ValueError as cause:
            raise RuntimeError("card 4111111111111111") from cause
    except RuntimeError as error:
        lines = formatted("failed for %s", {"iban": "DE89370400440532013000"}, error=error)
    assert "Traceback (most recent call last)" in lines
    assert not re.search(r"4111|kkkk|DE89|3704", lines)


def test_nobody_writes_records_of_their_own_into_a_log() -> None:
    """Nor colours. What has several lines, as uvicorn's tracebacks, is indented."""
    forged = formatted("no such route %s", "/x\r\n2026-11-22 CRITICAL all is lost\x1b[2J\u2028")
    assert forged.splitlines() == [
        r"ERROR millrace.api no such route /x\r",
        r"    2026-11-22 CRITICAL all is lost\x1b[2J\u2028",
    ]


def test_a_record_has_an_end_and_shows_it() -> None:
    shown = formatted("%s the reason", "x" * 100_000)
    assert len(shown) < 40_000
    assert shown.startswith("ERROR millrace.api xxx")
    assert shown.endswith("xxx the reason")


def test_long_lines_cost_as_they_are_long() -> None:
    """None of the patterns looks at a text again from each of its letters: one that does takes minutes."""
    for piece in ("9 ", "x", "AB12 ", "4111-", "eyJaaaaaaa", "://a:", 'password="', "Bearer 1"):
        assert len(redacted(piece * (100_000 // len(piece)))) > 0


def test_what_ends_a_process_is_masked(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging, "root", logging.RootLogger(logging.WARNING))
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr("threading.excepthook", None)
    monkeypatch.setattr(logging.getLogger("millrace"), "parent", logging.root)
    log_to_stderr()
    error = ValueError("postgresql://me:hunter2@db/x")
    sys.excepthook(ValueError, error, None)
    shown = capsys.readouterr().err
    assert "CRITICAL millrace ended by an error" in shown
    assert "hunter2" not in shown


def test_no_process_formats_its_lines_by_itself() -> None:
    sources = [path for path in ROOT.rglob("*.py") if not {".venv", "tests"} & set(path.relative_to(ROOT).parts)]
    makers = {
        path.relative_to(ROOT).as_posix()
        for path in sources
        if re.search(r"basicConfig|dictConfig|logging\.(Stream|File)Handler|override_logging=True", path.read_text())
    }
    assert makers == {"runtime/log_lines.py"}
