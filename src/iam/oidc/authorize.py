"""The authorization endpoint: from a browser session to a code, by way of sign-in if need be."""

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
)
from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from iam.directory.names import UserMissing
from iam.directory.preferences import read_preferences
from iam.directory.users import User, find_user
from iam.kernel.clock import Instant
from iam.kernel.events import Origin
from iam.languages import _, gettext, speak
from iam.oidc.acr import UnmetRequirements, wanted_classes
from iam.oidc.authorize_request import (
    SINCE,
    ClientUnknown,
    RedirectUnknown,
    ResponseModeUnknown,
    addressee,
    authenticated_since,
    check,
    prompts_of,
    without,
)
from iam.oidc.clients import OpenidClient
from iam.oidc.consent import Question, ask, consent_question
from iam.oidc.form_post import answer_client
from iam.oidc.protocol import Answer, ProtocolRequest, Provider
from iam.oidc.pushed import PushedRequestUnknown
from iam.oidc.token import read_pairs
from iam.oidc.tokens import TokenInvalid, read_hint
from iam.sessions import store
from iam.sessions.lifecycle import ParentEnded
from iam.sessions.limits import SessionLimit
from iam.sessions.lock import locked_child
from iam.sessions.model import BUILT_IN_APPLICATION, LiveRow
from iam.sessions.validate import Verdict, validate
from iam.signin.enter import NotAdmitted, approach
from iam.signin.second_step import can_reach
from iam.web.address import origin_of
from iam.web.brand_files import brand_of
from iam.web.cookies import BROWSER, read_cookie
from iam.web.engine import Engine, engine_of, in_thread
from iam.web.error_notes import noted
from iam.web.language import spoken_to
from iam.web.pages import error_page, see_other
from iam.web.returning import choose_address, code_address, sign_in_address

PATH = "/oauth/authorize"
_LONGEST = 8192
_LONGEST_HINT = 127


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInFirst:
    """The person has to sign in first. `again`: even though they are signed in; `login_hint`: whom the
    client expects."""

    client_id: str
    return_to: str
    again: bool
    login_hint: str | None


@dataclass(frozen=True, slots=True)
class ShowCodeFirst:
    """The person has to show their second factor besides."""

    client_id: str
    return_to: str


@dataclass(frozen=True, slots=True)
class ChooseFirst:
    """The person has to say first which of their sessions ends."""

    client_id: str
    return_to: str


Decision = Answer | SignInFirst | ShowCodeFirst | ChooseFirst | Question


@noted
@spoken_to
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
                _("This request cannot be understood"),
                _("Go back to the application and try again."),
                "invalid_request",
            )
        return see_other(f"{PATH}?{query}")
    return await in_thread(lambda: _authorize(request))


def _authorize(request: Request) -> Response:
    engine = engine_of(request)
    now, origin = engine.clock(), origin_of(request, engine.settings)
    sent = ProtocolRequest("GET", request.query_params.multi_items())
    token = read_cookie(request, engine.settings, BROWSER)

    def work(
        connection: Connection,
    ) -> tuple[Decision, Verdict | None, ProtocolRequest]:
        verdict = validate(connection, token, now) if token is not None else None
        provider = Provider(connection, engine, now, origin)
        asked = provider.take_up(sent, SINCE)
        return decide(provider, asked, _browser_session(verdict)), verdict, asked

    # Without a cookie no code can come of it, and no lock for writing is needed.
    run = engine.database.read if token is None else engine.database.write
    try:
        decision, verdict, asked = run(work)
    except (ClientUnknown, RedirectUnknown, ResponseModeUnknown, PushedRequestUnknown) as error:
        text = _("Nothing was sent there. Tell whoever runs the application.")
        return error_page(request, 400, gettext(error.title), text, error.code)
    _count(engine, verdict, origin, now)
    if isinstance(decision, SignInFirst):
        extra = {"prompt": "login"} if decision.again else {}
        if decision.login_hint and len(decision.login_hint) <= _LONGEST_HINT:
            extra["login_hint"] = decision.login_hint
        return see_other(
            sign_in_address(decision.return_to, application=decision.client_id, **extra)
        )
    if isinstance(decision, ShowCodeFirst):
        return see_other(code_address(decision.return_to, decision.client_id))
    if isinstance(decision, ChooseFirst):
        return see_other(choose_address(decision.return_to, decision.client_id))
    if isinstance(decision, Question):
        row = _browser_session(verdict)
        if row is None or token is None:
            raise AssertionError("a question without anybody to ask")
        said, brand = engine.database.read(
            lambda c: (
                read_preferences(c, row.organization, row.user),
                brand_of(c, row.organization),
            )
        )
        speak(said.locale, said.zone)
        return ask(request, asked, decision, row, token, brand)
    return answer_client(request, asked, decision)


def _count(engine: Engine, verdict: Verdict | None, origin: Origin, now: Instant) -> None:
    if verdict is not None:
        engine.metrics.validations[str(verdict.outcome)] += 1
        row = _browser_session(verdict)
        if row is not None:
            engine.touches.note(row, now, origin)


