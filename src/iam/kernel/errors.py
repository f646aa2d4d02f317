"""The one error tree.

A leaf lives beside the code that raises it and sets `code` (stable, part of the API), `title` (a
public sentence) and, where it helps, `detail`. The kinds below say what sort of mistake it is;
`iam.web.problems` alone knows which HTTP status a kind has.

    IamError
    ├── Invalid           the request cannot be understood or breaks a rule of form
    ├── Unauthenticated   nobody, or not who they claim to be
    ├── Forbidden         known, and not allowed
    ├── Missing           it does not exist, or not for this caller
    ├── Conflict          it contradicts what is stored
    ├── Throttled         too often; `retry_after` says when again
    └── Unavailable       a part that is needed is not there right now
"""

from collections.abc import Mapping
from typing import ClassVar


class IamError(Exception):
    """Base of every error a caller may see. Never raised itself."""

    code: ClassVar[str] = "error"
    title: ClassVar[str] = "Something is wrong with this request."

    def __init__(self, detail: str | None = None, **members: object) -> None:
        super().__init__(detail or self.title)
        self.detail = detail
        self.members: Mapping[str, object] = members


class Invalid(IamError):
    """The request is malformed or breaks a rule of form."""

    code = "invalid_request"
    title = "The request is not valid."


class Unauthenticated(IamError):
    """The caller has not shown who they are."""

    code = "authentication_required"
    title = "This needs a session or client credentials."


class Forbidden(IamError):
    """The caller is known and not allowed to do this."""

    code = "forbidden"
    title = "You may not do this."


class Missing(IamError):
    """It does not exist, or does not exist for this caller: the two look the same."""

    code = "not_found"
    title = "There is no such thing here."


class Conflict(IamError):
    """It contradicts what is stored."""

    code = "conflict"
    title = "This contradicts what is already there."


class Throttled(IamError):
    """Too many attempts. `retry_after` is in whole seconds, at least 1."""

    code = "too_many_attempts"
    title = "Too many attempts. Wait a little, then try again."

    def __init__(self, retry_after: int, detail: str | None = None) -> None:
        super().__init__(detail, retry_after=retry_after)
        self.retry_after = retry_after


class Unavailable(IamError):
    """A part that is needed (usually the database) does not answer."""

    code = "unavailable"
    title = "This is not available right now. Try again in a moment."
