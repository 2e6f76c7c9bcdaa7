"""Goal: every text of every language can be told, is escaped, and names no account or card in full."""

import itertools
from datetime import UTC, datetime
from pathlib import Path

import pytest

from connectors.notifications.happenings import OF_ACTION, OF_EVENT, Happening, of_action, of_event
from connectors.notifications.rendering import SUMMARY_LINES_MAX, Renderer, TemplatesRefused, Told
from payments.identifiers import ACCOUNT, PAYMENT, USER, format_id
from schemas.tables.notifications import LANGUAGES, SECURITY, NoticeKind, Preferences

AT = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)
ACC = format_id(ACCOUNT, b"\x11" * 16)
RENDERER = Renderer()


def happenings() -> list[Happening]:
    """One of everything that is told: what comes from events and from the audit log, with and without a reason."""
    found: list[Happening] = []
    for type_, reason in itertools.product(OF_EVENT, ({}, {"reason": "insufficient_funds"})):
        is_account = type_.startswith("account.")
        facts = {} if is_account else {"payer": ACC, "payee": ACC, "amount": "10.50", "currency": "EUR"}
        object_ = ACC if is_account else format_id(PAYMENT, b"\x22" * 16)
        found += of_event(1, AT, {"type": type_, "object": object_, "data": facts | reason})
    for action in OF_ACTION:
        entry = {"action": action, "actor": None, "object": format_id(USER, b"\x33" * 16), "at": AT}
        found += of_action(2, entry | {"before": None, "after": {"bank_account": "bnk_1"}})
    return found


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_notice_in_every_language(language: str) -> None:
    preferences, seen = Preferences(language=language, zone="Europe/Berlin"), set()
    for happening in happenings():
        told = Told(happening.kind, AT, happening.details)
        page = RENDERER.page(told, preferences, "https://bank.example/u")
        seen.add(happening.kind)
        for text in (*page, *RENDERER.short(told, preferences)):
            assert text.strip()
            assert happening.details.get("word", "?") not in text, "the event's word is translated"
            assert ACC not in text
            assert "{" not in text.replace("{}", "")
        assert "\n" not in page.title
        if "amount" in happening.details:
            assert "10.50 EUR" in page.body
            assert "10.50 EUR" in page.html
    assert seen == set(NoticeKind) - {NoticeKind.DAILY_SUMMARY}
    received = RENDERER.page(Told(NoticeKind.PASSWORD_CHANGED, AT, {"word": "password.changed"}), preferences)
    assert "2026-07-01 14:00 CEST" in received.body


def test_values_are_escaped_in_html_and_keep_to_one_line_in_titles() -> None:
    details = {"amount": "<b>1</b>\r\nBcc: all@example.com", "object": "&", "account": '"', "word": ""}
    page = RENDERER.page(Told(NoticeKind.PAYMENT_SENT, AT, details), Preferences())
    assert page.title == "You sent <b>1</b> Bcc: all@example.com"
    assert "&lt;b&gt;1&lt;/b&gt;" in page.html
    assert "<b>" not in page.html


def test_a_summary_has_its_lines_and_says_what_is_left_out() -> None:
    details = {"amount": "1.00 EUR", "object": "pay_1", "account": "…1", "word": ""}
    lines = [Told(NoticeKind.PAYMENT_SENT, AT, details)] * (SUMMARY_LINES_MAX + 3)
    page = RENDERER.page(Told(NoticeKind.DAILY_SUMMARY, AT, {}), Preferences(), lines=lines)
    assert page.title == "Your summary: 103 notices"
    for text in (page.body, page.html):
        assert text.count("You sent 1.00 EUR") == SUMMARY_LINES_MAX
        assert "and 3 more" in text


def test_only_what_can_be_switched_off_offers_it() -> None:
    told = Told(NoticeKind.PASSWORD_CHANGED, AT, {"word": ""})
    assert NoticeKind.PASSWORD_CHANGED in SECURITY
    assert "Was it not you?" in RENDERER.page(told, Preferences()).body


@pytest.mark.parametrize(
    "sentence", ["{{ nothing }}", "{{ ''.__class__.__mro__ }}", "{% for", "{{ amount.__init__.__globals__ }}"]
)
def test_own_words_replace_ours_and_a_wrong_one_is_found_at_the_start(tmp_path: Path, sentence: str) -> None:
    own = tmp_path / "en.toml"
    own.write_text('[notices.payment_sent]\ntitle = "Off it goes: {{ amount }}"\nbody = "{{ at }}"\n')
    told = Told(NoticeKind.PAYMENT_SENT, AT, {"amount": "1.00 EUR"})
    assert Renderer(tmp_path).short(told, Preferences())[0] == "Off it goes: 1.00 EUR"
    own.write_text(f'[notices.payment_sent]\ntitle = "x"\nbody = """{sentence}"""\n')
    with pytest.raises(TemplatesRefused):
        Renderer(tmp_path)
