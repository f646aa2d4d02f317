"""The page that posts a message to a provider: by itself where scripts run, else by its button."""

import re
from collections.abc import Mapping, Sequence

from starlette.requests import Request
from starlette.responses import Response

from iam.web.pages import render

_PLAIN = re.compile(r"https?://[A-Za-z0-9._~:/@!$&()*+=%\[\]-]+", re.ASCII)


def post_page(
    request: Request,
    url: str,
    fields: Mapping[str, str],
    name: str,
    onward: Sequence[str] = (),
) -> Response:
    """A form for this address, which has been checked. `name`: what the application is called, "" if it is
    not known;
    `onward`: what else its answer may lead to."""
    response = render(
        request,
        "saml_post.html",
        form_targets=tuple(dict.fromkeys((form_target(url), *onward))),
        url=url,
        fields=fields,
        application_name=name,
    )
    response.headers["pragma"] = "no-cache"
    return response


def form_target(url: str) -> str:
    """What of an address a page's `form-action` names: all but its query, which has no place there; or
    only its origin, where the path has signs that mean something else in the header."""
    path = url.partition("?")[0]
    if _PLAIN.fullmatch(path):
        return path
    return "/".join(path.split("/", 3)[:3])
