"""Traefik, Caddy and Envoy as they are documented: what they ask a gate, and what they do with its answer.

Traefik and Envoy are not in Debian, so these stand in for them; Caddy stands beside them as the
observed one, whose stand-in the tests compare with the real program. Each is set up as docs/how-to says.
"""

import re
from dataclasses import dataclass, field
from typing import Protocol

import httpx2

IDENTITY = (
    "remote-user",
    "remote-email",
    "remote-name",
    "remote-groups",
    "x-iam-session",
    "x-iam-organization",
    "x-iam-application",
)
_HOP_BY_HOP = ("connection", "keep-alive", "te", "trailers", "transfer-encoding", "upgrade")
# The aliases of a name that CGI and its heirs cannot tell from it: `Remote_User`, `Remote.User` …
_OURS = re.compile(r"(?i)^(remote|x[^a-z0-9]iam)[^a-z0-9].*")


@dataclass
class Request:
    """What a client sends to a proxy."""

    method: str = "GET"
    path: str = "/page?a=1"
    host: str = "wiki.test"
    headers: dict[str, str] = field(default_factory=dict)
    secure: bool = False

    def lower(self) -> dict[str, str]:
        return {name.lower(): value for name, value in self.headers.items()}


@dataclass
class Question:
    """What a proxy then asks."""

    method: str
    path: str
    headers: dict[str, str]


class Proxy(Protocol):
    """How one kind of proxy asks and takes the answer."""

    name: str

    def asks(self, request: Request) -> Question:
        """The question about a request."""
        ...

    def admits(self, answer: httpx2.Response) -> bool:
        """Whether the request goes on to the application."""
        ...

    def passes_on(self, request: Request, answer: httpx2.Response) -> dict[str, str]:
        """The headers with which an admitted request reaches the application."""
        ...


class Traefik:
    """ForwardAuth with `address` and `authResponseHeadersRegex`, everything else as it is by default."""

    name = "traefik"

    def asks(self, request: Request) -> Question:
        headers = _without_hops(request.lower())
        headers |= {
            "host": "127.0.0.1:8000",
            "x-forwarded-for": "198.51.100.7",
            "x-forwarded-method": request.method,
            "x-forwarded-proto": "https" if request.secure else "http",
            "x-forwarded-host": request.host,
            "x-forwarded-uri": request.path,
        }
        return Question("GET", "/gate/traefik", headers)

    def admits(self, answer: httpx2.Response) -> bool:
        return 200 <= answer.status_code < 300

    def passes_on(self, request: Request, answer: httpx2.Response) -> dict[str, str]:
        kept = {k: v for k, v in request.lower().items() if not _OURS.match(k)}
        return kept | {k: v for k, v in answer.headers.items() if _OURS.match(k)}


class Caddy:
    """`forward_auth` with `uri` and `copy_headers` behind the `request_header` lines of the document."""

    name = "caddy"

    def asks(self, request: Request) -> Question:
        sent = _without_ours(request)
        upgrade = sent.get("upgrade")
        headers = _without_hops(sent)
        if upgrade is not None:
            headers |= {"connection": "Upgrade", "upgrade": upgrade}
        headers |= {
            "host": request.host,
            "x-forwarded-for": "198.51.100.7",
            "x-forwarded-method": request.method,
            "x-forwarded-proto": "https" if request.secure else "http",
            "x-forwarded-host": request.host,
            "x-forwarded-uri": request.path,
        }
        _, mark, query = request.path.partition("?")  # it goes behind the gate's address
        return Question("GET", f"/gate/caddy{mark}{query}", headers)

    def admits(self, answer: httpx2.Response) -> bool:
        return 200 <= answer.status_code < 300

    def passes_on(self, request: Request, answer: httpx2.Response) -> dict[str, str]:
        return _without_ours(request) | {name: answer.headers[name] for name in IDENTITY}


class Envoy:
    """ext_authz over HTTP with `path_prefix`, and the lists of headers that the document allows."""

    name = "envoy"
    _allowed = (
        "cookie",
        "accept",
        "sec-fetch-mode",
        "x-requested-with",
        "x-forwarded-proto",
        "upgrade",
    )

    def asks(self, request: Request) -> Question:
        sent = request.lower() | {"x-forwarded-proto": "https" if request.secure else "http"}
        headers = {k: v for k, v in sent.items() if k in (*self._allowed, "authorization")}
        headers |= {"host": request.host, "content-length": "0"}
        return Question(request.method, f"/gate/envoy{request.path}", headers)

    def admits(self, answer: httpx2.Response) -> bool:
        return answer.status_code == 200

    def passes_on(self, request: Request, answer: httpx2.Response) -> dict[str, str]:
        kept = {k: v for k, v in request.lower().items() if not _OURS.match(k)}
        return kept | {k: v for k, v in answer.headers.items() if k in IDENTITY}


def _without_hops(sent: dict[str, str]) -> dict[str, str]:
    """What goes beyond one hop: not what Connection names, by whoever sent it."""
    named = {one.strip().lower() for one in sent.get("connection", "").split(",")}
    return {k: v for k, v in sent.items() if k not in _HOP_BY_HOP and k not in named}


def _without_ours(request: Request) -> dict[str, str]:
    return {
        name: value
        for name, value in request.lower().items()
        if not name.startswith("remote") and "iam" not in name
    }


PROXIES: tuple[Proxy, ...] = (Traefik(), Caddy(), Envoy())
