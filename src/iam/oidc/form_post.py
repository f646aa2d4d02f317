"""`response_mode=form_post`: the answer goes to the client as a form that the browser posts.

So a code stands in no address, which histories and logs keep. The page sends itself where scripts run;
elsewhere it has a button. And our own mode for sign-in in a window that was opened for it, where the answer
stays on a page of ours.
"""

from urllib.parse import parse_qsl, urlsplit

from starlette.requests import Request
from starlette.responses import Response

from iam.oidc.authorize_request import CHANNEL, FORM_POST, WINDOW
from iam.oidc.protocol import Answer, ProtocolRequest
from iam.oidc.token import respond
from iam.web.pages import render
from iam.web.targets import uri_targets


def answer_client(request: Request, asked: ProtocolRequest, answer: Answer) -> Response:
    """Send the client its answer in the way that it asked for (OAuth 2.0 Form Post Response Mode)."""
    mode = asked.parameters.get("response_mode")
    if answer.location is None or mode not in (FORM_POST, WINDOW):
        return respond(answer)
    # What Authlib has added to the address, which may have a query of its own, is the answer.
    redirect_uri = asked.parameters["redirect_uri"]
    own = len(_pairs(redirect_uri))
    if mode == WINDOW:
        told = dict(_pairs(answer.location)[own:])
        return render(
            request,
            "window.html",
            channel=asked.parameters.get(CHANNEL, ""),
            code=told.get("code", ""),
            state=told.get("state", ""),
        )
    return render(
        request,
        "form_post.html",
        form_targets=uri_targets(redirect_uri),
        action=redirect_uri,
        host=urlsplit(redirect_uri).netloc or redirect_uri,
        fields=_pairs(answer.location)[own:],
    )


def _pairs(uri: str) -> list[tuple[str, str]]:
    return parse_qsl(urlsplit(uri).query, keep_blank_values=True)
