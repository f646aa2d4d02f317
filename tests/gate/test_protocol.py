"""The short way through the server gives the answers of the long one."""

import socket
from collections.abc import Iterator

import httpx2
import pytest

from tests.support.processes import Server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    url = f"sqlite:///{tmp_path_factory.mktemp('protocol') / 'iam.db'}"
    cheap = {"IAM_PASSWORD_MEMORY_KIB": "64", "IAM_PASSWORD_PASSES": "1"}
    with Server(database_url=url, env=cheap) as server:
        yield server


@pytest.fixture(scope="module")
def token(server: Server) -> str:
    """A session of an application on `wiki.test`."""
    bearer = server.command("token").stdout.splitlines()[-1]
    with httpx2.Client(base_url=server.url, headers={"authorization": f"Bearer {bearer}"}) as admin:
        body: dict[str, object] = {"name": "acme"}
        assert admin.post("/v1/organizations", json=body).status_code == 201
        body = {"organization": "acme", "name": "alice", "password": "open sesame 1"}
        assert admin.post("/v1/users", json=body).status_code == 201
        body = {"organization": "acme", "name": "wiki", "gate_hosts": ["wiki.test"]}
        assert admin.post("/v1/applications", json=body).status_code == 201
        body = {
            "organization": "acme",
            "application": "wiki",
            "username": "alice",
            "password": "open sesame 1",
        }
        return str(admin.post("/v1/sign-in", json=body).json()["token"])


