"""`POST login`: signing in with a password or with the session that is there, and what that gives.

Every way ends as it does on our own pages: a browser session, then the application that is entered, a code
of the OAuth door, tokens where the application may have them so, or a SAML response.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from urllib.parse import parse_qs, urlsplit

from sqlalchemy import Connection
from starlette.responses import Response

from iam.delivery.logouts import note_client_session
from iam.directory.applications import Application, find_application, find_client
from iam.directory.names import ApplicationMissing
from iam.hanzo.browser import accounts_beside, keep_session
from iam.hanzo.call import Call
from iam.hanzo.envelope import Reply, failed, message_of, respond
from iam.hanzo.errors import Refused, Told
from iam.hanzo.messages import sentence
from iam.hanzo.saml_sign_in import Prepared, answer_request, prepare
from iam.hanzo.second_factor import (
    ask_for_code,
    forget_ticket,
    shows_code,
    sign_in_with_code,
)
from iam.hanzo.tokens import LegacyProvider, scope_of
from iam.hanzo.verbs import Verb
from iam.kernel.errors import IamError, Throttled, Unauthenticated
from iam.oidc.authorize import ChooseFirst, SelectFirst, ShowCodeFirst, SignInFirst, decide
from iam.oidc.clients import OpenidClient
from iam.oidc.consent import Question
from iam.oidc.protocol import Answer, ProtocolRequest
from iam.oidc.tokens import Grant
from iam.sessions.lifecycle import Started
from iam.sessions.limits import SessionLimit
from iam.sessions.model import BUILT_IN_APPLICATION, BUILT_IN_ORGANIZATION, LiveRow
from iam.sessions.store import read_live_row
from iam.signin.arrival import Arrival, FactorNeeded, NoRoom
from iam.signin.enter import approach, enter_application
from iam.signin.password_sign_in import (
    CredentialsInvalid,
    PasswordAttempt,
    sign_in_with_password,
)
from iam.web.cookies import device_secret
from iam.web.csrf import check_origin
from iam.web.engine import in_hash_pool, in_thread

_PASSWORD = "Password"  # noqa: S105 - the name of a way to sign in
_IMPLICIT = "implicit"
_PARAMETERS = {
    "clientId": "client_id",
    "responseType": "response_type",
    "redirectUri": "redirect_uri",
    "scope": "scope",
    "state": "state",
    "nonce": "nonce",
    "code_challenge": "code_challenge",
    "code_challenge_method": "code_challenge_method",
    "resource": "resource",
}
"""What they call the parameters of an authorization request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wish:
    """What somebody wants: `type` of what they are given, and at which application; None for none but the
    server itself."""

    type: str
    organization: str
    application: Application | None
    username: str
    password: str
    remember: bool
    saml: Prepared | None = None
    """The SAML request that is to be answered."""


async def login(call: Call) -> Response:
    """`POST login`."""
    # Whatever credentials it brings: nobody else's page signs anybody in here (login CSRF).
    check_origin(call.request, call.engine.settings)
    wish = await in_thread(lambda: call.engine.database.read(lambda c: _understood(c, call)))
    give = _GIVE.get(wish.type)
    if give is None:
        raise Refused(f"unknown response type: {wish.type[:40]}")
    if wish.type == "saml":
        wish = replace(wish, saml=await in_thread(lambda: prepare(call)))
    device = device_secret(call.request, call.engine.settings, call.engine.random)
    if shows_code(call):
        shown = await sign_in_with_code(call, device)
        if isinstance(shown, Response):
            return shown
        response = await _arrived(call, wish, give, shown, device)
        forget_ticket(call, response)
        return response
    if not wish.username:
        own = call.person
        if own is None or not call.shown.by_cookie:
            raise Unauthenticated
        return await in_thread(lambda: _given(call, wish, give, own.session.id))
    beside = await accounts_beside(call.engine, call.request, call.now)
    arrival = replace(_arrival(call, wish, device), beside=beside)
    try:
        started = await _sign_in(call, wish, arrival)
    except FactorNeeded as needed:
        return await ask_for_code(call, needed.proven, arrival)
    return await _arrived(call, wish, give, started, device)


async def _arrived(
    call: Call, wish: _Wish, give: "_Give", started: Started, device: str
) -> Response:
    """What is wanted, and the cookies, for somebody who has just signed in."""
    try:
        response = await in_thread(lambda: _given(call, wish, give, started.session.id))
    except IamError as error:
        # Signed in they are all the same, as on our own pages; the rest is said.
        response = failed(message_of(error, call.language))
    keep_session(response.headers, call.engine, call.request, started, call.now, device)
    return response


