"""Hosts behind the gate: how they are written, and which application each one is."""

import asyncio
import re
from collections.abc import Callable
from functools import partial
from typing import NamedTuple
from urllib.parse import urlsplit

from anyio import CapacityLimiter

from iam.db import Database
from iam.directory.applications import application_at
from iam.kernel.clock import Instant
from iam.kernel.errors import IamError, Invalid, Unavailable
from iam.settings import Settings
from iam.web.engine import in_thread

_HOST = re.compile(r"(?:[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?")
_LONGEST_HOST = 260
_LONGEST_PATH = 2000
_HTTP_URL = re.compile(r"https?://[^/?#@\\]+(?:[/?#][^\\]*)?", re.IGNORECASE)


class ReturnAddressRefused(Invalid):
    """Nobody is sent there: not the address of a page on a host behind the gate."""

    code = "return_address_refused"
    title = "This is not the address of a page that you can be sent back to."


class Target(NamedTuple):
    """A page on a host behind the gate. `path` begins with `/` and keeps its query."""

    scheme: str
    host: str
    path: str

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.host}{self.path}"


def host_name(text: str | None, scheme: str) -> str | None:
    """A host as the directory keeps it (lower case, without the scheme's own port); None if it is
    not one. The input is hostile."""
    if text is None or len(text) > _LONGEST_HOST:
        return None
    host = text.strip().lower().removesuffix(":443" if scheme == "https" else ":80")
    return host if _HOST.fullmatch(host) else None


def scheme_of(settings: Settings, forwarded: str | None) -> str:
    """How browsers reach a host behind the gate: https, unless the issuer is http on a loopback
    address and the proxy does not say otherwise."""
    return "https" if settings.secure or (forwarded or "").strip().lower() == "https" else "http"


def path_of(text: str | None) -> str:
    """The path and query of a page on a host; `/` where there is none that could be sent along."""
    if not text or not text.startswith("/") or len(text) > _LONGEST_PATH or not _is_plain(text):
        return "/"
    return text.partition("#")[0]


def parse_target(text: str | None, settings: Settings) -> Target:
    """The page that `rd` names.

    It is taken apart and put together anew, so that what was checked and what a browser is sent to
    cannot be read in two ways (user names before an `@`, backslashes, control characters).

    Raises:
        ReturnAddressRefused: not an absolute address of https (http from a loopback issuer).
    """
    if text is None or not _is_plain(text) or not _HTTP_URL.fullmatch(text):
        raise ReturnAddressRefused
    try:
        parts = urlsplit(text)
    except ValueError as error:
        raise ReturnAddressRefused from error
    host = host_name(parts.netloc, parts.scheme)
    if host is None or (parts.scheme == "http" and settings.secure):
        raise ReturnAddressRefused
    query = f"?{parts.query}" if parts.query else ""
    return Target(parts.scheme, host, path_of((parts.path or "/") + query))


def _is_plain(text: str) -> bool:
    return text.isascii() and text.isprintable() and " " not in text and "\\" not in text


Home = tuple[str, str]
"""(organization, application)."""
Found = Callable[[str | None, Home | None, IamError | None], None]
"""Takes the host as the directory writes it, None if it is not one; its application, None if it is no
application's; or the error that hid it."""


class Known(NamedTuple):
    """A host as it was sent and as it is written, its application, and when that was read."""

    sent: bytes
    host: str
    home: Home | None
    at: Instant


class Hosts:
    """Which application a host is, remembered for one second.

    This is configuration, not a session: whether a session is good is read anew for every request,
    and taking a host from an application ends the sessions there. What the second can delay is that
    a host that was just registered opens, or that a host that moved refuses another session of its
    former application.
    """

    _FRESH = 1000  # milliseconds
    _RENEW = 500
    _MOST = 4096  # whoever asks for invented hosts must not fill the memory

    def __init__(self, database: Database, settings: Settings, threads: CapacityLimiter) -> None:
        self._database, self._threads = database, threads
        self._scheme = "https" if settings.secure else "http"
        # By what was sent, so that a host which is asked for again need not be read once more.
        self._known: dict[bytes | None, Known] = {}
        self._waiting: dict[bytes, list[Found]] = {}
        self._asking: set[asyncio.Task[None]] = set()

    def known(self, sent: bytes | None, now: Instant) -> Known | None:
        """The host and its application, if that was read within the last second."""
        known = self._known.get(sent)
        if known is None or not 0 <= now - known.at < self._FRESH:
            return None
        # Renewed beside the answers before it is too old, so that nobody has to wait for it.
        if now - known.at >= self._RENEW and known.sent not in self._waiting:
            self._ask(known.sent, known.host, now, [])
        return known

    def find(self, sent: bytes | None, now: Instant, found: Found) -> None:
        """Hand the application of this host, which is not `known`, to `found`."""
        if sent is None:
            found(None, None, None)
        elif sent in self._waiting:
            self._waiting[sent].append(found)
        else:
            host = host_name(sent.decode("latin-1"), self._scheme)
            if host is None:
                found(None, None, None)
            else:
                self._ask(sent, host, now, [found])

    def _ask(self, sent: bytes, host: str, now: Instant, waiting: list[Found]) -> None:
        self._waiting[sent] = waiting
        task = asyncio.get_running_loop().create_task(self._read(sent, host, now))
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)

    async def _read(self, sent: bytes, host: str, now: Instant) -> None:
        work = partial(application_at, host=host)
        home: Home | None = None
        error: IamError | None = None
        try:
            home = await in_thread(lambda: self._database.look(work), self._threads)
            if len(self._known) >= self._MOST:
                self._known.clear()
            self._known[sent] = Known(sent, host, home, now)
        except Exception as unexpected:  # noqa: BLE001 - who waits has to be answered, whatever it was
            error = (
                unexpected if isinstance(unexpected, IamError) else Unavailable(repr(unexpected))
            )
        for found in self._waiting.pop(sent):
            found(host, home, error)
