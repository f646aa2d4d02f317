"""The authorization endpoint: from a browser session to a code, by way of sign-in if need be."""

from dataclasses import dataclass
from urllib.parse import urlencode

from authlib.oauth2.rfc6749 import (  # type: ignore[import-untyped] # Authlib ships no types
    AccessDeniedError,
    OAuth2Error,
)
from authlib.oidc.core.errors import (  # type: ignore[import-untyped] # Authlib ships no types
    AccountSelectionRequiredError,
    InteractionRequiredError,
    LoginRequiredError,
)
from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from iam.directory.preferences import read_preferences
from iam.directory.users import User
from iam.kernel.clock import Instant
from iam.kernel.events import Origin
from iam.languages import _, gettext, speak
from iam.oidc.acr import UnmetRequirements, wanted_classes
from iam.oidc.authorize_request import (
    CHOSEN,
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
from iam.oidc.whose import Meant, is_meant, meant
from iam.sessions import store
from iam.sessions.lifecycle import ParentEnded
from iam.sessions.limits import SessionLimit
from iam.sessions.lock import locked_child
from iam.sessions.model import LiveRow
from iam.signin.enter import NotAdmitted, approach
from iam.signin.second_step import can_reach
from iam.web.accounts import Account, Held, has_others, read_current, read_held, use
from iam.web.address import origin_of
from iam.web.brand_files import brand_of
from iam.web.cookies import BROWSER, read_cookie
from iam.web.engine import Engine, engine_of, in_thread
from iam.web.error_notes import noted
from iam.web.language import spoken_to
from iam.web.pages import error_page, see_other
from iam.web.returning import account_address, choose_address, code_address, sign_in_address

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


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectFirst:
    """The person has to say first with which of their accounts they go on."""

    client_id: str
    return_to: str
    login_hint: str | None


Decision = Answer | SignInFirst | ShowCodeFirst | ChooseFirst | SelectFirst | Question


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
    several = has_others(request, engine.settings)

    def work(
        connection: Connection,
    ) -> tuple[Decision, Held, Account | None, ProtocolRequest]:
        look = read_held if several else read_current
        held = look(connection, request, engine.settings, now)
        provider = Provider(connection, engine, now, origin)
        asked = provider.take_up(sent, since=SINCE, chosen=CHOSEN)
        whose = meant(provider, asked, held)
        account = whose.account
        row = account.row if account is not None else None
        return decide(provider, asked, row, whose), held, account, asked

    # Without a cookie no code can come of it, and no lock for writing is needed.
    nobody = not several and read_cookie(request, engine.settings, BROWSER) is None
    run = engine.database.read if nobody else engine.database.write
    try:
        decision, held, account, asked = run(work)
    except (ClientUnknown, RedirectUnknown, ResponseModeUnknown, PushedRequestUnknown) as error:
        text = _("Nothing was sent there. Tell whoever runs the application.")
        return error_page(request, 400, gettext(error.title), text, error.code)
    _count(engine, held, account, origin, now)
    if isinstance(decision, SelectFirst):
        hint = {"login_hint": decision.login_hint} if decision.login_hint else {}
        return see_other(account_address(decision.return_to, decision.client_id, **hint))
    if account is not None and account != held.current and _shows_a_page(decision):
        # What is to be shown is for whose turn it is: the same request once more, with this one in use.
        response = see_other(f"{PATH}?{request.url.query}")
        use(response.headers, engine.settings, held, account, now)
        return response
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
        if account is None:
            raise AssertionError("a question without anybody to ask")
        said, brand = engine.database.read(
            lambda c: (read_preferences(c, *account.who), brand_of(c, account.who[0]))
        )
        speak(said.locale, said.zone)
        return ask(request, asked, decision, account.row, account.token, brand)
    return answer_client(request, asked, decision)


def _shows_a_page(decision: Decision) -> bool:
    """Whether the person is shown a page that is for who is signed in. Sign-in as such is for anybody."""
    if isinstance(decision, SignInFirst):
        return not decision.again
    return isinstance(decision, (ShowCodeFirst, ChooseFirst, Question))


def _count(
    engine: Engine, held: Held, account: Account | None, origin: Origin, now: Instant
) -> None:
    if held.current is not None:
        engine.metrics.validations[str(held.current.verdict.outcome)] += 1
    if account is not None:
        engine.touches.note(account.row, now, origin)


def decide(
    provider: Provider, asked: ProtocolRequest, browser: LiveRow | None, whose: Meant | None = None
) -> Decision:
    """Answer the client, or have the person sign in or asked.

    Args:
        whose: what was found out of whom the request means; None where there is one account at most.

    Raises:
        ClientUnknown, RedirectUnknown, ResponseModeUnknown: as `addressee` says.
    """
    client, redirect_uri = addressee(provider.connection, asked)
    try:
        check(asked)
        grant = provider.get_consent_grant(asked)
        if whose is not None and whose.choose:
            return _select(provider, asked, client)
        if whose is not None and whose.stranger:
            return _sign_in_first(provider, asked, client, again=True)
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
    since = authenticated_since(asked, client, provider.now)
    wanted = bool(prompts_of(asked) & {"login", "select_account"})
    home = browser is not None and browser.organization == client.application.organization
    locked = False
    if browser is not None and home and not wanted:
        fresh = since is None or _authenticated_since(provider.connection, browser, since)
        if fresh and is_meant(provider, asked, client, browser):
            locked = _is_locked(provider, client, browser)
            if not locked:
                return None
    again = home and not locked
    # Who has said which account it is, is asked for that one's password.
    said = browser.user if browser is not None and again and CHOSEN in asked.parameters else None
    return _sign_in_first(provider, asked, client, again=again, login_hint=said)


def _sign_in_first(
    provider: Provider,
    asked: ProtocolRequest,
    client: OpenidClient,
    *,
    again: bool,
    login_hint: str | None = None,
) -> SignInFirst:
    if "none" in prompts_of(asked):
        raise LoginRequiredError("The person has to sign in.")
    return SignInFirst(
        client_id=client.get_client_id(),
        return_to=_way_back(provider, asked, client),
        again=again,
        login_hint=login_hint or asked.parameters.get("login_hint"),
    )


def _select(provider: Provider, asked: ProtocolRequest, client: OpenidClient) -> SelectFirst:
    if "none" in prompts_of(asked):
        raise AccountSelectionRequiredError("The person has to choose an account.")
    return SelectFirst(
        client_id=client.get_client_id(),
        return_to=_way_back(provider, asked, client, chosen=True),
        login_hint=asked.parameters.get("login_hint"),
    )


def _way_back(
    provider: Provider, asked: ProtocolRequest, client: OpenidClient, *, chosen: bool = False
) -> str:
    """Back to this request, from a page on which the person signs in or says which account it is. What is
    asked for only once is taken out; how recently they must have signed in stays, as an instant."""
    prompts = prompts_of(asked)
    since = authenticated_since(asked, client, provider.now)
    left = without(asked, "login", "select_account")
    for met in ("max_age", SINCE, "login_hint"):
        left.pop(met, None)
    if "login" in prompts:
        since = provider.now
    if since is not None:
        left[SINCE] = str(since)
    # Whoever signs in has said by that which account it is.
    if chosen or "login_hint" in asked.parameters or "select_account" in prompts:
        left[CHOSEN] = "1"
    return f"{PATH}?{urlencode(left)}"


def _is_locked(provider: Provider, client: OpenidClient, browser: LiveRow) -> bool:
    """Whether the sign-in page is to ask for the password of the session that would be entered again."""
    application = client.application.name
    return locked_child(provider.connection, browser.id, application, provider.now) is not None


def _authenticated_since(connection: Connection, browser: LiveRow, since: Instant) -> bool:
    session = store.read_session(connection, browser.id)
    at = session.authenticated_at if session is not None else None
    return at is not None and at >= since


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
