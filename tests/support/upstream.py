"""A provider in the test's own hands, so that it can also do what a decent one never would: a real server
on loopback, whose every answer can be bent."""

import base64
import json
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qsl, urlencode, urlsplit

from joserfc import jws
from joserfc.jwk import ECKey, RSAKey

Claims = dict[str, Any]
_REGISTRY = jws.JWSRegistry(algorithms=["RS256", "ES256", "HS256", "RS384", "none"])


def query_of(location: str) -> dict[str, str]:
    """The query parameters of an address."""
    return dict(parse_qsl(urlsplit(location).query, keep_blank_values=True))


@dataclass
class Grant:
    """What a code stands for: the request that it answers, and what the tokens are to say."""

    asked: dict[str, str]
    claims: Claims
    userinfo: Claims
    used: bool = False


@dataclass
class Upstream:
    """Knobs: `metadata` over the discovery document, `bend` an ID token's claims, `sign` the whole token,
    `token_answer` the answer of the token endpoint; `emails` is what GitHub's list would be."""

    clock: Callable[[], int]
    keys: list[Any] = field(default_factory=lambda: [RSAKey.generate_key(2048, {"kid": "one"})])
    metadata: Claims = field(default_factory=dict)
    bend: Callable[[Claims], Claims] = lambda claims: claims
    sign: Callable[[Claims], str] | None = None
    token_answer: Callable[[Claims], tuple[int, Any]] = lambda body: (200, body)
    emails: list[Claims] = field(default_factory=list)
    grants: dict[str, Grant] = field(default_factory=dict)
    tokens: dict[str, Grant] = field(default_factory=dict)
    requests: list[tuple[str, dict[str, str], dict[str, str]]] = field(default_factory=list)
    answers: dict[str, Callable[[], tuple[int, bytes]]] = field(default_factory=dict)
    """By path: what is answered in place of all else."""

    def __enter__(self) -> Self:
        upstream = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer({})

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"])).decode()
                self._answer(dict(parse_qsl(body)))

            def _answer(self, form: dict[str, str]) -> None:
                headers = {name.lower(): value for name, value in self.headers.items()}
                status, body = upstream.answer(urlsplit(self.path).path, headers, form)
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                if 300 <= status < 400:
                    self.send_header("location", f"{upstream.issuer}/elsewhere")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Nobody reads it."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: object, client_address: object) -> None:
                """Whoever called has gone."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.issuer = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def sign_in(
        self, address: str, subject: str = "ann", userinfo: Claims | None = None, **claims: Any
    ) -> str:
        """Somebody signs in there who came with this address: where they are sent back to."""
        asked = query_of(address)
        code = secrets.token_urlsafe(16)
        told = {"sub": subject, **(userinfo or {})}
        self.grants[code] = Grant(asked, {"sub": subject, **claims}, told)
        answer = {"code": code, "state": asked["state"], "iss": self.issuer}
        return f"{asked['redirect_uri']}?{urlencode(answer)}"

    def answer(self, path: str, headers: dict[str, str], form: dict[str, str]) -> tuple[int, bytes]:
        """What the server says to a request."""
        self.requests.append((path, headers, form))
        if path in self.answers:
            return self.answers[path]()
        status, body = self._body(path, headers, form)
        return status, json.dumps(body).encode()

    def _body(self, path: str, headers: dict[str, str], form: dict[str, str]) -> tuple[int, Any]:
        if path == "/.well-known/openid-configuration":
            return 200, self.discovery
        if path == "/jwks":
            return 200, {"keys": [key.as_dict(private=False) for key in self.keys]}
        if path == "/token":
            return self._token(form)
        grant = self.tokens.get(headers.get("authorization", "").removeprefix("Bearer "))
        if grant is None:
            return 401, {"error": "invalid_token"}
        if path == "/emails":
            return 200, self.emails
        return (200, grant.userinfo) if path == "/userinfo" else (404, {})

    @property
    def discovery(self) -> Claims:
        """Its discovery document."""
        names = {
            "authorization_endpoint": "authorize",
            "token_endpoint": "token",
            "userinfo_endpoint": "userinfo",
            "jwks_uri": "jwks",
            "end_session_endpoint": "logout",
        }
        return {
            "issuer": self.issuer,
            **{name: f"{self.issuer}/{path}" for name, path in names.items()},
            "authorization_response_iss_parameter_supported": True,
            **self.metadata,
        }

    def _token(self, form: dict[str, str]) -> tuple[int, Any]:
        grant = self.grants.get(form.get("code", ""))
        challenge = base64.urlsafe_b64encode(
            sha256(form.get("code_verifier", "").encode()).digest()
        ).rstrip(b"=")
        if (
            grant is None
            or grant.used
            or grant.asked["code_challenge"] != challenge.decode()
            or grant.asked["redirect_uri"] != form.get("redirect_uri")
        ):
            return 400, {"error": "invalid_grant"}
        grant.used = True
        access_token = secrets.token_urlsafe(16)
        self.tokens[access_token] = grant
        body = {
            "access_token": access_token,
            "token_type": "Bearer",
            "expires_in": 60,
            "id_token": self.id_token(grant, access_token),
        }
        return self.token_answer(body)

    def id_token(self, grant: Grant, access_token: str) -> str:
        """The ID token of a grant, bent and signed as the test has it."""
        now = self.clock() // 1000
        half = sha256(access_token.encode()).digest()[:16]
        claims = {
            "iss": self.issuer,
            "aud": grant.asked["client_id"],
            "iat": now,
            "exp": now + 300,
            "auth_time": now,
            "nonce": grant.asked.get("nonce"),
            "at_hash": base64.urlsafe_b64encode(half).rstrip(b"=").decode(),
            **grant.claims,
        }
        claims = self.bend(claims)
        return self.sign(claims) if self.sign is not None else self.signed(claims)

    def signed(self, claims: Claims, key: Any = None, **header: Any) -> str:
        """A token with its key (or another), under this header."""
        used = key if key is not None else self.keys[0]
        algorithm = {"RSA": "RS256", "EC": "ES256", "oct": "HS256"}[used.key_type]
        protected = {"alg": algorithm, "kid": used.kid, **header}
        payload = json.dumps(claims).encode()
        return jws.serialize_compact(protected, payload, used, registry=_REGISTRY)

    def logout_token(self, client_id: str = "iam", **claims: Any) -> str:
        """A logout token about whom or what `claims` name."""
        now = self.clock() // 1000
        body = {
            "iss": self.issuer,
            "aud": client_id,
            "iat": now,
            "exp": now + 120,
            "jti": secrets.token_urlsafe(8),
            "events": {"http://schemas.openid.net/event/backchannel-logout": {}},
            **claims,
        }
        return self.signed(
            {name: value for name, value in body.items() if value is not None}, typ="logout+jwt"
        )


def new_ec_key(kid: str) -> ECKey:
    """Another signing key."""
    return ECKey.generate_key("P-256", {"kid": kid})
