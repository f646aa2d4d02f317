"""Applications as callers that come by the thousand: what proves them, read anew for each call."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from iam.kernel.secrets import proves
from iam.sessions.model import BUILT_IN_APPLICATION
from iam.sessions.reader import Question, from_json


class Caller(NamedTuple):
    """What is read of an application by its client ID."""

    client_id: str
    organization: str
    name: str
    secret_hash: bytes | None
    method: str | None
    """`ClientSettings.token_endpoint_auth_method`."""
    resources: list[str]
    enabled: bool
    organization_enabled: bool

    def proves_itself(self, secret: str) -> bool:
        """Whether it is open and this its secret, which it may send in the header."""
        return (
            self.method in (None, "client_secret_basic")
            and proves(secret, self.secret_hash)
            and bool(self.enabled and self.organization_enabled)
            and self.name != BUILT_IN_APPLICATION
        )


def _caller(columns: Sequence[Any]) -> Caller:
    caller = Caller._make(columns)
    return caller._replace(resources=from_json(caller.resources))


CALLERS = Question[Caller](
    "iam_read_callers",
    "SELECT a.client_id, a.organization, a.name, a.secret_hash, a.token_endpoint_auth_method,"
    " a.resources, a.enabled, o.enabled"
    " FROM application AS a JOIN organization AS o ON o.name = a.organization WHERE a.client_id",
    _caller,
)
"""Callers by their client ID."""