def _understood(connection: Connection, call: Call) -> _Wish:
    method = call.text("signinMethod")
    if method not in ("", _PASSWORD):
        raise Refused(f"The login method: {method[:40]} is not supported.")
    if call.text("provider"):
        raise Told("other_way")
    organization, name = call.text("organization"), call.text("application")
    application = _application(connection, call, organization, name)
    if application is not None:
        # The policy and the code are of one application: what the body says has to agree.
        if name not in ("", application.name) or organization not in ("", application.organization):
            raise Refused("The application and its client ID do not go together.")
        organization = application.organization
    username = call.text("username")
    return _Wish(
        type=call.text("type") or call.query("type") or "login",
        organization=organization or BUILT_IN_ORGANIZATION,
        application=application,
        username=username.removeprefix(f"{organization}/"),
        password=call.text("password"),
        remember=call.flag("autoSignin"),
    )


def _application(
    connection: Connection, call: Call, organization: str, name: str
) -> Application | None:
    """The application that is meant: by its client ID, or else by its name.

    Raises:
        Refused: there is no such application, or it is switched off.
    """
    client_id = call.either("clientId")
    if client_id:
        application = find_client(connection, client_id)
    elif name in ("", BUILT_IN_APPLICATION):
        return None
    else:
        try:
            application = find_application(connection, organization, name)
        except ApplicationMissing:
            application = None
    if application is None or not application.is_open:
        raise Told("no_application", name=(client_id or name)[:64])
    return None if application.name == BUILT_IN_APPLICATION else application


def _arrival(call: Call, wish: _Wish, device: str) -> Arrival:
    held = call.shown.verdict.living if call.shown.verdict is not None else None
    return Arrival(
        application=BUILT_IN_APPLICATION,
        origin=call.origin,
        replaces=held.id if held is not None else None,
        remember=wish.remember,
        device=device,
        mails=call.engine.settings.sends_mail,
    )


async def _sign_in(call: Call, wish: _Wish, arrival: Arrival) -> Started:
    engine = call.engine
    attempt = PasswordAttempt(
        organization=wish.organization,
        username=wish.username,
        password=wish.password,
        arrival=arrival,
    )
    work = partial(
        sign_in_with_password, engine.database, engine.passwords, attempt, call.now, engine.random
    )
    counts = engine.metrics.sign_ins
    try:
        started = await in_hash_pool(engine, work)
    except Throttled:
        counts["throttled"] += 1
        raise
    except (CredentialsInvalid, NoRoom):
        counts["failed"] += 1
        raise
    counts["succeeded"] += 1
    return engine.count_started(started)


_Give = Callable[[Connection, Call, _Wish, LiveRow], tuple[Response, list[Started]]]


def _given(call: Call, wish: _Wish, give: _Give, browser_session: str) -> Response:
    """What is wanted, for the holder of this browser session."""

    def work(connection: Connection) -> tuple[Response, list[Started]]:
        row = read_live_row(connection, browser_session)
        if row is None:
            raise Unauthenticated
        return give(connection, call, wish, row)

    response, started = call.engine.database.write(work)
    for one in started:
        call.engine.count_started(one)
    return response


def _nothing_more(
    connection: Connection, call: Call, wish: _Wish, row: LiveRow
) -> tuple[Response, list[Started]]:
    """Type `login`: signed in, and in the application that was named."""
    reply = Reply(data=f"{row.organization}/{row.user}")
    if wish.application is None:
        return respond(reply), []
    _check_threshold(connection, call, wish.application, row)
    started = _enter(connection, call, wish.application, row)[1]
    return respond(reply), [started] if started is not None else []


def _check_threshold(
    connection: Connection, call: Call, application: Application, row: LiveRow
) -> None:
    """See that nothing stands between this browser session and the application.

    Raises:
        Unauthenticated: they have to sign in again first.
        SessionLimit: they are signed in there in as many places as the policy allows.
        ParentEnded, NotAdmitted: as `approach` says.
    """
    ahead = approach(
        connection,
        browser_session=row.id,
        organization=application.organization,
        application=application.name,
        instance=None,
        now=call.now,
    )
    if ahead.authenticate_since is not None:
        raise Unauthenticated
    if ahead.crowd is not None:
        raise SessionLimit(ahead.crowd)


