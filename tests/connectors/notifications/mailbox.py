"""A real SMTP server on loopback (aiosmtpd): it keeps what it takes, and refuses as told."""

import asyncio
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

TAKEN = "250 taken"
USER, PASSWORD = "bank", "a secret of the bank"


@dataclass
class Mailbox:
    """What was taken; `answers` says what DATA is answered, by how much was taken before."""

    port: int = 0
    taken: list[EmailMessage] = field(default_factory=list)
    receivers: list[str] = field(default_factory=list)
    logins: list[bool] = field(default_factory=list)
    answers: Callable[[int], str] = field(default=lambda _: TAKEN)
    unknown: set[str] = field(default_factory=set)
    peers: set[Any] = field(default_factory=set)
    """Where messages came from: one for each connection."""

    sessions: list[SMTP] = field(default_factory=list)

    async def handle_RCPT(self, _: SMTP, __: Session, envelope: Envelope, address: str, ___: list[str]) -> str:
        if address in self.unknown:
            return "550 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    def end(self) -> None:
        """Close the connection that the last message came by, as a server does with an idle one."""
        server = self.sessions[-1]

        async def close() -> None:
            assert server.transport is not None
            server.transport.close()

        asyncio.run_coroutine_threadsafe(close(), server.loop).result(60)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        self.peers.add(session.peer)
        self.sessions.append(server)
        answer = self.answers(len(self.taken))
        if answer.startswith("250"):
            content = envelope.content
            assert isinstance(content, bytes)
            mail = message_from_bytes(content, policy=default)
            assert isinstance(mail, EmailMessage)
            self.taken.append(mail)
            self.receivers += envelope.rcpt_tos
            self.logins.append(bool(session.authenticated))
        return answer

    def texts(self) -> list[str]:
        return [body_of(mail, "plain") for mail in self.taken]


def body_of(mail: EmailMessage, kind: str) -> str:
    part = mail.get_body((kind,))
    assert part is not None
    return str(part.get_content())


@contextmanager
def receiving(certificate: Path | None = None, *, implicit: bool = False) -> Iterator[Mailbox]:
    """Listen until the block ends. With a certificate, mail needs TLS (STARTTLS, or from the first byte) and login."""
    mailbox, context = Mailbox(), None
    options: dict[str, Any] = {}
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        options = {"auth_required": True, "authenticator": _authenticate, "auth_require_tls": not implicit}
        options |= {} if implicit else {"tls_context": context, "require_starttls": True}
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    listening = loop.create_server(
        lambda: SMTP(mailbox, hostname="localhost", loop=loop, **options),
        "127.0.0.1",
        0,
        ssl=context if implicit else None,
    )
    server = asyncio.run_coroutine_threadsafe(listening, loop).result(60)
    mailbox.port = server.sockets[0].getsockname()[1]
    try:
        yield mailbox
    finally:
        loop.call_soon_threadsafe(server.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


def _authenticate(_: SMTP, __: Session, ___: Envelope, ____: str, login: LoginPassword) -> AuthResult:
    is_right = (login.login, login.password) == (USER.encode(), PASSWORD.encode())
    return AuthResult(success=is_right, handled=False)
