"""Fresh authentication: whoever signed in long ago shows again who they are, before something sensitive.

An unattended browser is then not enough (ASVS 7.5.1, 7.5.3). What was asked for is kept meanwhile,
encrypted, and offered again afterwards: signing in again raises the same session, and where that is not
possible the next one of the same user finds it too.
"""

import json
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from sqlalchemy import Connection
from starlette.requests import Request

from iam.kernel.clock import Instant
from iam.kernel.errors import Forbidden, Missing
from iam.sessions import store
from iam.settings import Settings
from iam.signin.codes import issue_code, peek_code
from iam.web.engine import Engine, engine_of, in_thread
from iam.web.visitor import Visitor

PATH = "/account/again"
_KIND = "again"
_ABOUT = "form kept for a fresh sign-in"
_LIFETIME = 15 * 60  # seconds in which somebody may sign in and confirm


class AuthenticationStale(Forbidden):
    """Something sensitive was asked for with a session whose user authenticated too long ago. `onward` is
    the address of the sign-in page that leads back to it."""

    code = "authentication_stale"
    title = "Show that it is you: sign in again."

    def __init__(self, onward: str) -> None:
        super().__init__()
        self.onward = onward


class NothingKept(Missing):
    """What was asked for before signing in again is not kept any more, or it is not this user's."""

    code = "action_not_found"
    title = "What you wanted to do is not kept any more."


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A form that was sent, to be sent once more: where to, with which fields, and what it does, on a button
    (`what`) and in a sentence (`about`)."""

    path: str
    fields: tuple[tuple[str, str], ...]
    what: str
    about: str
    back: str


def is_fresh(proved_at: Instant | None, settings: Settings, now: Instant) -> bool:
    """Whether somebody who authenticated then need not do so again."""
    return proved_at is not None and now - proved_at <= settings.fresh_authentication * 1000


async def require_fresh(
    request: Request, visitor: Visitor, what: str, now: Instant, *, about: str, back: str
) -> None:
    """Let only those pass who authenticated within the last `fresh_authentication` seconds.

    Args:
        what: what the form of this request does, in the words of its button.
        about: the same as a sentence that names what it is done to ("You wanted to disable bob."): whoever
            comes back from signing in does not have the page before their eyes any more.
        back: the page that whoever thinks better of it goes back to.

    Raises:
        AuthenticationStale: they did not; the form is kept for when they have.
    """
    engine, own = engine_of(request), visitor.session
    session = await in_thread(lambda: engine.database.read(lambda c: store.read_session(c, own.id)))
    proved_at = session.authenticated_at if session is not None else None
    if is_fresh(proved_at, engine.settings, now):
        return
    form = await request.form()
    pairs = [(name, str(value)) for name, value in form.multi_items() if name != "csrf"]
    kept = {"path": request.url.path, "fields": pairs, "what": what, "about": about, "back": back}
    # A form may hold a password: nobody who reads the database shall.
    sealed = engine.cipher.encrypt(json.dumps(kept), _ABOUT, engine.random)

    def keep(connection: Connection) -> str:
        return issue_code(
            connection,
            _KIND,
            browser_session=own.id,
            payload={"organization": own.organization, "user": own.user, "kept": sealed},
            now=now,
            random=engine.random,
            lifetime=_LIFETIME,
        )

    code = await in_thread(lambda: engine.database.write(keep))
    query = {
        "prompt": "login",
        "login_hint": own.user,
        "return_to": f"{PATH}?{urlencode({'code': code})}",
    }
    raise AuthenticationStale(f"/sign-in/{quote(own.organization, safe='')}?{urlencode(query)}")


async def read_kept(engine: Engine, visitor: Visitor, code: str, now: Instant) -> Kept:
    """What somebody asked for before they signed in again.

    Raises:
        NothingKept: nothing is kept by this code, or it is another user's.
    """
    payload = await in_thread(
        lambda: engine.database.read(lambda c: peek_code(c, _KIND, code, now))
    )
    own = visitor.session
    owner = (own.organization, own.user)
    if payload is None or (payload["organization"], payload["user"]) != owner:
        raise NothingKept
    kept = json.loads(engine.cipher.decrypt(str(payload["kept"]), _ABOUT))
    return Kept(
        path=kept["path"],
        fields=tuple((name, value) for name, value in kept["fields"]),
        what=kept["what"],
        about=kept.get("about", ""),
        back=kept["back"],
    )


def is_again(return_to: str) -> bool:
    """Whether an address leads back to something that waits for a fresh authentication."""
    return return_to.startswith(f"{PATH}?")
