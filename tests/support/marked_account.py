"""Pages outside of the console on which nothing that people read is left in English."""

from tests.support.pseudo import GERMAN, unmarked
from tests.support.surfer import Surfer
from tests.support.world import ISSUER

NAMES = (
    *(
        "bob",
        "Bob",
        "acme",
        "Acme Corporation",
        "app-built-in",
        "built-in",
        "none",
        "Wiki",
        "wiki",
        "Phone",
        "phone",
    ),
    *("docs.acme.example", "corp", "ada", "ina", ISSUER, ISSUER.removeprefix("http://")),
)
"""What stands on these pages and is nobody's to translate."""


def german(surfer: Surfer) -> Surfer:
    surfer.headers |= GERMAN
    return surfer


def look(surfer: Surfer, path: str, status: int = 200) -> None:
    """Go there, and find nothing that is not marked."""
    assert surfer.get(path).status_code == status, path
    check(surfer)


def send(surfer: Surfer, path: str, status: int, **fields: str) -> None:
    """Send a form of the page, and find nothing on its answer that is not marked."""
    assert surfer.submit(path, **fields).status_code == status, (path, fields)
    check(surfer)


def check(surfer: Surfer) -> None:
    assert '<html lang="de"' in surfer.page
    assert "⟦" in surfer.page
    assert unmarked(surfer.page, NAMES) == []
