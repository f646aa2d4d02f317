"""Requests to one server process, as a browser or a program sends them, with nothing kept in between."""

import http.client
import json
from typing import Any, NamedTuple, Self
from urllib.parse import parse_qs, urlencode, urlsplit

from tests.support.processes import Server

_FORM = "application/x-www-form-urlencoded"


class Answer(NamedTuple):
    """What a node answered. `body` is decoded where it is JSON."""

    status: int
    headers: dict[str, str]
    cookies: dict[str, str]
    body: Any
    text: str

    @property
    def there(self) -> str:
        """Where it leads, without the host."""
        parts = urlsplit(self.headers["location"])
        return f"{parts.path}?{parts.query}"

    def led_with(self, name: str) -> str:
        """A parameter of where it leads; empty if there is none."""
        query = parse_qs(urlsplit(self.headers.get("location", "")).query)
        return query.get(name, [""])[0]


class Node:
    """A connection to one server process."""

    def __init__(self, server: Server) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)

    def __call__(
        self,
        method: str,
        path: str,
        *,
        token: str | None = None,
        cookies: dict[str, str] | None = None,
        body: object = None,
        form: dict[str, str] | None = None,
        **headers: str,
    ) -> Answer:
        """Send a request. Headers by keyword, `_` for `-`."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if token is not None:
            sent["authorization"] = f"Bearer {token}"
        if cookies:
            sent["cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
        content = None
        if form is not None:
            content, sent["content-type"] = urlencode(form), _FORM
        elif body is not None:
            content, sent["content-type"] = json.dumps(body), "application/json"
        self._connection.request(method, path, content, sent)
        answer = self._connection.getresponse()
        text = answer.read().decode()
        is_json = "json" in answer.headers.get("content-type", "")
        pairs = [one.partition(";")[0] for one in answer.headers.get_all("set-cookie", [])]
        return Answer(
            answer.status,
            {name.lower(): value for name, value in answer.headers.items()},
            dict(pair.split("=", 1) for pair in pairs),
            json.loads(text) if is_json and text else None,
            text,
        )

    def ask(self, method: str, path: str, **options: Any) -> Any:
        """A request that must succeed; what its body says."""
        answer = self(method, path, **options)
        assert answer.status < 400, f"{method} {path} answered {answer.status}: {answer.text}"
        return answer.body

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()
