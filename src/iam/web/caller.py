"""Who is calling: a user by a session, or an application by its client credentials."""

import base64
from dataclasses import dataclass

from sqlalchemy import Connection
from starlette.requests import Request

from iam.directory.applications import Application, find_client
from iam.directory.names import OrganizationMissing
from iam.kernel.clock import Instant
from iam.kernel.errors import Forbidden, Unauthenticated
from iam.kernel.events import Actor, application_actor, user_actor
from iam.languages import N_, _, gettext
from iam.sessions.model import BUILT_IN_APPLICATION, BUILT_IN_ORGANIZATION, LiveRow
from iam.sessions.validate import Outcome, require_valid, validate
from iam.settings import Settings
from iam.web.cookies import BROWSER, read_cookie
from iam.web.csrf import check_origin
from iam.web.engine import Engine
from iam.web.rights import Right, rights_of


class ClientInvalid(Unauthenticated):
    """No enabled application has these client credentials."""

    code = "client_invalid"
    title = "These client credentials are not right."


@dataclass(frozen=True, slots=True)
class Person:
    """A user calling with a session that was validated for this request."""

    session: LiveRow

    @property
    def actor(self) -> Actor:
        return user_actor(self.session.organization, self.session.user)

    @property
    def rights(self) -> frozenset[Right]:
        """What they may do here, with this session.

        Only a session of the server itself counts: the token that an application was handed must
        not let the application administer in its user's name.
        """
        if self.session.application != BUILT_IN_APPLICATION:
            return frozenset()
        return rights_of(self.session.roles.split(","))

    @property
    def reaches_installation(self) -> bool:
        """Whether what they may do they may do in every organization."""
        return bool(self.rights) and self.session.organization == BUILT_IN_ORGANIZATION

    @property
    def administers_installation(self) -> bool:
        """Whether they may change every organization, and what is of none."""
        return Right.CHANGE in self.rights and self.reaches_installation

    def reaches(self, organization: str | None) -> bool:
        """Whether what belongs to this organization (None: to the installation) exists for them."""
        if self.reaches_installation:
            return True
        return bool(self.rights) and organization == self.session.organization


@dataclass(frozen=True, slots=True)
class Client:
    """An application calling with its client credentials, or with a token of its own."""

    organization: str
    name: str
    manages_organization: bool
    """Whether it administers its organization on the paths of Hanzo and Casdoor."""

    @property
    def actor(self) -> Actor:
        return application_actor(self.organization, self.name)

    @property
    def key(self) -> tuple[str, str]:
        """(organization, name), which is what a session's application is compared with."""
        return self.organization, self.name


Caller = Person | Client


def presented_token(request: Request, settings: Settings) -> str | None:
    """The session token a request carries: `Authorization: Bearer`, else the browser's cookie.

    A request that has an Authorization header is judged by it alone: never by the cookie that
    happens to come along. A cookie on a request that changes something must come from our own pages.
    """
    authorization = request.headers.get("authorization")
    if authorization is not None:
        scheme, _space, value = authorization.partition(" ")
        return value.strip() if scheme.lower() == "bearer" else ""
    cookie = read_cookie(request, settings, BROWSER)
    if cookie is not None and request.method not in ("GET", "HEAD"):
        check_origin(request, settings)
    return cookie


def person_of(engine: Engine, request: Request, now: Instant) -> Person:
    """The user whose session this request carries; the session is touched.

    Raises:
        Unauthenticated: none is carried, or it is unknown, or it has ended (`end_reason` says why).
    """
    token = presented_token(request, engine.settings)
    if token is None:
        raise Unauthenticated
    # A live feed opens itself again and again, also while nobody is there.
    feed = "text/event-stream" in request.headers.get("accept", "")
    return person_with(engine, token, now, touch=not feed)


def person_with(engine: Engine, token: str, now: Instant, *, touch: bool = True) -> Person:
    """The user whose session this token is the key of; the session is touched, unless told otherwise.

    Raises:
        SessionUnknown, SessionEnded: as `sessions.validate` says.
    """
    verdict = engine.database.look(lambda connection: validate(connection, token, now))
    engine.metrics.validations[str(verdict.outcome)] += 1
    if touch and verdict.outcome is Outcome.VALID and verdict.row is not None:
        engine.touches.note(verdict.row, now)
    return Person(require_valid(verdict))


def basic_credentials(request: Request) -> tuple[str, str] | None:
    """Client ID and secret of HTTP Basic (RFC 7617); None if there is no such header.

    Raises:
        ClientInvalid: there is one that cannot be read.
    """
    scheme, _space, value = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        client_id, separator, secret = (
            base64.b64decode(value.strip(), validate=True).decode().partition(":")
        )
    except ValueError as error:  # not base64, not ASCII, not UTF-8: each is one
        raise ClientInvalid from error
    if not separator:
        raise ClientInvalid
    return client_id, secret


def client_with(connection: Connection, client_id: str, secret: str) -> Client:
    """The enabled application with these credentials.

    Raises:
        ClientInvalid: there is none.
    """
    application = find_client(connection, client_id) if "\x00" not in client_id else None
    if application is None or not application.authenticates(secret) or not application.is_open:
        raise ClientInvalid
    return client_of(application)


def client_of(application: Application) -> Client:
    """An application that has shown who it is."""
    settings = application.client
    return Client(application.organization, application.name, settings.manages_organization)


async def proven_client(engine: Engine, request: Request) -> Client | None:
    """The application that calls, found on the event loop with those of whoever calls at the same moment.

    None where no client credentials were sent, or they are not right, or cannot be read now: `caller_of`
    says which.
    """
    try:
        credentials = basic_credentials(request)
    except ClientInvalid:
        return None
    found = await engine.callers.proven(*credentials) if credentials is not None else None
    if found is None:
        return None
    return Client(found.organization, found.name, found.manages_organization)


def caller_of(engine: Engine, request: Request, now: Instant) -> Caller:
    """Whoever calls, by client credentials (Basic) or by a session (Bearer or cookie).

    Raises:
        Unauthenticated: neither, or not valid.
    """
    credentials = basic_credentials(request)
    if credentials is None:
        return person_of(engine, request, now)
    return engine.database.look(lambda connection: client_with(connection, *credentials))


def require_right(caller: Caller, right: Right) -> Person:
    """The person, if they have this right.

    Raises:
        Forbidden: they do not, or it is an application.
    """
    if isinstance(caller, Client) or right not in caller.rights:
        raise Forbidden(gettext(_NEEDED[right]))
    return caller


_NEEDED = {
    Right.CHANGE: N_("This needs an administrator's session."),
    Right.READ: N_("This needs the session of an administrator or an auditor."),
    Right.SEE_SESSIONS: N_("This needs the session of an administrator, an auditor or of support."),
    Right.END_SESSIONS: N_("This needs the session of an administrator or of support."),
}


def require_reach(person: Person, organization: str | None) -> None:
    """Let whoever reaches this organization pass; None means all of the installation.

    Raises:
        OrganizationMissing: it is another one than theirs: this one does not exist for them.
        Forbidden: they reach one organization, not the installation.
    """
    if person.reaches(organization):
        return
    if organization is None:
        raise Forbidden(_("This needs a role in the organization built-in."))
    raise OrganizationMissing
