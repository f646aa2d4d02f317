"""The paths of Hanzo IAM and Casdoor: what their clients send, in our terms, and what they expect back.

Owns: the envelope, the verbs, the names and shapes of objects as those clients know them.
Does not own: any rule. Sessions, sign-in, tokens and objects are those of the other doors, which this
package translates to (`sessions`, `signin`, `oidc`, `saml`, `directory`).
Hands to: `server`, which serves `door`.
"""

import re

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from iam.hanzo import (
    account_verbs,
    application_changes,
    application_verbs,
    cert_verbs,
    kept_verbs,
    mfa_verbs,
    oauth,
    object_nouns,
    organization_verbs,
    password_verbs,
    provider_verbs,
    record_verbs,
    role_verbs,
    saml_sign_in,
    session_nouns,
    session_verbs,
    sign_in,
    signing_out,
    token_verbs,
    unspoken_verbs,
    user_changes,
    user_verbs,
)
from iam.hanzo.envelope import Reply, envelope, json_answer, refused
from iam.hanzo.messages import language_of
from iam.hanzo.verbs import Verb, routes_of
from iam.kernel.errors import IamError
from iam.web.engine import Engine
from iam.web.problems import on_crash

VERBS: tuple[Verb, ...] = (
    *session_verbs.VERBS,
    *session_nouns.VERBS,
    *sign_in.VERBS,
    *signing_out.VERBS,
    *account_verbs.VERBS,
    *user_verbs.VERBS,
    *user_changes.VERBS,
    *password_verbs.VERBS,
    *mfa_verbs.VERBS,
    *organization_verbs.VERBS,
    *application_verbs.VERBS,
    *application_changes.VERBS,
    *provider_verbs.VERBS,
    *cert_verbs.VERBS,
    *token_verbs.VERBS,
    *record_verbs.VERBS,
    *role_verbs.VERBS,
    *kept_verbs.VERBS,
    *object_nouns.VERBS,
    *unspoken_verbs.VERBS,
)
"""Everything that stands under `/api/` and `/v1/iam/` and answers in the envelope."""

_PATHS = re.compile(
    r"/(?:api|v1/iam|login|signup|users)(?:/.*)?|/oauth/refresh"
    # Two of these are the OAuth door's own.
    r"|/\.well-known/(?!openid-configuration$|oauth-authorization-server$).*",
    re.ASCII | re.DOTALL,
)


def answers(path: str) -> bool:
    """Whether this path is one of ours."""
    return _PATHS.fullmatch(path) is not None


def routes() -> list[BaseRoute]:
    """The door's routes."""
    return [*routes_of(*VERBS), *oauth.routes(), *saml_sign_in.routes()]


def door(engine: Engine) -> ASGIApp:
    """What answers every path for which `answers` says so."""
    app = Starlette(
        routes=routes(),
        exception_handlers={
            IamError: _on_error,
            HTTPException: _on_http_error,
            Exception: _on_bug,
        },
    )
    app.state.engine = engine
    return app


def _on_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, IamError)  # noqa: S101 - what it is registered for
    return refused(error, language_of(request))


def _on_http_error(request: Request, error: Exception) -> Response:
    """No such path, another method, a body that is too large: with their HTTP status."""
    assert isinstance(error, HTTPException)  # noqa: S101 - what it is registered for
    words = str(error.detail)
    if error.status_code == 404:
        # Of all that Casdoor has, an SDK may ask for what is none of a session's server.
        verb = request.url.path.rpartition("/")[2][:64]
        words = f"There is no verb {verb} here."
    body = envelope(Reply(), status="error", msg=words)
    return json_answer(body, error.status_code, error.headers)


def _on_bug(request: Request, error: Exception) -> Response:
    on_crash(request, error)
    words = "Something went wrong on our side. It has been logged."
    return json_answer(envelope(Reply(), status="error", msg=words), 500)
