"""The authorization endpoint: from a browser session to a code, by way of sign-in if need be."""

import re
from dataclasses import dataclass
from urllib.parse import urlencode

from authlib.oauth2.rfc6749 import (  # type: ignore[import-untyped] # Authlib ships no types
    AccessDeniedError,
    InvalidRequestError,
    OAuth2Error,
)
from authlib.oidc.core.errors import (  # type: ignore[import-untyped] # Authlib ships no types
    InteractionRequiredError,
    LoginRequiredError,
    RegistrationNotSupportedError,
    RequestNotSupportedError,
    RequestURINotSupportedError,
)
from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from iam.directory.names import UserMissing
from iam.directory.users import find_user
from iam.kernel.clock import Instant, after
from iam.kernel.errors import Invalid
from iam.oidc.clients import OpenidClient, find_openid_client
from iam.oidc.protocol import Answer, ProtocolRequest, Provider
from iam.oidc.token import read_pairs, respond
from iam.oidc.tokens import TokenInvalid, read_hint
from iam.sessions import store
from iam.sessions.lifecycle import ParentEnded
from iam.sessions.limits import SessionLimit
from iam.sessions.model import BUILT_IN_APPLICATION, LiveRow
from iam.sessions.validate import Verdict, validate
from iam.signin.enter import NotAdmitted, approach
from iam.web.address import origin_of
from iam.web.cookies import BROWSER, read_cookie
from iam.web.engine import Engine, engine_of, in_thread
from iam.web.pages import error_page, see_other
from iam.web.returning import choose_address, sign_in_address

PATH = "/oauth/authorize"
SINCE = "iam_since"
"""Our own parameter on the way back from sign-in: the person must have signed in at or after this
instant. It takes the place of `prompt` and `max_age`, which would send them to sign in for ever. It
needs no signature: who can change it could as well have left `prompt` away."""

_LONGEST = 8192
_SECONDS = re.compile(r"[0-9]{1,9}", re.ASCII)
_MILLISECONDS = re.compile(r"[0-9]{1,15}", re.ASCII)
_PROMPTS = {"none", "login", "consent", "select_account"}


class ClientUnknown(Invalid):
    """There is nobody to answer: the client ID names no enabled application."""

    code = "client_unknown"
    title = "This application is not known here."


class RedirectUnknown(Invalid):
    """The answer would go where the application has registered nothing (open redirect)."""

    code = "redirect_uri_unknown"
    title = "This return address is not registered."


@dataclass(frozen=True, slots=True, kw_only=True)
class _SignIn:
    """The person has to sign in first. `again`: even though they are signed in."""

    client_id: str
    return_to: str
    again: bool


@dataclass(frozen=True, slots=True)
class _Choose:
    """The person has to say first which of their sessions ends."""

    client_id: str
    return_to: str


async def authorize(request: Request) -> Response:
    """`GET` or `POST /oauth/authorize` (OpenID Connect Core §3.1.2)."""
    if request.method == "POST":
        # A form on another site brings no SameSite=Lax cookie; the GET that this leads to does.
        try:
            query = urlencode(await read_pairs(request))
        except OAuth2Error:
            query = ""
        if not query or len(query) > _LONGEST:
            return error_page(
                request,
                400,
                "This request cannot be understood",
                "Go back to the application and try again.",
                "invalid_request",
            )
        return see_other(f"{PATH}?{query}")
    return await in_thread(lambda: _authorize(request))


