"""Pages of the console on which nothing that people read is left in English."""

import re

from iam.directory.preferences import time_zones
from tests.support.pseudo import unmarked
from tests.support.surfer import FIREFOX, IPHONE, Surfer
from tests.support.world import ISSUER, World

HOOK = "https://hooks.example.com/iam"
NAMES = (
    *("alice", "Alice", "bob", "Bob", "carol", "eve", "Eve", "admin", "administrator", "auditor"),
    *("acme", "Acme Corporation", "globex", "Globex", "built-in", "Built-in", "app-built-in"),
    *("wiki", "Wiki", "phone", "Phone", "mail", "Mail", "docs.acme.example", "wiki.acme.example"),
    *("acme.example", "partner", "Partner Ltd", "github", "GitHub", "google", "gitea", "gitlab"),
    *("runner-1", "a note", "INC-2041", HOOK, ISSUER, ISSUER.removeprefix("http://")),
    # What is the same in every language: of protocols, and of how things are written.
    *("PKCE", "SAML", "OpenID Connect", "OAuth 2", "CSV", "JSON", "S256", "UTC", "ses_…"),
    *("openid-client (Node)", "Authlib (Python)", "mod_auth_openidc (Apache)", "nginx", "Traefik"),
    *("Caddy", "Envoy", "client_secret_basic", "client_secret_post", "none", "microsoft", "slack"),
    *(
        "name,display_name,email,roles",
        "Firefox on Linux",
        "Firefox",
        "Okt.",
        "Nov.",
        "Mobile Safari on iOS",
    ),
    *(
        "Administrator",
        "python-httpx2",
        "private_key_jwt",
        "urn:hanzo:iam:acr:1",
        "amr pwd",
        "#2c53c9",
        FIREFOX,
        IPHONE,
    ),
    *(zone.replace("_", " ") for zone in time_zones()),
)
"""What stands on these pages and is nobody's to translate."""
IDS = re.compile(r"\b(?:ses|evt)_[0-9a-z]{26}\b|\b2026-01-01T00:00\b")


def check(surfer: Surfer, *data: str) -> None:
    assert '<html lang="de"' in surfer.page
    assert "⟦" in surfer.page
    found = unmarked(IDS.sub("", surfer.page), (*NAMES, *data))
    # What is pasted, and what somebody has written, is as it is.
    assert [one for one in found if not one.startswith(("pre: ", "textarea: "))] == []


def look(surfer: Surfer, path: str, status: int = 200, data: tuple[str, ...] = ()) -> None:
    """Go there, and find nothing that is not marked."""
    assert surfer.get(path).status_code == status, path
    check(surfer, *data)


def send(surfer: Surfer, path: str, status: int, **fields: str) -> None:
    """Send a form of the page, and find nothing on its answer that is not marked."""
    assert surfer.submit(path, **fields).status_code == status, (path, fields)
    check(surfer)


def store(world: World, statement: str, *values: str | int | None) -> None:
    """Make of what is stored what would take long to come about."""
    world.engine.database.write(lambda c: c.exec_driver_sql(statement, values))