def _enter(
    connection: Connection, call: Call, application: Application, row: LiveRow
) -> tuple[Grant, Started | None]:
    session, user, started = enter_application(
        connection,
        browser_session=row.id,
        organization=application.organization,
        application=application.name,
        instance=None,
        origin=call.origin,
        now=call.now,
        random=call.engine.random,
    )
    grant = Grant(client_id=application.client_id, subject=user.id, session=session, scope=())
    return grant, started


def _code(
    connection: Connection, call: Call, wish: _Wish, row: LiveRow
) -> tuple[Response, list[Started]]:
    """Type `code`: a code of the OAuth door, by all its checks."""
    outcome = _judged(connection, call, row)
    return (outcome if isinstance(outcome, Response) else respond(Reply(data=outcome))), []


def _judged(connection: Connection, call: Call, row: LiveRow) -> str | Response:
    """The code that an authorization request in their words leads to, or why there is none."""
    asked = _request_of(call)
    provider = LegacyProvider(connection, call.engine, call.now, call.origin)
    decision = decide(provider, asked, row)
    if isinstance(decision, (SignInFirst, SelectFirst)):
        raise Unauthenticated
    if isinstance(decision, ShowCodeFirst):
        return failed(sentence("other_way", call.language), data="")
    if isinstance(decision, ChooseFirst):
        return failed(sentence("choose_first", call.language), data="")
    if isinstance(decision, Question):
        return respond(Reply(data={"required": True}))
    answer = parse_qs(urlsplit(decision.location or "").query)
    if "code" in answer:
        return answer["code"][-1]
    return failed(_reason(decision, answer), data="")


def _reason(decision: Answer, answer: dict[str, list[str]]) -> str:
    for name in ("error_description", "error"):
        if name in answer:
            return answer[name][-1]
    return str(decision.body)


def _request_of(call: Call) -> ProtocolRequest:
    """The authorization request in a query in their words."""
    asked = {
        ours: call.either(theirs) for theirs, ours in _PARAMETERS.items() if call.either(theirs)
    }
    asked |= {"response_type": "code", "scope": scope_of(asked.get("scope", ""))}
    if "code_challenge" in asked:
        asked.setdefault("code_challenge_method", "S256")
    else:
        asked.pop("code_challenge_method", None)
    return ProtocolRequest("GET", asked.items())


def _tokens(
    connection: Connection, call: Call, wish: _Wish, row: LiveRow
) -> tuple[Response, list[Started]]:
    """Types `token` and `id_token`: tokens without a code, for applications that may have them so.

    By all the checks of a code; RFC 9700 §2.1.2 advises against it.
    """
    application = wish.application
    client = OpenidClient(application) if application is not None else None
    allowed = client is not None and client.check_grant_type(_IMPLICIT)
    # One that promised to prove a key gets no token that anybody can use (RFC 9449 §5.2).
    bound = application is not None and application.client.dpop_bound_access_tokens
    if application is None or client is None or not allowed or bound:
        words = f"error: grant_type: {wish.type} is not supported in this application"
        return failed(words, data=""), []
    outcome = _judged(connection, call, row)
    if isinstance(outcome, Response):
        return outcome, []
    grant, started = _enter(connection, call, application, row)
    assert grant.session is not None  # noqa: S101 - a person has entered
    note_client_session(
        connection, grant.session.id, client_id=grant.client_id, subject=grant.subject
    )
    asked = _request_of(call).parameters
    provider = LegacyProvider(connection, call.engine, call.now, call.origin)
    body = provider.generate_token(
        client=client,
        user=replace(
            grant,
            scope=tuple(client.get_allowed_scope(asked["scope"]).split()),
            nonce=asked.get("nonce"),
        ),
        include_refresh_token=client.check_grant_type("refresh_token"),
    )
    data = body["id_token" if wish.type == "id_token" else "access_token"]
    reply = Reply(data=data, data2=body.get("refresh_token", ""))
    return respond(reply), [started] if started is not None else []


def _saml(
    connection: Connection, call: Call, wish: _Wish, row: LiveRow
) -> tuple[Response, list[Started]]:
    """Type `saml`: a signed response, for the page to post."""
    client_id = wish.application.client_id if wish.application is not None else ""
    assert wish.saml is not None  # noqa: S101 - it was prepared for this type
    answered = answer_request(connection, call, row, wish.saml, client_id)
    return respond(answered.reply), [answered.started] if answered.started is not None else []


_GIVE: dict[str, _Give] = {
    "login": _nothing_more,
    "code": _code,
    "token": _tokens,
    "id_token": _tokens,
    "saml": _saml,
}

VERBS: tuple[Verb, ...] = (Verb(name="login", methods=("POST",), handler=login, writes=True),)
