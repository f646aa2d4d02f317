"""An SMTP server on loopback that does what a test tells it: take, refuse, hang, demand TLS or a login."""

import asyncio
import email
import email.policy
import ssl
import threading
import warnings
from dataclasses import dataclass
from email.message import EmailMessage
from types import TracebackType
from typing import Any, Self

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

from tests.support.ports import free_port


@dataclass(frozen=True)
class Taken:
    """A mail as it came in: envelope and content."""

    sender: str
    recipients: list[str]
    message: EmailMessage
    raw: bytes

    @property
    def text(self) -> str:
        part = self.message.get_body(("plain",))
        assert part is not None
        return str(part.get_content())

    @property
    def html(self) -> str:
        part = self.message.get_body(("html",))
        assert part is not None
        return str(part.get_content())


def taken(raw: bytes, sender: str = "", recipients: list[str] | None = None) -> Taken:
    """A mail from its bytes."""
    message = email.message_from_bytes(raw, policy=email.policy.default)
    return Taken(sender, recipients or [], message, raw)


class MailServer:
    """Answers each mail with `answer`, and hangs before that while `hangs`; keeps all it has taken."""

    def __init__(
        self,
        *,
        port: int | None = None,
        answer: str = "250 OK",
        hangs: bool = False,
        tls: ssl.SSLContext | None = None,
        implicit: bool = False,
        login: tuple[str, str] | None = None,
    ) -> None:
        self.port = free_port() if port is None else port
        self.answer, self.hangs = answer, hangs
        self.mails: list[Taken] = []
        self.attempts = 0
        self.reached = threading.Event()
        server = self

        class Handler:
            async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
                server.attempts += 1
                server.reached.set()
                while server.hangs:
                    await asyncio.sleep(0.01)
                if server.answer.startswith("250"):
                    mail = taken(envelope.content, envelope.mail_from, envelope.rcpt_tos)
                    server.mails.append(mail)
                return server.answer

        def check(
            _server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any
        ) -> AuthResult:
            given = isinstance(data, LoginPassword) and (
                data.login.decode(),
                data.password.decode(),
            )
            return AuthResult(success=given == login, handled=False)

        class Quiet(Controller):
            def factory(self) -> SMTP:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # that a login without TLS is unsafe
                    return SMTP(self.handler, **self.SMTP_kwargs)

        options: dict[str, Any] = {"enable_SMTPUTF8": True}
        if login is not None:
            options |= {"authenticator": check, "auth_required": True, "auth_require_tls": False}
        if tls is not None and not implicit:
            options |= {"tls_context": tls}
        self._controller = Quiet(
            Handler(),
            hostname="127.0.0.1",
            port=self.port,
            ready_timeout=60,
            ssl_context=tls if implicit else None,
            **options,
        )
        self._controller.start()

    def close(self) -> None:
        self.hangs = False
        self._controller.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
