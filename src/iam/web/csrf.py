"""Forgery of requests: a form's answer counts only if it comes from our own page in that browser.

Two independent checks. The hidden field is an HMAC under the cookie's value, which no other site can
read; and a browser that says where the request comes from must name our own origin.
"""

import base64
import hmac
from hashlib import sha256

from starlette.requests import Request

from iam.kernel.errors import Forbidden
from iam.settings import Settings


class ForgerySuspected(Forbidden):
    """The form did not come from our page in this browser (or the page is old)."""

    code = "csrf_failed"
    title = "This form is no longer valid. Go back, reload the page and try again."


def csrf_token(cookie: str) -> str:
    """The hidden field `csrf` for pages shown to the holder of this cookie."""
    digest = hmac.new(cookie.encode(), b"csrf", sha256).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")


def check_csrf(request: Request, settings: Settings, cookie: str | None, field: str | None) -> None:
    """Refuse a state-changing request that our own page did not send.

    Raises:
        ForgerySuspected: no cookie, another field, or another origin.
    """
    check_origin(request, settings)
    if (
        not cookie
        or not field
        or not hmac.compare_digest(csrf_token(cookie).encode(), field.encode("utf-8", "replace"))
    ):
        raise ForgerySuspected


def check_origin(request: Request, settings: Settings) -> None:
    """Refuse what a browser says another site sent. Silence is accepted: programs do not say.

    Raises:
        ForgerySuspected: the request names another origin, or another site.
    """
    origin = request.headers.get("origin")
    if origin is not None and origin not in (settings.issuer, own_origin(request)):
        raise ForgerySuspected
    if request.headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
        raise ForgerySuspected


def own_origin(request: Request) -> str:
    """The origin this request was sent to, by its own Host header (a page served there may post)."""
    return f"{request.url.scheme}://{request.headers.get('host', '')}"
