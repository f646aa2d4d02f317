"""Casdoor's sign-in in a frame of the application's page (`silentSignin`), and in a window that it opens
(`popup`): a message to that page takes the place of a redirect.

A page that somebody signs in on is in no frame, and is cut off from whoever opened it
(Cross-Origin-Opener-Policy): else that page could swap it for another one under the person's eyes. So in the
opened window stands a page of ours that has nothing but a link, which opens sign-in in a window of its own.
The two share an origin, and by that alone the answer comes back (BroadcastChannel). It is passed on to pages
of the registered address's origin and to no others.
"""

from dataclasses import dataclass
from urllib.parse import parse_qs, urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import Response

from iam.kernel.secrets import make_secret
from iam.oidc.authorize import PATH as AUTHORIZE
from iam.oidc.authorize import authorize as ask_authorization
from iam.oidc.authorize_request import CHANNEL, WINDOW
from iam.web.engine import engine_of
from iam.web.language import spoken_to
from iam.web.pages import render
from iam.web.targets import host_target

Pairs = list[tuple[str, str]]

_STEPS = frozenset(
    {"login_required", "interaction_required", "consent_required", "account_selection_required"}
)
"""Errors that say no more than that a person has to be shown a page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outcome:
    """What an authorization request comes to without a page: the response as it would be, and if it leads
    to the application's own address: that address's origin, its host, and the answer."""

    response: Response
    origin: str | None = None
    host: str = ""
    code: str = ""
    state: str = ""
    error: str = ""


async def silent(request: Request, asked: Pairs) -> Response:
    """Their silent sign-in, in a frame of the application's page: on to its own address with a code, or a
    message to that page that nobody is signed in.

    Across sites browsers send no SameSite=Lax cookie into a frame, so that there nobody ever is.
    """
    outcome = await _without_pages(request, asked)
    if outcome.origin is None or not outcome.error:
        return outcome.response
    return render(
        request,
        "silent.html",
        framed_by=outcome.origin,
        target=outcome.origin,
        outcome="user-not-logged-in",
    )


@spoken_to
async def popup(request: Request) -> Response:
    """Their sign-in in a window that the application has opened: a message to that page with a code, at
    once where nothing is to be asked."""
    asked = _but(request.state.asked, "response_mode")
    wanted = " ".join(value for name, value in asked if name == "prompt").split()
    # Who is to be asked in any case is not let past by the session that they have.
    quietly = asked if wanted in ([], ["none"]) else [*_but(asked, "max_age"), ("max_age", "0")]
    outcome = await _without_pages(request, quietly)
    if outcome.origin is None:
        return outcome.response
    channel = make_secret(engine_of(request).random)
    onward = [*asked, ("response_mode", WINDOW), (CHANNEL, channel)]
    return render(
        request,
        "popup.html",
        opened=True,
        host=outcome.host,
        target=outcome.origin,
        channel=channel,
        code=outcome.code,
        state=outcome.state,
        waits=outcome.error in _STEPS and wanted != ["none"],
        onward=f"{AUTHORIZE}?{urlencode(onward)}",
    )


def _but(asked: Pairs, name: str) -> Pairs:
    return [pair for pair in asked if pair[0] != name]


async def _without_pages(request: Request, asked: Pairs) -> _Outcome:
    query = urlencode([*_but(asked, "prompt"), ("prompt", "none")]).encode()
    inner = Request({**request.scope, "path": AUTHORIZE, "query_string": query}, request.receive)
    answer = await ask_authorization(inner)
    there = urlsplit(answer.headers.get("location", ""))
    # The OAuth door sends answers to registered addresses only.
    [origin] = host_target(there.scheme, there.netloc) or [""]
    if answer.status_code != 303 or not origin:
        return _Outcome(response=answer)
    told = parse_qs(there.query)
    return _Outcome(
        response=answer,
        origin=origin,
        host=there.netloc,
        code=told.get("code", [""])[-1],
        state=told.get("state", [""])[-1],
        error=told.get("error", [""])[-1],
    )
