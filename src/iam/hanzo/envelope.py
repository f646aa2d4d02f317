"""The form of every answer: `{"status","msg","sub","name","data","data2","data3"}`, with HTTP 200.

Refusals that come before a handler (credentials, authorisation) carry only `status`, `msg`, `data` and
`data2`, as theirs do.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starlette.responses import JSONResponse, Response

from iam.hanzo.errors import CredentialsRefused, CurrentSession, MalformedBody, Told
from iam.hanzo.messages import Language, sentence
from iam.kernel.errors import (
    Forbidden,
    IamError,
    Throttled,
    Unauthenticated,
    Unavailable,
)
from iam.languages import gettext, speaking
from iam.sessions.limits import SessionLimit
from iam.sessions.validate import SessionLocked, SessionUnknown
from iam.signin.enrolment import EnrolmentInvalid
from iam.signin.factors import CodeWrong, FactorExists, FactorMissing
from iam.signin.password_sign_in import CredentialsInvalid
from iam.web.fresh import AuthenticationStale

AFFECTED, UNAFFECTED = "Affected", "Unaffected"

_HEADERS = {"cache-control": "no-store", "x-content-type-options": "nosniff"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A good answer. What is not set is null."""

    data: Any = None
    data2: Any = None
    data3: Any = None
    sub: str = ""
    name: str = ""


def affected(changed: bool) -> Reply:
    """What every write answers."""
    return Reply(data=AFFECTED if changed else UNAFFECTED)


def envelope(reply: Reply, *, status: str = "ok", msg: str = "") -> dict[str, Any]:
    """All members, in their order."""
    return {
        "status": status,
        "msg": msg,
        "sub": reply.sub,
        "name": reply.name,
        "data": reply.data,
        "data2": reply.data2,
        "data3": reply.data3,
    }


def respond(reply: Reply) -> Response:
    """A good answer as it is sent."""
    return json_answer(envelope(reply))


def json_answer(
    content: Any, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """JSON that no cache keeps."""
    return JSONResponse(content, status, headers={**_HEADERS, **(headers or {})})


def failed(msg: str, *, data: Any = None) -> Response:
    """A handler's refusal in so many words: HTTP 200, `status` `error`."""
    return json_answer(envelope(Reply(data=data), status="error", msg=msg))


_SENTENCES: tuple[tuple[type[IamError], str], ...] = (
    (CredentialsInvalid, "wrong_password"),
    (SessionLocked, "session_locked"),
    (EnrolmentInvalid, "begin_again"),
    (CodeWrong, "wrong_code"),
    (FactorExists, "factor_exists"),
    (FactorMissing, "factor_missing"),
    (Unauthenticated, "sign_in_first"),
    (AuthenticationStale, "sign_in_again"),
    (Forbidden, "denied"),
    (SessionLimit, "too_many_sessions"),
    (Unavailable, "unavailable"),
)
"""What is said of errors that come from elsewhere: the first that fits."""


def message_of(error: IamError, language: Language) -> str:
    """What `msg` says of an error."""
    match error:
        case CredentialsRefused():
            return sentence(error.sentence, language)
        case Told():
            return sentence(error.sentence, language, **error.values)
        case CurrentSession():
            return sentence("current_session", language, id=error.session_id)
        case Throttled():
            return sentence("too_many_attempts", language, seconds=error.retry_after)
    for kind, key in _SENTENCES:
        if isinstance(error, kind):
            return sentence(key, language)
    with speaking(language):
        return error.detail or gettext(error.title)


def refused(error: IamError, language: Language) -> Response:
    """The answer that an error is."""
    msg = message_of(error, language)
    if isinstance(error, (CredentialsRefused, Forbidden)):
        return json_answer({"status": "error", "msg": msg, "data": None, "data2": None})
    data = msg if _asks_to_sign_in(error) else None
    status, headers = 200, {}
    if isinstance(error, Unavailable):
        # Said to proxies and clients alike: try again. Theirs would break off.
        status, headers = 503, {"retry-after": "1"}
    elif isinstance(error, MalformedBody):
        status = 400
    elif isinstance(error, Throttled):
        headers = {"retry-after": str(error.retry_after)}
    return json_answer(envelope(Reply(data=data), status="error", msg=msg), status, headers)


def _asks_to_sign_in(error: IamError) -> bool:
    return isinstance(error, SessionUnknown) or type(error) is Unauthenticated
