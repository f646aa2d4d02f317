"""One person with a browser, signed in through one node, and every door that may let them in on another."""

import base64
import http.client
import json
import re
from dataclasses import dataclass
from hashlib import sha256
from html import unescape
from typing import Any, NamedTuple, Self
from urllib.parse import parse_qs, urlencode, urlsplit

from tests.support.node_client import ADMIN_PASSWORD
from tests.support.processes import Server

PASSWORD = "open sesame 1"
CALLBACK = "https://wiki.example/callback"
VERIFIER = "a-verifier-that-is-long-enough-for-rfc-7636-x"
_CHALLENGE = base64.urlsafe_b64encode(sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
_FORM = "application/x-www-form-urlencoded"

IN = "in"


class Answer(NamedTuple):
    """What a node answered. `body` is decoded where it is JSON."""

    status: int
    headers: dict[str, str]
    cookies: dict[str, str]
    body: Any
    text: str


class Node:
    """A connection to one server process, with nothing kept between two requests."""

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


def administrator(node: Node) -> str:
    """The token of an administrator of the installation."""
    body = {"organization": "built-in", "username": "admin", "password": ADMIN_PASSWORD}
    return str(node.ask("POST", "/v1/sign-in", body=body)["token"])


@dataclass(frozen=True)
class Place:
    """An organization of its own with a user `ana` and an application `wiki`, also behind the gate."""

    name: str
    host: str
    client: str
    secret: str

    @property
    def basic(self) -> str:
        """The application's credentials."""
        return "Basic " + base64.b64encode(f"{self.client}:{self.secret}".encode()).decode()


def make_place(node: Node, admin: str, name: str) -> Place:
    """Make it."""
    host = f"{name}.example"
    node.ask("POST", "/v1/organizations", token=admin, body={"name": name})
    user = {"organization": name, "name": "ana", "password": PASSWORD}
    node.ask("POST", "/v1/users", token=admin, body=user)
    application = {"organization": name, "name": "wiki", "gate_hosts": [host]}
    application["redirect_uris"] = [CALLBACK]
    made = node.ask("POST", "/v1/applications", token=admin, body=application)
    return Place(name, host, made["client_id"], made["client_secret"])


class Browser:
    """A browser with a session of app-built-in, one behind the gate, one of an OpenID client with its
    access token, and a code that has been issued and not been redeemed."""

    def __init__(self, node: Node, place: Place) -> None:
        """Sign in and enter everything, through `node`."""
        self.place = place
        body = {"organization": place.name, "username": "ana", "password": PASSWORD}
        self.token = str(node.ask("POST", "/v1/sign-in", body=body)["token"])
        self.gate = self._enter_host(node)
        self.used = self.code_of(self.authorize(node))
        tokens = self.redeem(node, self.used)
        assert tokens.status == 200, tokens.text
        self.access = str(tokens.body["access_token"])
        self.code = self.code_of(self.authorize(node))

    @property
    def session(self) -> str:
        """The ID of the browser session."""
        return self.token.partition(".")[0]

    def doors(self, node: Node) -> dict[str, str]:
        """What each door answers to this browser's next request: `in`, or why not."""
        answers = {
            "session API": _by_problem(node("GET", "/v1/session", token=self.token)),
            "page": _by_status(node("GET", "/account/sessions", cookies={"iam": self.token})),
            "application's session API": _by_problem(node("GET", "/v1/session", token=self.gate)),
            "gate": _by_problem(
                node(
                    "GET",
                    "/gate/check",
                    cookies={"iam-app": self.gate},
                    x_forwarded_host=self.place.host,
                )
            ),
            "validation": self._validated(node),
            "userinfo": _by_status(node("GET", "/oauth/userinfo", token=self.access)),
            "entering through the gate": self._entered(node),
            "authorization": IN if self.code_of(self.authorize(node)) else "out",
            # Last, because it can be asked once only.
            "code redemption": _by_status(self.redeem(node, self.code)),
        }
        self.code = ""
        return answers

    def authorize(self, node: Node) -> Answer:
        """An authorization request without a page."""
        query = {
            "response_type": "code",
            "client_id": self.place.client,
            "redirect_uri": CALLBACK,
            "scope": "openid",
            "prompt": "none",
            "code_challenge": _CHALLENGE,
            "code_challenge_method": "S256",
        }
        path = f"/oauth/authorize?{urlencode(query)}"
        return node("GET", path, cookies={"iam": self.token})

    @staticmethod
    def code_of(answer: Answer) -> str:
        """The code it leads back with; empty if there is none."""
        query = parse_qs(urlsplit(answer.headers.get("location", "")).query)
        return query.get("code", [""])[0]

    def redeem(self, node: Node, code: str) -> Answer:
        """A code for tokens."""
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK}
        form |= {"code_verifier": VERIFIER}
        return node("POST", "/oauth/token", form=form, authorization=self.place.basic)

    def sign_in_again(self, node: Node) -> None:
        """Through the page, in the same browser."""
        path = f"/sign-in/{self.place.name}"
        page = node("GET", f"{path}?prompt=login", cookies={"iam": self.token})
        csrf = re.search(r'name="csrf" value="([^"]*)"', page.text)
        assert csrf is not None
        cookies = {"iam": self.token, "iam-flow": page.cookies["iam-flow"]}
        form = {"csrf": unescape(csrf[1]), "username": "ana", "password": PASSWORD}
        answer = node("POST", path, cookies=cookies, form=form)
        assert answer.status == 303, answer.text

    def _enter_host(self, node: Node) -> str:
        host = self.place.host
        start = node("GET", "/.iam/callback?rd=/", host=host)
        flow = {"iam-app-flow": start.cookies["iam-app-flow"]}
        issued = node("GET", _path(start), cookies={"iam": self.token})
        back = node("GET", _path(issued), cookies=flow, host=host)
        return back.cookies["iam-app"]

    def _entered(self, node: Node) -> str:
        query = {"rd": f"http://{self.place.host}/", "state": "s" * 43}
        answer = node("GET", f"/gate/enter?{urlencode(query)}", cookies={"iam": self.token})
        return IN if self.code_of(answer) else "out"

    def _validated(self, node: Node) -> str:
        answer = node(
            "POST",
            "/v1/sessions/validate",
            body={"tokens": [self.gate]},
            authorization=self.place.basic,
        )
        if answer.status != 200:
            return "out"
        (judged,) = answer.body
        return IN if "state" in judged else _why(judged)


def _path(answer: Answer) -> str:
    parts = urlsplit(answer.headers["location"])
    return f"{parts.path}?{parts.query}"


def _by_status(answer: Answer) -> str:
    return IN if answer.status == 200 else "out"


def _by_problem(answer: Answer) -> str:
    return IN if answer.status == 200 else _why(answer.body)


def _why(problem: dict[str, Any]) -> str:
    return str(problem.get("end_reason") or problem["code"])
