"""Applications as callers that come by the thousand: what proves them, read anew for each call."""

from typing import NamedTuple

from sqlalchemy import select

from iam.db import Database, DatabaseUnavailable
from iam.db.tables import application, organization
from iam.kernel.ids import is_client_id
from iam.kernel.secrets import proves
from iam.sessions.model import BUILT_IN_APPLICATION
from iam.sessions.reader import Question, Reader, open_reader


class Caller(NamedTuple):
    """What is read of an application by its client ID."""

    client_id: str
    organization: str
    name: str
    secret_hash: bytes | None
    method: str | None
    """`ClientSettings.token_endpoint_auth_method`."""
    resources: list[str]
    manages_organization: bool
    enabled: bool
    organization_enabled: bool

    def proves_itself(self, secret: str) -> bool:
        """Whether it is open and this its secret, which it may send in the header."""
        return (
            self.method in (None, "client_secret_basic")
            and proves(secret, self.secret_hash)
            and self.enabled
            and self.organization_enabled
            and self.name != BUILT_IN_APPLICATION
        )


_COLUMNS = (
    application.c.client_id,
    application.c.organization,
    application.c.name,
    application.c.secret_hash,
    application.c.token_endpoint_auth_method,
    application.c.resources,
    application.c.manages_organization,
    application.c.enabled,
    organization.c.enabled,
)
_BOTH = application.join(organization, organization.c.name == application.c.organization)
CALLERS = Question[Caller]("iam_read_callers", select(*_COLUMNS).select_from(_BOTH), Caller._make)
"""Callers by their client ID."""


class Callers:
    """Finds callers. Belongs to one event loop; its connection is opened for the first of them."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._reader: Reader[Caller] | None = None

    async def proven(self, client_id: str, secret: str) -> Caller | None:
        """The application that these credentials prove; None if they prove none, or none can be read now:
        whoever has to say which of them reads it in another way."""
        # What no statement can hold would break it for all who share it.
        if not is_client_id(client_id):
            return None
        try:
            if self._reader is None:
                self._reader = open_reader(self._database, CALLERS, connections=1)
            caller = await self._reader.read(client_id)
        except DatabaseUnavailable:
            return None
        return caller if caller is not None and caller.proves_itself(secret) else None

    async def close(self) -> None:
        """Give the connection back."""
        if self._reader is not None:
            await self._reader.close()
