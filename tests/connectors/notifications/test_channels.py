"""Goal: messages leave by a secret line and a login, and whatever an edge answers becomes the right outcome."""

from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from pydantic import ValidationError

from connectors.notifications.channels.contract import Message, Outcome, Verdict
from connectors.notifications.channels.email import EmailChannel
from connectors.notifications.channels.push import PushChannel
from connectors.notifications.channels.sms import TEXT_CHARS_MAX, SmsChannel
from connectors.notifications.rendering import Text
from millrace.environment.security.certificates import broker_pem, new_authority
from runtime.personal_data.personal import Personal
from runtime.settings import Settings
from tests.connectors.notifications import mailbox
from tests.connectors.notifications.mailbox import Mailbox, body_of
from tests.connectors.notifications.providers import HANG_UP, providing

TEXT = Text("Größe", "body & soul", "<p>body &amp; soul</p>")
DELIVERED = Outcome(Verdict.DELIVERED)


def message(to: str = "anna@example.com", text: Text = TEXT) -> Message:
    return Message("ntc_1", Personal(to), text, "https://bank.example/u/t")


def email_settings(tmp_path: Path, port: int, **values: Any) -> Settings:
    login = tmp_path / "password"
    login.write_text(mailbox.PASSWORD)
    plain: dict[str, Any] = {"smtp_host": "localhost", "smtp_port": port, "smtp_security": "none"}
    plain |= {"mail_from": "Bank <notices@bank.example>", "smtp_password_file": login}
    return Settings(home=tmp_path, **(plain | values))


def sent(settings: Settings, one: Message) -> Outcome:
    return EmailChannel.of(settings).send(one)


def test_an_email_has_both_bodies_and_says_how_to_stop_it(tmp_path: Path) -> None:
    with mailbox.receiving() as box:
        assert sent(email_settings(tmp_path, box.port), message()) == DELIVERED
    (mail,) = box.taken
    assert (mail["Subject"], mail["To"], mail["From"]) == ("Größe", "anna@example.com", "Bank <notices@bank.example>")
    assert mail["Message-ID"] == "<ntc_1@bank.example>"
    assert mail["List-Unsubscribe"] == "<https://bank.example/u/t>"
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert (body_of(mail, "plain").strip(), body_of(mail, "html").strip()) == (TEXT.body, TEXT.html)


@pytest.mark.parametrize("implicit", [True, False])
def test_tls_and_login(tmp_path: Path, implicit: bool) -> None:
    ours, others = new_authority(), new_authority()
    certificate, authority, other = (tmp_path / name for name in ("server.pem", "ours.pem", "others.pem"))
    certificate.write_bytes(broker_pem(ours))
    authority.write_bytes(ours.certificate.public_bytes(Encoding.PEM))
    other.write_bytes(others.certificate.public_bytes(Encoding.PEM))
    values = {"smtp_security": "tls" if implicit else "starttls", "smtp_user": mailbox.USER}
    with mailbox.receiving(certificate, implicit=implicit) as box:
        right = email_settings(tmp_path, box.port, smtp_ca_file=authority, **values)
        assert sent(right, message()) == DELIVERED
        untrusted = email_settings(tmp_path, box.port, smtp_ca_file=other, **values)
        assert sent(untrusted, message()) == Outcome(Verdict.AGAIN, "tls_refused")
        stranger = email_settings(tmp_path, box.port, smtp_ca_file=authority, **values | {"smtp_user": "nobody"})
        assert sent(stranger, message()) == Outcome(Verdict.AGAIN, "login_refused")
    assert box.logins == [True]


def test_a_server_without_starttls_gets_neither_login_nor_mail(tmp_path: Path) -> None:
    with mailbox.receiving() as box:
        settings = email_settings(tmp_path, box.port, smtp_security="starttls", smtp_user=mailbox.USER)
        assert sent(settings, message()) == Outcome(Verdict.AGAIN, "not_supported")
    assert box.taken == []


@pytest.mark.parametrize(
    "to", ["anna@example.com\r\nBcc: all@example.com", "anna@example.com, berta@example.com", "anna", "", "a b@c.d"]
)
def test_an_address_is_one_address_and_no_header(tmp_path: Path, to: str) -> None:
    with mailbox.receiving() as box:
        assert sent(email_settings(tmp_path, box.port), message(to)) == Outcome(Verdict.REFUSED, "address_malformed")
    assert box.taken == []