def _authorize(request: Request) -> Response:
    engine = engine_of(request)
    now, origin = engine.clock(), origin_of(request, engine.settings)
    asked = ProtocolRequest("GET", request.query_params.multi_items())
    token = read_cookie(request, engine.settings, BROWSER)

    def work(connection: Connection) -> tuple[Answer | _SignIn | _Choose, Verdict | None]:
        verdict = validate(connection, token, now) if token is not None else None
        provider = Provider(connection, engine, now, origin)
        return _decide(provider, asked, _browser_session(verdict)), verdict

    # Without a cookie no code can come of it, and no lock for writing is needed.
    run = engine.database.read if token is None else engine.database.write
    try:
        decision, verdict = run(work)
    except (ClientUnknown, RedirectUnknown) as error:
        text = "Nothing was sent there. Tell whoever runs the application."
        return error_page(request, 400, error.title, text, error.code)
    _count(engine, verdict, now)
    if isinstance(decision, _SignIn):
        extra = {"prompt": "login"} if decision.again else {}
        return see_other(
            sign_in_address(decision.return_to, application=decision.client_id, **extra)
        )
    if isinstance(decision, _Choose):
        return see_other(choose_address(decision.return_to, decision.client_id))
    return respond(decision)


def _count(engine: Engine, verdict: Verdict | None, now: Instant) -> None:
    if verdict is not None:
        engine.metrics.validations[str(verdict.outcome)] += 1
        row = _browser_session(verdict)
        if row is not None:
            engine.touches.note(row, now)


def _browser_session(verdict: Verdict | None) -> LiveRow | None:
    if verdict is None or verdict.row is None or verdict.reason is not None:
        return None
    return verdict.row if verdict.row.application == BUILT_IN_APPLICATION else None


def _decide(
    provider: Provider, asked: ProtocolRequest, browser: LiveRow | None
) -> Answer | _SignIn | _Choose:
    """Answer the client, or have the person sign in.

    Raises:
        ClientUnknown, RedirectUnknown: nobody may be answered, so the person is told.
    """
    client, redirect_uri = _addressee(provider.connection, asked)
    try:
        _check(asked)
        grant = provider.get_consent_grant(asked)
        return _continue(provider, asked, client, browser) or _enter(
            provider, asked, client, browser, grant
        )
    except OAuth2Error as error:
        error.redirect_uri, error.state = redirect_uri, asked.parameters.get("state")
        return provider.refuse(error)


def _addressee(connection: Connection, asked: ProtocolRequest) -> tuple[OpenidClient, str]:
    parameters = asked.parameters
    client = find_openid_client(connection, parameters.get("client_id"))
    if client is None or "client_id" in asked.repeated:
        raise ClientUnknown
    redirect_uri = parameters.get("redirect_uri", "")
    if "redirect_uri" in asked.repeated or not client.check_redirect_uri(redirect_uri):
        raise RedirectUnknown
    return client, redirect_uri


def _check(asked: ProtocolRequest) -> None:
    """What Authlib does not look at."""
    parameters = asked.parameters
    if asked.repeated:
        raise InvalidRequestError("A parameter came more than once.")
    for name, error in (
        ("request", RequestNotSupportedError),
        ("request_uri", RequestURINotSupportedError),
        ("registration", RegistrationNotSupportedError),
    ):
        if name in parameters:
            raise error
    if not parameters.get("response_type"):
        raise InvalidRequestError("response_type is missing.")
    if parameters["response_type"] != "code":
        # Not left to Authlib, which puts the client's text in an error that admits few characters.
        raise OAuth2Error("Use response_type=code.", error="unsupported_response_type")
    if parameters.get("response_mode", "query") != "query":
        raise InvalidRequestError("Use response_mode=query.")
    prompts = set(parameters.get("prompt", "").split())
    if "none" in prompts and len(prompts) > 1:
        raise InvalidRequestError("prompt=none goes with no other value.")
    if not prompts <= _PROMPTS:
        raise InvalidRequestError("This prompt is not supported.")
    if "max_age" in parameters and not _SECONDS.fullmatch(parameters["max_age"]):
        raise InvalidRequestError("max_age must be a number of seconds.")