def _browser_session(verdict: Verdict | None) -> LiveRow | None:
    if verdict is None or verdict.row is None or verdict.reason is not None:
        return None
    return verdict.row if verdict.row.application == BUILT_IN_APPLICATION else None


def decide(provider: Provider, asked: ProtocolRequest, browser: LiveRow | None) -> Decision:
    """Answer the client, or have the person sign in or asked.

    Raises:
        ClientUnknown, RedirectUnknown, ResponseModeUnknown: as `addressee` says.
    """
    client, redirect_uri = addressee(provider.connection, asked)
    try:
        check(asked)
        grant = provider.get_consent_grant(asked)
        return _continue(provider, asked, client, browser) or _enter(
            provider, asked, client, browser, grant
        )
    except OAuth2Error as error:
        error.redirect_uri, error.state = redirect_uri, asked.parameters.get("state")
        return provider.refuse(error)


def _continue(
    provider: Provider, asked: ProtocolRequest, client: OpenidClient, browser: LiveRow | None
) -> SignInFirst | None:
    """The way to sign-in, if the person has to go there; None if they can go on.

    Raises:
        LoginRequiredError: they have to, and the client wants no page shown (prompt=none).
    """
    parameters, now = asked.parameters, provider.now
    prompts = prompts_of(asked)
    since = authenticated_since(asked, client, now)
    wanted = bool(prompts & {"login", "select_account"})
    home = browser is not None and browser.organization == client.application.organization
    locked = False
    if browser is not None and home and not wanted:
        fresh = since is None or _authenticated_since(provider.connection, browser, since)
        if fresh and _is_whom_the_client_means(provider, asked, client, browser):
            locked = _is_locked(provider, client, browser)
            if not locked:
                return None
    if "none" in prompts:
        raise LoginRequiredError("The person has to sign in.")
    left = without(asked, "login", "select_account")
    for met in ("max_age", SINCE):
        left.pop(met, None)
    if wanted:
        since = now
    if since is not None:
        left[SINCE] = str(since)
    return SignInFirst(
        client_id=client.get_client_id(),
        return_to=f"{PATH}?{urlencode(left)}",
        again=home and not locked,
        login_hint=parameters.get("login_hint"),
    )


def _is_locked(provider: Provider, client: OpenidClient, browser: LiveRow) -> bool:
    """Whether the sign-in page is to ask for the password of the session that would be entered again."""
    application = client.application.name
    return locked_child(provider.connection, browser.id, application, provider.now) is not None


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
        meant = read_hint(hint, engine.keys, engine.settings.issuer)
    except TokenInvalid as error:
        raise InvalidRequestError("id_token_hint is no ID token of ours.") from error
    if meant.client_id != client.get_client_id():
        raise InvalidRequestError("id_token_hint was issued to another client.")
    try:
        who = find_user(provider.connection, browser.organization, browser.user)
    except UserMissing:
        return False
    return who.id == meant.subject


def _enter(
    provider: Provider,
    asked: ProtocolRequest,
    client: OpenidClient,
    browser: LiveRow | None,
    grant: object,
) -> Decision:
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
    shown_nothing = "none" in prompts_of(asked)
    if ahead.authenticate_since is not None:
        if shown_nothing:
            raise LoginRequiredError("The person has to sign in again.")
        return _again(asked, client, ahead.authenticate_since)
    stronger = _strongly_enough(provider, asked, client, browser, ahead.user)
    if stronger is not None:
        if shown_nothing:
            raise LoginRequiredError("The person has to sign in more strongly.")
        return stronger
    if ahead.crowd is not None:
        if not ahead.crowd.may_choose:
            raise AccessDeniedError(SessionLimit.title)
        if shown_nothing:
            raise InteractionRequiredError("The person has to choose a session to end.")
        return ChooseFirst(client.get_client_id(), f"{PATH}?{urlencode(asked.again)}")
    question = consent_question(provider, asked, client, ahead.user)
    if question is not None:
        return question
    answer: Answer = provider.create_authorization_response(asked, browser, grant)
    return answer


def _strongly_enough(
    provider: Provider, asked: ProtocolRequest, client: OpenidClient, browser: LiveRow, user: User
) -> SignInFirst | ShowCodeFirst | None:
    """What the person has to do to be signed in as strongly as is asked; None if they are.

    Raises:
        UnmetRequirements: there is nothing that they could do.
    """
    wanted = wanted_classes(asked)
    session = store.read_session(provider.connection, browser.id)
    if wanted is None or session is None:
        return None
    met = wanted.met_by(session.acr)
    if met is not None:
        asked.acr = met if wanted.essential else None
        return None
    if session.acr is None:
        return _again(asked, client, provider.now)
    if not any(can_reach(provider.connection, session, user.id, one) for one in wanted.classes):
        raise UnmetRequirements("This user has no second factor.")
    return ShowCodeFirst(client.get_client_id(), f"{PATH}?{urlencode(asked.again)}")


def _again(asked: ProtocolRequest, client: OpenidClient, since: Instant) -> SignInFirst:
    return SignInFirst(
        client_id=client.get_client_id(),
        return_to=f"{PATH}?{urlencode(asked.again | {SINCE: str(since)})}",
        again=True,
        login_hint=None,
    )
