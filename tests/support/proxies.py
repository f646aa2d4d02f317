"""Traefik, Caddy and Envoy as they are documented: what they ask a gate, and what they do with its answer.

Traefik and Envoy are not in Debian, so these stand in for them, set up by the very configuration that
docs/how-to gives; Caddy stands beside them as the observed one, whose stand-in the tests compare with
the real program.
"""

import re
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import urlsplit

import httpx2
import yaml

from tests.support.site import code_of

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
    """ForwardAuth (pkg/middlewares/auth of Traefik 3) behind the routers of docs/how-to/traefik.md."""

    name = "traefik"

    def __init__(self) -> None:
        http = yaml.safe_load(code_of("traefik.md", "yaml"))["http"]
        [router] = [one for one in http["routers"].values() if one.get("middlewares")]
        [middleware] = router["middlewares"]
        options = http["middlewares"][middleware]["forwardAuth"]
        self._path = urlsplit(options.pop("address")).path
        self._taken = re.compile(options.pop("authResponseHeadersRegex"))
        assert options == {}, "this stand-in knows no other options"

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
        return Question("GET", self._path, headers)

    def admits(self, answer: httpx2.Response) -> bool:
        return 200 <= answer.status_code < 300

    def passes_on(self, request: Request, answer: httpx2.Response) -> dict[str, str]:
        kept = {k: v for k, v in request.lower().items() if not self._taken.search(_as_go(k))}
        return kept | {k: v for k, v in answer.headers.items() if self._taken.search(_as_go(k))}


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
    """ext_authz over HTTP (source/extensions/filters/common/ext_authz of Envoy) in the listener of
    docs/how-to/envoy.md."""

    name = "envoy"

    def __init__(self) -> None:
        config = yaml.safe_load(code_of("envoy.md", "yaml"))
        [listener] = config["static_resources"]["listeners"]
        manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
        assert manager["use_remote_address"], "without it X-Forwarded-Proto is the client's word"
        [early] = manager["early_header_mutation_extensions"]
        by_pattern, by_name = early["typed_config"]["mutations"]
        self._taken = re.compile(
            by_pattern["remove_on_match"]["key_matcher"]["safe_regex"]["regex"]
        )
        self._removed = by_name["remove"]
        filter_ = manager["http_filters"][0]["typed_config"]
        assert filter_["failure_mode_allow"] is False
        service = filter_["http_service"]
        self._allowed = _names(filter_["allowed_headers"]) | {"authorization"}
        self._prefix = service["path_prefix"]
        assert set(service) == {"server_uri", "path_prefix", "authorization_response"}
        self._upstream = _names(service["authorization_response"]["allowed_upstream_headers"])

    def _early(self, request: Request) -> dict[str, str]:
        """The headers as the filters see them."""
        return {
            name: value
            for name, value in request.lower().items()
            if not self._taken.fullmatch(name) and name != self._removed
        } | {"x-forwarded-proto": "https" if request.secure else "http"}

    def asks(self, request: Request) -> Question:
        headers = {k: v for k, v in self._early(request).items() if k in self._allowed}
        headers |= {"host": request.host, "content-length": "0"}
        return Question(request.method, f"{self._prefix}{request.path}", headers)

    def admits(self, answer: httpx2.Response) -> bool:
        return answer.status_code == 200

    def passes_on(self, request: Request, answer: httpx2.Response) -> dict[str, str]:
        told = {k: v for k, v in answer.headers.items() if k in self._upstream}
        return self._early(request) | told


def _as_go(name: str) -> str:
    """A header's name as Go writes it: a capital at the start and behind each dash, nowhere else."""
    return "-".join(part.capitalize() for part in name.split("-"))


def _names(matchers: dict[str, Any]) -> set[str]:
    return {one["exact"] for one in matchers["patterns"]}


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
