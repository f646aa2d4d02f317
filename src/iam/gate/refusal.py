"""No, in the words of each proxy: a status for nginx, the way to sign in for a browser, a problem for a
program.

Nothing here is read from a template or a file: a flood of refusals must cost no more than one of answers.
"""

from urllib.parse import quote

from starlette.responses import Response

from iam.gate.asked import Asked, language_in, navigates, page_of
from iam.gate.doors import Door
from iam.gate.page import gate_page
from iam.kernel.errors import Forbidden, IamError, Unauthenticated, Unavailable
from iam.languages import ENGLISH, _, gettext, preferred, speaking
from iam.settings import Settings
from iam.web.problems import problem, problem_of, status_of

WAYS = "/.iam/"
"""What begins with it on an application's host is the way in and out, and ours."""


class HostRequired(Forbidden):
    """The proxy does not say which host it asks for, so nobody can be let in there."""

    code = "host_required"
    title = "The proxy must send X-Forwarded-Host (or X-Original-URL)."


class HostUnknown(Forbidden):
    """No enabled application has this host among its gate hosts."""

    code = "gate_host_unknown"
    title = "No application answers on this host."


class ApplicationWrong(Forbidden):
    """The session is good, but of another application than the one on this host."""

    code = "wrong_application"
    title = "This session is of another application."


class ProxyUnknown(Forbidden):
    """Who asks is neither on this machine nor among the proxies that are believed."""

    code = "proxy_not_trusted"
    title = "This proxy is not believed: add its address to IAM_TRUSTED_PROXIES."


class WayInGuarded(Forbidden):
    """The proxy asks about the way in itself: whoever is sent there would be sent there for ever."""

    code = "way_in_guarded"
    title = "The proxy must hand /.iam/ to the identity server without asking the gate."


def refusal(
    door: Door, asked: Asked, host: str | None, error: IamError, settings: Settings
) -> Response:
    """The answer to a question whose answer is no.

    Args:
        door, asked: where and what was asked.
        host: the application's host; None if it is not known.
        error: why not.
        settings: for the address to sign in at.
    """
    leads = door.to_browser and navigates(door, asked)
    if host is None or not isinstance(error, Unauthenticated):
        return _page(error, asked, settings) if leads else _problem(error)
    page = page_of(door, asked, host, settings)
    if page.path.startswith(WAYS):
        guarded = WayInGuarded()
        return _page(guarded, asked, settings) if leads else _problem(guarded)
    if door.to_browser and not leads:
        # What a script asked for is no page to come back to.
        page = page._replace(path="/")
    address = f"{settings.issuer}/gate/enter?rd={quote(page.url, safe='')}"
    if leads:
        return Response(status_code=302, headers={"location": address, "cache-control": "no-store"})
    answer = problem_of(error)
    answer.headers["x-iam-sign-in"] = address
    if not door.to_browser:
        answer.headers["location"] = address
    return answer


def _problem(error: IamError) -> Response:
    if isinstance(error, Unavailable):
        # The operator reads why in the log; the caller learns nothing of the inside.
        return problem(status_of(error), error.code, error.title)
    return problem_of(error)


def _page(error: IamError, asked: Asked, settings: Settings) -> Response:
    """For a person, whom the proxy shows it to."""
    # A catalog is read once: what comes after costs no more than it did.
    with speaking(preferred(language_in(asked.headers)) or ENGLISH):
        links: tuple[tuple[str, str], ...] = ()
        text = _("You have not been let in. Whoever runs this site can look up the code below.")
        if isinstance(error, ApplicationWrong):
            text = _("You have not been let in. Sign out here, and then in again.")
            links = ((f"{WAYS}sign-out", _("Sign out here")),)
        elif isinstance(error, Unavailable):
            text = _("You have not been let in. Try again in a moment.")
        title = gettext(error.title)
        return gate_page(settings, status_of(error), title, text, links=links, code=error.code)
