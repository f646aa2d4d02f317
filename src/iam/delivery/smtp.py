"""One attempt to hand a mail over: to an SMTP server, or to a folder in development."""

import asyncio
import contextlib
import os
import ssl
from email.message import EmailMessage
from functools import cache
from pathlib import Path
from typing import Any

from iam.delivery.claims import Outcome
from iam.settings import MailServer

_FAREWELL = 2  # seconds for QUIT, when the mail is already theirs


@cache
def trusted() -> ssl.SSLContext:
    """What a mail server's certificate is verified against: the system's authorities, or those in
    SSL_CERT_FILE. Reads files: not on the event loop."""
    return ssl.create_default_context()


async def hand_over(
    server: MailServer, message: EmailMessage, *, own_name: str, seconds: float
) -> Outcome:
    """Give a mail to the server. `seconds` are for all of it together, whatever the server does.

    Args:
        own_name: what we call ourselves in EHLO.
    """
    # Not before something is to be sent: most processes never do.
    import aiosmtplib

    client = aiosmtplib.SMTP(
        hostname=server.host,
        port=server.port,
        username=server.username,
        password=server.password,
        local_hostname=own_name,
        use_tls=server.tls == "implicit",
        start_tls={"starttls": True, "offered": None}.get(server.tls, False),
        tls_context=await asyncio.to_thread(trusted) if server.tls != "none" else None,
        timeout=seconds,
    )
    sender, recipient = (message[name].addresses[0].addr_spec for name in ("From", "To"))
    try:
        async with asyncio.timeout(seconds):
            await client.connect()
            await client.send_message(message, sender=sender, recipients=[recipient])
    except (TimeoutError, aiosmtplib.SMTPTimeoutError):
        return Outcome(None, "timeout")
    except aiosmtplib.SMTPAuthenticationError as error:
        return Outcome(error.code, "authentication")
    except aiosmtplib.SMTPRecipientsRefused as error:
        return Outcome(error.recipients[0].code, "recipient_refused")
    except aiosmtplib.SMTPResponseException as error:
        return Outcome(error.code, "refused")
    except OSError as error:
        return Outcome(None, f"connection: {type(error.__cause__ or error).__name__}")
    except aiosmtplib.SMTPException:
        # No STARTTLS, no way to log in, or an address that it cannot take.
        return Outcome(None, "not_supported")
    finally:
        await _part(client)
    return Outcome(250, None)


async def _part(client: Any) -> None:
    """Say goodbye, if the server still listens. It has the mail or has not: nothing changes that."""
    try:
        if client.is_connected:
            with contextlib.suppress(Exception):
                async with asyncio.timeout(_FAREWELL):
                    await client.quit()
    finally:
        client.close()


def put_into(folder: Path, name: str, message: EmailMessage) -> Outcome:
    """Write a mail as a file, readable for its owner alone. Written twice it is one file."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        unfinished = folder / f".{name}.{os.getpid()}"
        unfinished.touch(0o600)
        unfinished.write_bytes(message.as_bytes())
        unfinished.replace(folder / name)
    except OSError as error:
        return Outcome(None, f"file: {type(error).__name__}")
    return Outcome(None, None)
