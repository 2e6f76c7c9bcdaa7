"""The settings of notices to users: the part of Settings that connectors/notifications reads."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings


class NoticeSettings(BaseSettings):
    """Servers and providers that messages leave by, and bounds."""

    smtp_host: str = ""
    """Set = users are told by e-mail, and `millrace up` runs the notifications (docs/notifications.md)."""

    smtp_port: int = Field(587, ge=1, le=65_535)
    smtp_security: Literal["starttls", "tls", "none"] = "starttls"
    """`tls` from the first byte (port 465). `none`: for one's own machine and tests; no login goes over it."""

    smtp_user: str = ""
    smtp_password_file: Path | None = None
    smtp_ca_file: Path | None = None
    """PEM of the authority that signed the server's certificate; unset = the system's."""

    mail_from: str = ""
    """Whom e-mails come from: `Millrace <notices@bank.example>`."""

    sms_url: str = ""
    """Where a provider with Twilio's contract answers. Set = users may be told by text message."""

    sms_account: str = ""
    sms_token_file: Path | None = None
    sms_from: str = ""
    push_url: str = ""
    """Where a provider with the contract of FCM's HTTP v1 answers. Set = users may be told by push."""

    push_project: str = ""
    push_credentials_file: Path | None = None
    """The JSON file of the service account that may send."""

    notice_slots: int = Field(8, ge=1, le=100)
    """Messages under way at a time, per process: at 200 ms each 40 a second."""

    notice_timeout_ms: int = Field(15_000, ge=100, le=20_000)
    """Each wait for a provider. A message that is not answered after 120 s counts as lost with its process."""

    notices_per_hour: int = Field(20, ge=1)
    """Of one user and channel; what is beyond goes into the summary of the day. Security notices are not counted."""

    notice_templates: Path | None = None
    """A folder with own words (en.toml, de.toml) and pages (mail.txt, mail.html) in the place of the package's."""

    @property
    def tells_users(self) -> bool:
        """True where there is a channel for notices."""
        return bool(self.smtp_host or self.sms_url or self.push_url)

    @model_validator(mode="after")
    def _check_notices(self) -> Self:
        if self.smtp_host and "@" not in self.mail_from:
            raise ValueError("mail_from must be set with smtp_host: MILLRACE_MAIL_FROM='Bank <notices@bank.example>'")
        if self.smtp_security == "none" and self.smtp_user:
            raise ValueError("smtp_security must be starttls or tls with smtp_user: a password needs a secret line")
        if self.sms_url and not (self.sms_account and self.sms_token_file and self.sms_from):
            raise ValueError("sms_url must come with sms_account, sms_token_file and sms_from")
        if self.push_url and not (self.push_project and self.push_credentials_file):
            raise ValueError("push_url must come with push_project and push_credentials_file")
        return self
