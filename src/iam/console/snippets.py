"""What to paste to put an application behind this server. The configurations of proxies are those of the
how-to guides, word for word: a test compares them, and other tests run them."""

from functools import cache
from pathlib import Path

import iam.web

_FOLDER = Path(iam.web.__file__).parent / "snippets"
_HOST = "wiki.example.com"
"""The host that the guides speak of."""
PROXIES = (
    ("nginx", "nginx.conf"),
    ("Traefik", "traefik.yaml"),
    ("Caddy", "Caddyfile"),
    ("Envoy", "envoy.yaml"),
)


def gate_snippets(host: str) -> list[tuple[str, str]]:
    """For each proxy, what puts this host behind the gate; addresses behind the proxy are placeholders."""
    return [(words, _read(file).replace(_HOST, host)) for words, file in PROXIES]


def openid_snippets(
    issuer: str, client_id: str, redirect_uri: str, *, public: bool
) -> list[tuple[str, str]]:
    """For three libraries, what signs people in to this application."""
    values = {"issuer": issuer, "client_id": client_id, "redirect_uri": redirect_uri}
    kind = "public" if public else "confidential"
    found = [
        ("openid-client (Node)", _filled(f"openid-client.{kind}.mjs", values)),
        ("Authlib (Python)", _filled(f"authlib.{kind}.py.txt", values)),
    ]
    if not public:
        found.append(("mod_auth_openidc (Apache)", _filled("mod_auth_openidc.conf", values)))
    return found


def _filled(file: str, values: dict[str, str]) -> str:
    text = _read(file)
    for name, value in values.items():
        text = text.replace(f"@{name}@", value)
    return text


@cache
def _read(file: str) -> str:
    return (_FOLDER / file).read_text(encoding="utf-8")
