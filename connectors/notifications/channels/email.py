"""E-mail by SMTP: one connection per message, by STARTTLS or TLS with a verified certificate.

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
from typing import Self

from connectors.notifications.channels.contract import DELIVERED, Message, Outcome, Verdict
from runtime.settings import Settings

_PERMANENT = range(500, 600)


class EmailChannel:
    """Sends by the server of the settings."""

    recognises_repeats = True

    def __init__(self, settings: Settings, password: str) -> None:
        self._settings = settings
        self._password = password
        self._timeout_s = settings.notice_timeout_ms / 1_000
        self._tls = ssl.create_default_context(cafile=str(settings.smtp_ca_file) if settings.smtp_ca_file else None)

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Raises OSError where a file can't be read."""
        file = settings.smtp_password_file
        return cls(settings, file.read_text().strip() if file is not None else "")

    def close(self) -> None:
        """There is no connection beyond a message."""

    def send(self, message: Message) -> Outcome:
        """One try."""
        try:
            mail = self.mail_of(message)
        except (ValueError, MessageError, IndexError):
            return Outcome(Verdict.REFUSED, "address_malformed")
        has_begun = False
        try:
            with closing(self._connected()) as server:
                has_begun = True
                server.send_message(mail)
                with suppress(smtplib.SMTPException, OSError):  # it was taken: how we part changes nothing
                    server.quit()
        except smtplib.SMTPRecipientsRefused as refused:
            return _refused(max(code for code, _ in refused.recipients.values()), "address_refused")
        except smtplib.SMTPAuthenticationError:
            return Outcome(Verdict.AGAIN, "login_refused")
        except smtplib.SMTPResponseException as answer:
            return _refused(answer.smtp_code, f"smtp_{answer.smtp_code}")
        except smtplib.SMTPNotSupportedError:
            return Outcome(Verdict.AGAIN, "not_supported")
        except ssl.SSLError:
            return Outcome(Verdict.AGAIN, "tls_refused")
        except (smtplib.SMTPException, OSError):
            return Outcome(Verdict.UNKNOWN if has_begun else Verdict.AGAIN, "connection_lost")
        return DELIVERED

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


def _refused(code: int, reason: str) -> Outcome:
    return Outcome(Verdict.REFUSED if code in _PERMANENT else Verdict.AGAIN, reason)