def test_a_batch_is_one_connection_and_one_that_ended_costs_no_message(tmp_path: Path) -> None:
    with mailbox.receiving() as box:
        channel = EmailChannel.of(email_settings(tmp_path, box.port))
        assert [channel.send(message()) for _ in range(3)] == [DELIVERED] * 3
        assert len(box.peers) == 1
        box.end()
        assert channel.send(message()) == DELIVERED
        channel.rest()
        assert channel.send(message()) == DELIVERED
        channel.close()
    assert (len(box.taken), len(box.peers)) == (5, 3)


def test_a_title_is_no_header(tmp_path: Path) -> None:
    with mailbox.receiving() as box:
        injected = message(text=TEXT._replace(title="Hi\r\nBcc: all@example.com"))
        assert sent(email_settings(tmp_path, box.port), injected).verdict is Verdict.REFUSED
    assert box.taken == []


def test_what_a_server_answers(tmp_path: Path) -> None:
    def answered(box: Mailbox, answer: str) -> Outcome:
        box.answers = lambda _: answer
        return sent(email_settings(tmp_path, box.port), message())

    with mailbox.receiving() as box:
        box.unknown = {"gone@example.com"}
        gone = sent(email_settings(tmp_path, box.port), message("gone@example.com"))
        assert gone == Outcome(Verdict.REFUSED, "address_refused")
        assert answered(box, "451 later") == Outcome(Verdict.AGAIN, "smtp_451")
        assert answered(box, "554 spam") == Outcome(Verdict.REFUSED, "smtp_554")
    assert answered(box, "250") == Outcome(Verdict.AGAIN, "connection_lost"), "nobody listens any more"


def test_text_messages(tmp_path: Path) -> None:
    with providing() as at:
        channel = SmsChannel.of(Settings(home=tmp_path, **at.variables(tmp_path)))
        long = message("+4915112345678", TEXT._replace(body="x" * 1_000))
        assert channel.send(long) == DELIVERED
        assert channel.send(message("12")) == Outcome(Verdict.REFUSED, "http_400")
        at.faults = [(429, {}), (503, {}), HANG_UP]
        outcomes = [channel.send(message("+4915112345678")).verdict for _ in range(3)]
        assert outcomes == [Verdict.AGAIN, Verdict.UNKNOWN, Verdict.UNKNOWN]
        assert [len(one["Body"]) for one in at.messages] == [TEXT_CHARS_MAX, 17], "taken, though nobody was told"
        channel.close()
        stranger = Settings(home=tmp_path, **at.variables(tmp_path) | {"sms_account": "AC2"})
        assert SmsChannel.of(stranger).send(message("+49151")).verdict is Verdict.REFUSED
    gone = SmsChannel.of(Settings(home=tmp_path, **at.variables(tmp_path)))
    assert gone.send(message("+4915112345678")) == Outcome(Verdict.AGAIN, "connection_failed")


def test_push(tmp_path: Path) -> None:
    with providing() as at:
        at.devices = {"phone"}
        channel = PushChannel.of(Settings(home=tmp_path, **at.variables(tmp_path)))
        assert channel.send(message("phone")) == DELIVERED
        assert channel.send(message("tablet")) == Outcome(Verdict.GONE, "device_gone")
        assert at.access_tokens == ["access-0"], "a token is used for an hour"
        at.access_tokens.append("another")
        assert channel.send(message("phone")) == Outcome(Verdict.AGAIN, "http_401")
        assert channel.send(message("phone")) == DELIVERED
        at.faults = [(503, {}), HANG_UP]
        assert [channel.send(message("phone")).verdict for _ in range(2)] == [Verdict.AGAIN] * 2
        at.faults = [
            (404, {}),
            (404, {"error": {"status": "NOT_FOUND"}}),
            (404, {"error": {"details": [{"reason": "?"}]}}),
        ]
        told = {channel.send(message("phone")) for _ in range(3)}
        assert told == {Outcome(Verdict.AGAIN, "http_404")}, "another address or project is no device's fault"
        channel.close()
    tags = {one["android"]["notification"]["tag"] for one in at.pushes}
    assert tags == {"ntc_1"}, "a repeat replaces the first on the device"


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"smtp_host": "localhost"}, "mail_from"),
        ({"smtp_host": "localhost", "mail_from": "a@b", "smtp_security": "none", "smtp_user": "u"}, "smtp_security"),
        ({"sms_url": "http://localhost"}, "sms_url"),
        ({"push_url": "http://localhost"}, "push_url"),
    ],
)
def test_half_a_channel_is_refused_at_the_start(tmp_path: Path, values: dict[str, Any], named: str) -> None:
    with pytest.raises(ValidationError, match=named):
        Settings(home=tmp_path, **values)