def request(
    token: str, *more: str, method: str = "GET", path: str = "/gate/nginx", version: str = "1.1"
) -> bytes:
    lines = [
        f"{method} {path} HTTP/{version}",
        # Envoy says the host here; to the others it is their own business.
        f"Host: {'wiki.test' if '/envoy' in path else 'iam.test'}",
        "X-Forwarded-Host: wiki.test",
        f"Cookie: iam-app={token}",
        *more,
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


class Wire:
    """A connection, byte by byte."""

    def __init__(self, server: Server) -> None:
        self.socket = socket.create_connection(("127.0.0.1", server.port), timeout=30)
        self.file = self.socket.makefile("rb")

    def send(self, *requests: bytes) -> None:
        self.socket.sendall(b"".join(requests))

    def receive(self, *, with_body: bool = True) -> tuple[int, dict[str, str], bytes]:
        """The next response; `date` is left out."""
        status = int(self.file.readline().split()[1])
        headers = {}
        while line := self.file.readline().strip():
            name, _, value = line.decode().partition(":")
            headers[name.lower()] = value.strip()
        headers.pop("date")
        body = self.file.read(int(headers.get("content-length", "0"))) if with_body else b""
        return status, headers, body

    def ended(self) -> bool:
        return self.file.read(1) == b""

    def close(self) -> None:
        self.file.close()
        self.socket.close()


@pytest.fixture
def wire(server: Server) -> Iterator[Wire]:
    wire = Wire(server)
    yield wire
    wire.close()


# What makes a request out of the ordinary without changing what it asks.
LONG_WAY = "TE: trailers"
PATHS = [
    "/gate/nginx",
    "/gate/check",
    "/gate/traefik",
    "/gate/caddy",
    "/gate/caddy?a=1&b=//c",
    "/gate/envoy/",
    "/gate/envoy/deep/page?a=1&b=//c",
    "/gate/envoy//x/%2e%2e/y",
]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("accept", ["*/*", "text/html"])
def test_both_ways_give_the_same_answer(wire: Wire, token: str, path: str, accept: str) -> None:
    statuses = []
    more = (f"Accept: {accept}", "X-Forwarded-Method: GET", "X-Forwarded-Uri: /page?a=1")
    for presented in (token, "nonsense", token[:-1] + ("A" if token[-1] != "A" else "Q")):
        wire.send(request(presented, *more, path=path))
        short = wire.receive()
        wire.send(request(presented, *more, LONG_WAY, path=path))
        long = wire.receive()
        assert short == long
        wire.send(request(presented, *more, method="HEAD", path=path))
        assert wire.receive(with_body=False)[:2] == short[:2]
        statuses.append(short[0])
    leads = accept == "text/html" and not path.endswith(("/nginx", "/check"))
    assert statuses == ([200, 302, 302] if leads else [200, 401, 401])


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_envoys_methods_give_the_same_answer_both_ways(wire: Wire, token: str, method: str) -> None:
    for presented, status in ((token, 200), ("nonsense", 401)):
        wire.send(request(presented, "content-length: 0", method=method, path="/gate/envoy/a"))
        short = wire.receive()
        wire.send(request(presented, LONG_WAY, method=method, path="/gate/envoy/a"))
        assert wire.receive() == short
        assert short[0] == status


def test_envoys_host_is_told_once_or_not_at_all(wire: Wire, token: str) -> None:
    for lines in (["Host: shop.test"], ["Host: wiki.test", "Host: wiki.test"], ["Host:"]):
        head = ["GET /gate/envoy/a HTTP/1.1", *lines, "X-Forwarded-Host: wiki.test"]
        head += [f"Cookie: iam-app={token}", "", ""]
        wire.send("\r\n".join(head).encode())
        assert wire.receive()[0] in (400, 403)


@pytest.mark.parametrize("path", ["/gate/nginx", "/gate/traefik", "/gate/caddy", "/gate/envoy/ws"])
def test_the_wish_for_a_web_socket_is_passed_over_and_logged_by_nobody(
    server: Server, wire: Wire, token: str, path: str
) -> None:
    wish = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13")
    key = "Sec-WebSocket-Key: x3JJHMbDL1EzLkh9GBhXDw=="
    for presented, status in ((token, 200), ("nonsense", 401)):
        wire.send(request(presented, *wish, key, path=path))
        assert wire.receive()[0] == status
        # The long way, by a head that comes in drops.
        for byte in request(presented, *wish, key, path=path):
            wire.send(bytes([byte]))
        assert wire.receive()[0] == status
    wire.send(request(token, "Connection: upgrade", "Upgrade: h2c", path=path))
    assert wire.receive()[0] == 200
    assert "upgrade" not in server.logs().lower()


def test_other_addresses_are_not_taken_for_the_gate(wire: Wire, token: str) -> None:
    for path, status in (
        ("/gate/nginx/", 404),
        ("/gate", 404),
        ("/gate/envoy", 404),
        ("/gate/envoyx/", 404),
        ("/gate/nothing?x=1", 404),
        ("/healthz", 200),
    ):
        wire.send(request(token, path=path))
        assert wire.receive()[0] == status
    wire.send(request(token, path="/gate/nginx?x=1"))
    assert wire.receive()[0] == 200


def test_requests_sent_in_one_piece_are_answered_in_their_order(wire: Wire, token: str) -> None:
    wire.send(
        request(token),
        request("nonsense"),
        request(token, path="/healthz"),
        request(token, path="/gate/check"),
        request(token),
    )
    answers = [wire.receive() for _ in range(5)]
    assert [status for status, _, _ in answers] == [200, 401, 200, 200, 200]
    assert b'"alice"' in answers[3][2]
    wire.send(request(token))
    assert wire.receive()[0] == 200


def test_a_connection_is_closed_when_the_client_asks_for_it(server: Server, token: str) -> None:
    for one in (
        request(token, "Connection: close"),
        request(token, "connection:CLOSE"),
        request(token, version="1.0"),
    ):
        wire = Wire(server)
        wire.send(one)
        status, headers, _ = wire.receive()
        assert (status, headers["connection"]) == (200, "close")
        assert wire.ended()
        wire.close()


def test_a_request_that_comes_in_drops_is_answered(wire: Wire, token: str) -> None:
    for byte in request(token):
        wire.send(bytes([byte]))
    assert wire.receive()[0] == 200


def test_a_body_is_read_past(wire: Wire, token: str) -> None:
    wire.send(request(token, "Content-Length: 5"), b"hello")
    assert wire.receive()[0] == 200
    # Two lengths that contradict each other are a way to smuggle a request: the first one decides nothing.
    wire.send(request(token, "Content-Length: 0", "Content-Length: 5"), b"hello")
    assert wire.receive()[0] == 400
    assert wire.ended()


def test_a_body_in_chunks_is_read_past(wire: Wire, token: str) -> None:
    wire.send(request(token, "Transfer-Encoding: chunked"), b"5\r\nhello\r\n0\r\n\r\n")
    assert wire.receive()[0] == 200
    wire.send(request(token))
    assert wire.receive()[0] == 200


def test_a_client_that_leaves_harms_nobody(server: Server, wire: Wire, token: str) -> None:
    for _ in range(50):
        other = Wire(server)
        other.send(request(token))
        other.close()
    wire.send(request(token))
    assert wire.receive()[0] == 200
    assert "Traceback" not in server.logs()


@pytest.mark.parametrize(
    "line",
    [
        b"Cookie: iam-app=" + b"x" * 20_000,
        b"Authorization: Bearer \xff\xfe",
        b"Cookie: \xe9\x80=\x01; iam-app=",
        b"X-Forwarded-Host: \xff",
        b"X-Forwarded-Uri: /" + b"\xff" * 3000,
        b"X-Forwarded-Method: \xff",
        b"Accept: text/html\xff",
        b"X-Forwarded-Proto: \xff\xfe",
    ],
)
@pytest.mark.parametrize(
    "path", [b"/gate/nginx", b"/gate/traefik", b"/gate/caddy", b"/gate/envoy/"]
)
def test_hostile_headers_are_refused_and_nothing_breaks(
    server: Server, wire: Wire, line: bytes, path: bytes
) -> None:
    wire.send(b"GET " + path + b" HTTP/1.1\r\nHost: wiki.test\r\nX-Forwarded-Host: wiki.test\r\n")
    wire.send(line + b"\r\n\r\n")
    assert wire.receive()[0] in (302, 400, 401, 403)
    assert "Traceback" not in server.logs()
