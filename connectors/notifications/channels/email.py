"""E-mail by SMTP, by STARTTLS or TLS with a verified certificate. A connection carries the messages of a batch, up to
MESSAGES_MAX; before each it is asked whether it still stands, so that one that ended costs no message.

The Message-ID is the notice's, in every try: where a server took a message and the answer was lost, the second copy
carries the same one, and servers and mail programs that look at it show it once. Headers are made by the library from
typed fields, which refuse line breaks.
"""

import smtplib
import ssl
from contextlib import closing, suppress
from datetime import UTC, datetime
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from queue import Empty, Full, LifoQueue
from typing import Final, NamedTuple, Self

from connectors.notifications.channels.contract import DELIVERED, Message, Outcome, Verdict
from runtime.settings import Settings

_PERMANENT = range(500, 600)
_OK = 250
_STANDS_WITHIN_S = 2
MESSAGES_MAX: Final = 100
"""Of one connection: servers allow 100 (Exchange, Postfix) or more."""


class _Line(NamedTuple):
    """A connection, logged in, and how many messages it may still carry."""

    server: smtplib.SMTP
    left: int


class EmailChannel:
    """Sends by the server of the settings."""

    recognises_repeats = True

    def __init__(self, settings: Settings, password: str) -> None:
        self._settings = settings
        self._password = password
        self._timeout_s = settings.notice_timeout_ms / 1_000
        self._tls = ssl.create_default_context(cafile=str(settings.smtp_ca_file) if settings.smtp_ca_file else None)
        self._idle: LifoQueue[_Line] = LifoQueue(settings.notice_slots)

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Raises OSError where a file can't be read."""
        file = settings.smtp_password_file
        return cls(settings, file.read_text().strip() if file is not None else "")

    def rest(self) -> None:
        """Part from the server."""
        with suppress(Empty):
            while True:
                _part(self._idle.get_nowait().server)

    def close(self) -> None:
        self.rest()

    def send(self, message: Message) -> Outcome:
        """One try."""
        try:
            mail = self.mail_of(message)
        except (ValueError, MessageError, IndexError):
            return Outcome(Verdict.REFUSED, "address_malformed")
        line = None
        try:
            line = self._standing() or _Line(self._connected(), MESSAGES_MAX)
            line.server.send_message(mail)
        except (smtplib.SMTPException, OSError) as error:
            if line is not None:
                line.server.close()
            return _outcome_of(error, has_begun=line is not None)
        self._keep(line)
        return DELIVERED

    def _standing(self) -> _Line | None:
        """A connection of before, if it still answers: one is asked, so that no message waits for many."""
        with suppress(Empty):
            line = self._idle.get_nowait()
            if self._stands(line.server):
                return line
            line.server.close()
        return None

    def _stands(self, server: smtplib.SMTP) -> bool:
        if server.sock is None:
            return False
        with suppress(smtplib.SMTPException, OSError):
            server.sock.settimeout(_STANDS_WITHIN_S)
            if server.noop()[0] == _OK:
                server.sock.settimeout(self._timeout_s)
                return True
        return False

    def _keep(self, line: _Line) -> None:
        if line.left > 1:
            with suppress(Full):
                self._idle.put_nowait(line._replace(left=line.left - 1))
                return
        _part(line.server)

    def mail_of(self, message: Message) -> EmailMessage:
        """The message as it is sent. Raises ValueError for an address that is none."""
        mail = EmailMessage(policy=SMTP)
        mail["From"] = self._settings.mail_from
        mail["To"] = Address(addr_spec=message.to.reveal())
        mail["Subject"] = message.text.title
        mail["Date"] = format_datetime(datetime.now(UTC))
        domain = parseaddr(self._settings.mail_from)[1].rpartition("@")[2]
        mail["Message-ID"] = f"<{message.notice_id}@{domain}>"
        mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office answers
        if message.unsubscribe_url:
            mail["List-Unsubscribe"] = f"<{message.unsubscribe_url}>"
            mail["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"  # RFC 8058
        mail.set_content(message.text.body)
        mail.add_alternative(message.text.html, subtype="html")
        return mail

    def _connected(self) -> smtplib.SMTP:
        of = self._settings
        if of.smtp_security == "tls":
            server: smtplib.SMTP = smtplib.SMTP_SSL(
                of.smtp_host, of.smtp_port, timeout=self._timeout_s, context=self._tls
            )
        else:
            server = smtplib.SMTP(of.smtp_host, of.smtp_port, timeout=self._timeout_s)
        try:
            if of.smtp_security == "starttls":
                server.starttls(context=self._tls)
            if of.smtp_user:
                server.login(of.smtp_user, self._password)
        except BaseException:
            server.close()
            raise
        return server


def _part(server: smtplib.SMTP) -> None:
    """What was taken stays taken, however we part."""
    with closing(server), suppress(smtplib.SMTPException, OSError):
        server.quit()


def _outcome_of(error: Exception, *, has_begun: bool) -> Outcome:
    """What an error means for the message, of which the server had nothing before it `has_begun`."""
    match error:
        case smtplib.SMTPRecipientsRefused():
            return _refused(max(code for code, _ in error.recipients.values()), "address_refused")
        case smtplib.SMTPAuthenticationError():
            return Outcome(Verdict.AGAIN, "login_refused")
        case smtplib.SMTPResponseException():
            return _refused(error.smtp_code, f"smtp_{error.smtp_code}")
        case smtplib.SMTPNotSupportedError():
            return Outcome(Verdict.AGAIN, "not_supported")
        case ssl.SSLError():
            return Outcome(Verdict.AGAIN, "tls_refused")
    return Outcome(Verdict.UNKNOWN if has_begun else Verdict.AGAIN, "connection_lost")


def _refused(code: int, reason: str) -> Outcome:
    return Outcome(Verdict.REFUSED if code in _PERMANENT else Verdict.AGAIN, reason)
