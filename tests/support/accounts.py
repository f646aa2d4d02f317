"""Several accounts in one browser: which are held, which is in use, and which have ended."""

import re

from iam.sessions import store
from iam.sessions.policy import end_reason
from tests.support.surfer import Surfer
from tests.support.world import World

PAGE = "/choose-account"


def ended(world: World, session_id: str) -> str | None:
    session = world.engine.database.read(lambda c: store.read_session(c, session_id))
    assert session is not None
    reason = end_reason(session, world.clock())
    return None if reason is None else str(reason)


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
