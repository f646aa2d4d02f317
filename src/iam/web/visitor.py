"""Who looks at a page: the holder of a browser session, by the cookie and nothing else."""

from dataclasses import dataclass

from sqlalchemy import Connection
from starlette.datastructures import MutableHeaders
from starlette.requests import Request

from iam.directory.preferences import NO_PREFERENCES, Preferences, read_preferences
from iam.kernel.clock import Instant
from iam.kernel.errors import Unauthenticated
from iam.languages import speak
from iam.sessions.model import BUILT_IN_APPLICATION, LiveRow
from iam.sessions.validate import Outcome, Verdict, validate
from iam.web.address import origin_of
from iam.web.caller import Person
from iam.web.cookies import BROWSER, FLOW, clear_cookie, read_cookie
from iam.web.csrf import check_csrf, csrf_token
from iam.web.engine import Engine, in_thread


@dataclass(frozen=True, slots=True)
class Visitor:
    """A person at a page of ours, and the cookie that shows it."""

    person: Person
    token: str

    @property
    def session(self) -> LiveRow:
        """Their browser session."""
        return self.person.session

    @property
    def csrf(self) -> str:
        """The hidden field of every form they are shown."""
        return csrf_token(self.token)

    def holds(self, session_id: str) -> bool:
        """Whether this is the session they look at the page with."""
        return session_id == self.session.id


async def look(engine: Engine, request: Request, now: Instant) -> tuple[Verdict | None, str]:
    """The verdict on the browser's cookie and its value; None without a cookie.

    A token of an application's session is none of a browser: an application that was handed one
    must not be able to open its user's pages with it. From here on the page speaks as its person wishes.
    """
    token = read_cookie(request, engine.settings, BROWSER)
    if token is None:
        return None, ""
    verdict, said = await in_thread(lambda: engine.database.read(lambda c: _look(c, token, now)))
    speak(said.locale, said.zone)
    engine.metrics.validations[str(verdict.outcome)] += 1
    return verdict, token


def _look(connection: Connection, token: str, now: Instant) -> tuple[Verdict, Preferences]:
    verdict = validate(connection, token, now)
    row = verdict.row
    if row is None:
        return verdict, NO_PREFERENCES
    if row.application != BUILT_IN_APPLICATION:
        return Verdict(Outcome.UNKNOWN, None, None), NO_PREFERENCES
    return verdict, read_preferences(connection, row.organization, row.user)


BACKGROUND = "iam-background"
"""The header of a request that a page of ours makes by itself: nobody has done anything, so it keeps no
session alive."""


async def visitor_of(engine: Engine, request: Request, now: Instant) -> Visitor:
    """The person at this page; the session is touched, unless nobody asked for the page.

    Raises:
        Unauthenticated: nobody is signed in with this browser, or not any more.
    """
    verdict, token = await look(engine, request, now)
    if verdict is None or verdict.outcome is not Outcome.VALID or verdict.row is None:
        raise Unauthenticated
    if BACKGROUND not in request.headers:
        engine.touches.note(verdict.row, now, origin_of(request, engine.settings))
    return Visitor(Person(verdict.row), token)


async def posting_visitor(
    engine: Engine, request: Request, fields: dict[str, str], now: Instant
) -> Visitor:
    """The person who sent this form from a page of ours.

    Raises:
        Unauthenticated: nobody is signed in with this browser.
        ForgerySuspected: the form is not from a page that was shown to them.
    """
    visitor = await visitor_of(engine, request, now)
    check_csrf(request, engine.settings, visitor.token, fields.get("csrf"))
    return visitor


def forget_browser(headers: MutableHeaders, engine: Engine) -> None:
    """After a sign-out: delete the cookies and what the browser kept of us. Other accounts stay."""
    clear_cookie(headers, engine.settings, BROWSER)
    forget_site(headers, engine)


def forget_site(headers: MutableHeaders, engine: Engine) -> None:
    """The same without the session's cookie."""
    clear_cookie(headers, engine.settings, FLOW)
    # Not "cookies": those of the other accounts are among them.
    if engine.settings.secure:  # browsers heed it on https only, and warn elsewhere
        headers["clear-site-data"] = '"cache", "storage"'
