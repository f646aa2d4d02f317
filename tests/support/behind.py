"""A page behind a real proxy that asks a real identity server, and who has to do with them."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass

import httpx2

from tests.support.ports import free_port
from tests.support.processes import Process, Server
from tests.support.site import run_page

PASSWORD = "open sesame 1"

RunProxy = Callable[..., AbstractContextManager[Process]]
"""Takes `iam`, `page` and `port` (whose host is wiki.test); runs the proxy as its document says."""


@dataclass
class Behind:
    """What is running, and an administrator."""

    iam: Server
    admin: httpx2.Client
    site: str
    proxy: str

    def sign_in(self, application: str = "wiki") -> str:
        """A session of alice, started through the API; its token."""
        body = {
            "organization": "acme",
            "application": application,
            "username": "alice",
            "password": PASSWORD,
        }
        answer = self.admin.post("/v1/sign-in", json=body)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["token"])

    def visit(
        self, token: str | None = None, path: str = "/page", method: str = "GET", **headers: str
    ) -> httpx2.Response:
        """The page through the proxy, redirects not followed. Headers by keyword, `_` for `-`."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.send(token, path, method, named)

    def send(
        self, token: str | None, path: str, method: str, headers: dict[str, str]
    ) -> httpx2.Response:
        """The same with headers as they are written."""
        sent = {"host": self.site.removeprefix("http://")} | headers
        if token is not None:
            sent["cookie"] = f"iam-app={token}"
        return httpx2.request(method, f"{self.proxy}{path}", headers=sent)

    def register(self, name: str, **members: object) -> None:
        """Make an application of acme."""
        body = {"organization": "acme", "name": name, **members}
        answer = self.admin.post("/v1/applications", json=body)
        assert answer.status_code == 201, answer.text


@contextmanager
def run_behind(database_url: str, run_proxy: RunProxy) -> Iterator[Behind]:
    """Organization acme, its user alice, applications wiki (behind the proxy) and shop."""
    port = free_port()
    with ExitStack() as stack:
        cheap = {"IAM_PASSWORD_MEMORY_KIB": "64", "IAM_PASSWORD_PASSES": "1"}
        iam = stack.enter_context(Server(database_url=database_url, env=cheap))
        token = iam.command("token").stdout.splitlines()[-1]
        admin = stack.enter_context(
            httpx2.Client(base_url=iam.url, headers={"authorization": f"Bearer {token}"})
        )
        page = stack.enter_context(run_page())
        proxy = f"http://127.0.0.1:{port}"
        stack.enter_context(run_proxy(iam=iam.port, page=page, port=port))
        behind = Behind(iam=iam, admin=admin, site=f"http://wiki.test:{port}", proxy=proxy)
        for path, body in (
            ("/v1/organizations", {"name": "acme"}),
            (
                "/v1/users",
                {
                    "organization": "acme",
                    "name": "alice",
                    "password": PASSWORD,
                    "display_name": "Älice",
                    "email": "alice@acme.test",
                    "roles": ["editor"],
                },
            ),
        ):
            answer = admin.post(path, json=body)
            assert answer.status_code == 201, answer.text
        behind.register("wiki", gate_hosts=[f"wiki.test:{port}"])
        behind.register("shop")
        yield behind
