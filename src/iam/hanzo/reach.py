"""Who may do what: the object that is acted on is the object that is checked.

Their servers check what the query names and act on what the body names. Here nothing but the object itself
counts, and what is out of a caller's reach is refused in the same words whether it exists or not.

| caller | reaches |
|---|---|
| administrator of `built-in` | everything |
| administrator of another organization | that organization |
| user | their own sessions |
| application | its own sessions |
| application that manages its organization | what an administrator there does |
"""

from dataclasses import dataclass

from iam.hanzo.call import Call
from iam.kernel.errors import Forbidden, Unauthenticated
from iam.sessions.model import BUILT_IN_ORGANIZATION, RecordKey
from iam.web.caller import Client
from iam.web.fresh import AuthenticationStale
from iam.web.returning import sign_in_address
from iam.web.rights import Right


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """The sessions that there are for a caller. None: no bound."""

    organization: str | None
    user: str | None = None
    application: str | None = None

    def covers(self, key: RecordKey) -> bool:
        """Whether the sessions of this user and application are within it."""
        mine = (self.organization, self.user, self.application)
        return all(bound in (None, value) for bound, value in zip(mine, key, strict=True))


def reach_of(call: Call) -> Reach:
    """The reach of whoever calls.

    Raises:
        Unauthenticated: nobody does.
    """
    caller = call.caller
    if administers_installation(call):
        return Reach(organization=None)
    if administers(call, call.home):
        return Reach(organization=call.home)
    if isinstance(caller, Client):
        return Reach(organization=call.home, application=caller.name)
    return Reach(organization=call.home, user=caller.session.user)


def require_reach(call: Call, key: RecordKey) -> None:
    """Let only those pass for whom the sessions of this user and application exist.

    Raises:
        Unauthenticated, Forbidden: they do not.
    """
    if not reach_of(call).covers(key):
        raise Forbidden


def require_caller(call: Call) -> None:
    """Let anybody pass who calls with good credentials.

    Raises:
        Unauthenticated: nobody does.
    """
    if call.shown.caller is None:
        raise Unauthenticated


def administers_installation(call: Call) -> bool:
    """Whether the caller administers every organization."""
    caller = call.caller
    if isinstance(caller, Client):
        return caller.manages_organization and call.home == BUILT_IN_ORGANIZATION
    return caller.administers_installation and _freshly(call)


def administers(call: Call, organization: str) -> bool:
    """Whether the caller administers this organization."""
    if administers_installation(call):
        return True
    caller = call.caller
    if call.home != organization:
        return False
    if isinstance(caller, Client):
        return caller.manages_organization
    return Right.CHANGE in caller.rights and _freshly(call)


def require_administrator(call: Call, organization: str | None) -> None:
    """Let only those pass who administer this organization; None: the whole installation.

    Raises:
        Unauthenticated, Forbidden: the caller does not. Whether there is such an organization is not said.
    """
    able = (
        administers_installation(call) if organization is None else administers(call, organization)
    )
    if not able:
        raise Forbidden


def _freshly(call: Call) -> bool:
    """What the console and the API ask of a browser is asked of it here too: else whoever finds it unattended
    calls this one instead.

    Raises:
        AuthenticationStale: an administrator's browser wants a change, and they signed in too long ago.
    """
    if call.stale:
        raise AuthenticationStale(sign_in_address("/console", prompt="login"))
    return True