def _continue(
    provider: Provider, asked: ProtocolRequest, client: OpenidClient, browser: LiveRow | None
) -> _SignIn | None:
    """The way to sign-in, if the person has to go there; None if they can go on.

    Raises:
        LoginRequiredError: they have to, and the client wants no page shown (prompt=none).
    """
    parameters, now = asked.parameters, provider.now
    prompts = set(parameters.get("prompt", "").split())
    since = _since(parameters, now)
    wanted = bool(prompts & {"login", "select_account"})
    home = browser is not None and browser.organization == client.application.organization
    if browser is not None and home and not wanted:
        fresh = since is None or _authenticated_since(provider.connection, browser, since)
        if fresh and _is_whom_the_client_means(provider, asked, client, browser):
            return None
    if "none" in prompts:
        raise LoginRequiredError("The person has to sign in.")
    left = {
        name: value
        for name, value in parameters.items()
        if name not in ("prompt", "max_age", SINCE)
    }
    if wanted:
        since = now
    if since is not None:
        left[SINCE] = str(since)
    return _SignIn(
        client_id=client.get_client_id(), return_to=f"{PATH}?{urlencode(left)}", again=home
    )


def _since(parameters: dict[str, str], now: Instant) -> Instant | None:
    bounds = []
    if "max_age" in parameters:
        bounds.append(after(now, -int(parameters["max_age"])))
    if _MILLISECONDS.fullmatch(parameters.get(SINCE, "")):
        bounds.append(min(Instant(int(parameters[SINCE])), now))
    return max(bounds, default=None)


def _authenticated_since(connection: Connection, browser: LiveRow, since: Instant) -> bool:
    session = store.read_session(connection, browser.id)
    at = session.authenticated_at if session is not None else None
    return at is not None and at >= since


def _is_whom_the_client_means(
    provider: Provider, asked: ProtocolRequest, client: OpenidClient, browser: LiveRow
) -> bool:
    """Core §3.1.2.1: a client that says whom it had (`id_token_hint`) is never given another."""
    hint = asked.parameters.get("id_token_hint")
    if hint is None:
        return True
    engine = provider.engine
    try:
        subject = read_hint(hint, engine.keys, engine.settings.issuer, client.get_client_id())
    except TokenInvalid as error:
        raise InvalidRequestError("id_token_hint is no ID token of this client.") from error
    try:
        return find_user(provider.connection, browser.organization, browser.user).id == subject
    except UserMissing:
        return False


def _enter(
    provider: Provider,
    asked: ProtocolRequest,
    client: OpenidClient,
    browser: LiveRow | None,
    grant: object,
) -> Answer | _SignIn | _Choose:
    application = client.application
    if browser is None:
        raise LoginRequiredError("The person has to sign in.")
    try:
        ahead = approach(
            provider.connection,
            browser_session=browser.id,
            organization=application.organization,
            application=application.name,
            instance=None,
            now=provider.now,
        )
    except ParentEnded as error:
        raise LoginRequiredError("The person has to sign in.") from error
    except NotAdmitted as error:
        raise AccessDeniedError("This user may not enter this application.") from error
    shown_nothing = "none" in asked.parameters.get("prompt", "").split()
    if ahead.authenticate_since is not None:
        if shown_nothing:
            raise LoginRequiredError("The person has to sign in again.")
        return _again(asked, client, ahead.authenticate_since)
    if ahead.crowd is not None:
        if not ahead.crowd.may_choose:
            raise AccessDeniedError(SessionLimit.title)
        if shown_nothing:
            raise InteractionRequiredError("The person has to choose a session to end.")
        return _Choose(client.get_client_id(), f"{PATH}?{urlencode(asked.parameters)}")
    answer: Answer = provider.create_authorization_response(asked, browser, grant)
    return answer


def _again(asked: ProtocolRequest, client: OpenidClient, since: Instant) -> _SignIn:
    left = {name: value for name, value in asked.parameters.items() if name != SINCE}
    return_to = f"{PATH}?{urlencode(left | {SINCE: str(since)})}"
    return _SignIn(client_id=client.get_client_id(), return_to=return_to, again=True)
