"""What people are told when a provider did not sign them in, with the way back to where they began."""

from collections.abc import Awaitable, Callable
from typing import Concatenate, ParamSpec
from urllib.parse import urlencode

import structlog
from starlette.requests import Request
from starlette.responses import Response

from iam.delivery.fetch import FetchFailed
from iam.delivery.provider_addresses import ProviderUrlRefused
from iam.directory.providers import Provider
from iam.kernel.errors import Forbidden, IamError
from iam.languages import N_, _, gettext
from iam.oidc.upstream.endpoints import AnswerRefused
from iam.oidc.upstream.journey import WAYS, Journey
from iam.sessions.limits import SessionLimit
from iam.signin.federation import FederationRefused
from iam.web.engine import engine_of
from iam.web.pages import error_page
from iam.web.problems import status_of
from iam.web.returning import HOME

Rest = ParamSpec("Rest")
Step = Callable[Concatenate[Request, Provider, Journey, Rest], Awaitable[Response]]
_log = structlog.get_logger("iam.upstream")
# RFC 6749 §4.1.2.1, OpenID Connect Core §3.1.2.6. What else an error says is not repeated to anybody.
_ERRORS = {
    "login_required": N_("You are not signed in there."),
    "interaction_required": N_(
        "It has something to ask you. Go there and sign in, then try again."
    ),
    "account_selection_required": N_("Choose there which account it is to be, then try again."),
    "consent_required": N_("It needs your consent before it says who you are."),
    "temporarily_unavailable": N_("It is not available right now. Try again in a moment."),
    "server_error": N_("Something went wrong there. Try again in a moment."),
}
_REFUSED = N_("It refused the request. Tell your administrator if it goes on so.")


class ProviderFailed(Forbidden):
    """A provider has answered that it did not sign somebody in."""

    code = "provider_error"
    title = "The provider did not sign you in."


def failed_with(error: str) -> ProviderFailed:
    """A provider's own error, in words."""
    return ProviderFailed(gettext(_ERRORS.get(error, _REFUSED)))


def way_back(provider: Provider, journey: Journey, **more: str) -> str:
    """The page where somebody began, with what they wanted."""
    if journey.link is not None:
        return f"{WAYS}?{urlencode(more)}" if more else WAYS
    query = {"application": journey.application, **more}
    if journey.return_to != HOME:
        query["return_to"] = journey.return_to
    carried = {name: value for name, value in query.items() if value}
    path = f"/sign-in/{provider.organization}"
    return f"{path}?{urlencode(carried)}" if carried else path


def journey_errors(step: Step[Rest]) -> Step[Rest]:
    """Have what goes wrong on a journey be told in words, with the way back."""

    async def answer(
        request: Request,
        provider: Provider,
        journey: Journey,
        /,
        *args: Rest.args,
        **kwargs: Rest.kwargs,
    ) -> Response:
        try:
            return await step(request, provider, journey, *args, **kwargs)
        except _TOLD as error:
            if journey.link is None:
                engine_of(request).metrics.sign_ins["failed"] += 1
            _log.warning(
                "provider", provider=provider.id, code=error.code, detail=str(error.detail)
            )
            return _told(request, provider, journey, error)

    return answer


_TOLD = (
    AnswerRefused,
    FederationRefused,
    FetchFailed,
    ProviderFailed,
    ProviderUrlRefused,
    SessionLimit,
)


def _told(request: Request, provider: Provider, journey: Journey, error: IamError) -> Response:
    name = provider.display_name
    if isinstance(error, FetchFailed):
        title = _("%(name)s does not answer", name=name)
        text = _("Try again in a moment, or sign in another way.")
    elif isinstance(error, ProviderUrlRefused):
        title = _("%(name)s cannot be asked", name=name)
        text = _("Tell your administrator, or sign in another way.")
    elif isinstance(error, SessionLimit):
        title = gettext(error.title)
        text = _("Sign out somewhere else first, or ask your administrator.")
    elif isinstance(error, ProviderFailed):
        title, text = _("%(name)s did not sign you in", name=name), error.detail or ""
    else:
        title, text = gettext(error.title), error.detail or ""
    return error_page(
        request,
        status_of(error),
        title,
        text,
        error.code,
        way_on=(
            way_back(provider, journey),
            _("Back to your ways in") if journey.link is not None else _("Back to sign-in"),
        ),
    )
