"""Several accounts in one browser: which are held, which is in use, and which have ended."""

import re

from tests.support.surfer import Surfer

PAGE = "/choose-account"


def id_of(token: str) -> str:
    return token.partition(".")[0]


def held(surfer: Surfer) -> set[str]:
    """The session IDs beside the one in use."""
    values = [surfer.cookies.get(name, "") for name in ("iam-others", "iam-others-kept")]
    return {id_of(token) for value in values for token in value.split("~") if token}


def in_use(surfer: Surfer) -> str:
    surfer.get("/account/sessions")
    found = re.search(r'class="menu-name">([^<]*)<', surfer.page)
    return found[1] if found else ""
