"""The order in which everything is taken over, and what all steps have in common.

A rehearsal takes the same steps and decides the same things; it only leaves out what would write.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from iam import audit
from iam.db import Database
from iam.directory.names import OrganizationMissing
from iam.directory.organizations import find_organization
from iam.kernel.clock import Clock
from iam.kernel.errors import Conflict, Unavailable
from iam.kernel.events import OPERATOR, Event
from iam.kernel.ids import EVENT, make_id
from iam.kernel.secrets import Random
from iam.keys.cipher import Cipher
from iam.moving.accounts import Tenant
from iam.moving.clients import Client
from iam.moving.findings import Finding, Reason, Report
from iam.moving.source import Counted, Source
from iam.sessions.model import BUILT_IN_ORGANIZATION
from iam.signin.passwords import Passwords

if TYPE_CHECKING:
    from iam.moving.take_providers import Known

Result = TypeVar("Result")


class NotStarted(Unavailable):
    """There is a database and nothing in it: the first start has not happened."""

    code = "installation_missing"
    title = "Nothing has been set up here yet. Start the server once, then import."


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What is asked for."""

    organizations: frozenset[str] | None = None
    """By their names there; None: all."""
    merge: bool = False
    """Whether users and applications may go into an organization that is here already."""
    signing_key: bool = True
    """Whether tokens are signed with their key from now on."""
    manage: bool = False
    """Whether applications with a good secret administer their organization at the Casdoor paths."""
    dry_run: bool = False
    allow_private: bool = False
    """Whether notices of logouts may go to private addresses."""
    workers: int = 1
    """How many passwords are hashed at once."""
    batch: int = 500
    """Users in one transaction."""


@dataclass(slots=True, kw_only=True)
class Move:
    """One run, and what it has found out so far."""

    source: Source
    database: Database
    passwords: Passwords
    cipher: Cipher
    clock: Clock
    random: Random
    options: Options
    advance: Callable[[int], None]
    """Told how many more users have been dealt with."""
    report: Report = field(default_factory=Report)
    tenants: dict[str, Tenant] = field(default_factory=dict)
    """Organizations that are taken over or were, by what they are called there."""
    earlier: set[str] = field(default_factory=set)
    """Those of the tenants that an earlier run took over."""
    known_providers: dict[str, dict[str, "Known | None"]] = field(default_factory=dict)
    """By organization and type, whom users' fields are about (`take_links`)."""
    clients: list[Client] = field(default_factory=list)
    """Applications that are taken over or were."""

    def wants(self, organization: str) -> bool:
        """Whether an organization, by what it is called there, is asked for."""
        wanted = self.options.organizations
        return wanted is None or organization in wanted

    def write(self, work: Callable[[Connection], Result]) -> None:
        """Do this in one transaction, unless it is a rehearsal.

        Raises:
            Conflict: somebody has just taken a name here that was free.
        """
        if self.options.dry_run:
            return
        try:
            self.database.write(work)
        except IntegrityError as error:
            raise Conflict(
                "Somebody has just added the same here. Run it again: it goes on."
            ) from error

    def note(self, connection: Connection, type_: str, members: Iterable[dict[str, Any]]) -> None:
        """Write events of one type, in the transaction of what they tell of."""
        now = self.clock()
        audit.append(
            connection,
            [
                Event(
                    id=make_id(EVENT, now, self.random), at=now, type=type_, actor=OPERATOR, **one
                )
                for one in members
            ],
        )


def move_in(move: Move, counted: Counted) -> Report:
    """Take everything over that is asked for; answer what became of it.

    Raises:
        NotStarted: the first start has not happened here.
        SourceUnreadable: it broke off; whatever was written is whole, and the next run goes on.
    """
    from iam.moving.take_certs import take_certs
    from iam.moving.take_clients import read_clients, take_clients
    from iam.moving.take_providers import take_providers
    from iam.moving.take_tenants import take_tenants
    from iam.moving.take_users import take_users

    try:
        move.database.look(lambda c: find_organization(c, BUILT_IN_ORGANIZATION))
    except OrganizationMissing as error:
        raise NotStarted from error
    move.report.unread = dict(counted.unread)
    if counted.sessions:
        move.report.add_all(
            "session", counted.sessions, "refused", Finding(None, Reason.COOKIES_OF_THEIRS)
        )
    found = read_clients(move)
    take_tenants(move, found)
    take_clients(move, found)
    take_providers(move)
    take_certs(move)
    take_users(move)
    return move.report
