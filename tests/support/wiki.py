"""A relying party that a real browser visits, and the server that it sends people to."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx2

from tests.support.processes import Server
from tests.support.run import run_directory
from tests.support.world import PASSWORD


@dataclass
class Wiki:
    """A relying party that shows what it is sent, and its server."""

    server: Server
    address: str
    client: dict[str, str] = field(default_factory=dict)
    came: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def authorize(self, **more: str) -> str:
        query = {
            "response_type": "code",
            "client_id": self.client["client_id"],
            "redirect_uri": f"{self.address}/callback",
            "scope": "openid profile email",
            "state": "s",
            **more,
        }
        return f"{self.server.url}/oauth/authorize?{urlencode(query)}"

    def tokens(self, code: str) -> dict[str, Any]:
        body = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": f"{self.address}/callback",
            "client_id": self.client["client_id"],
            "client_secret": self.client["client_secret"],
        }
        answer = httpx2.post(f"{self.server.url}/oauth/token", data=body)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def logout(self, hint: str) -> str:
        query = {"id_token_hint": hint, "post_logout_redirect_uri": f"{self.address}/bye"}
        return f"{self.server.url}/oauth/logout?{urlencode(query)}"


@contextmanager
def run_wiki() -> Iterator[Wiki]:
    came: list[tuple[str, dict[str, str]]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.show(urlsplit(self.path).query)

        def do_POST(self) -> None:
            self.show(self.rfile.read(int(self.headers["content-length"])).decode())

        def show(self, sent: str) -> None:
            path = f"{self.command} {urlsplit(self.path).path}"
            if "favicon" not in path:
                came.append((path, dict(parse_qsl(sent))))
            body = f"<!doctype html><title>Wiki</title><p id=came>{path}</p>".encode()
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    party = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=party.serve_forever, args=(0.01,))
    thread.start()
    address = f"http://127.0.0.1:{party.server_port}"
    url = f"sqlite:///{run_directory()}/sign-out-{party.server_port}.db"
    with Server(database_url=url) as server:
        token = server.command("token").stdout.splitlines()[-1]
        headers = {"authorization": f"Bearer {token}"}
        with httpx2.Client(base_url=server.url, headers=headers) as admin:
            admin.post("/v1/organizations", json={"name": "acme"})
            for name in ("alice", "bob"):
                user = {"organization": "acme", "name": name, "password": PASSWORD}
                admin.post("/v1/users", json=user)
            body = {
                "organization": "acme",
                "name": "wiki",
                "display_name": "The wiki",
                "require_pkce": False,
                "consent": "required",
                "redirect_uris": [f"{address}/callback"],
                "post_logout_redirect_uris": [f"{address}/bye"],
                "frontchannel_logout_uri": f"{address}/gone",
            }
            made = admin.post("/v1/applications", json=body)
            assert made.status_code == 201, made.text
        yield Wiki(server, address, made.json(), came)
    party.shutdown()
    thread.join()
    party.server_close()
