"""Whom a layer of policy is of: an organization, an application, a role or a user that there is."""

import re

from sqlalchemy import Connection

from iam.directory.applications import find_application
from iam.directory.names import ROLE_PATTERN
from iam.directory.organizations import find_organization
from iam.directory.users import find_user
from iam.kernel.errors import Invalid
from iam.sessions.policy import Layer


class RoleInvalid(Invalid):
    """No user can have a role of this name."""

    code = "role_invalid"
    title = "This is no name of a role."


def check_bearer(connection: Connection, layer: Layer) -> None:
    """See that there is whom this layer is of.

    Raises:
        OrganizationMissing, ApplicationMissing, UserMissing: there is not.
        RoleInvalid: no user could have this role. One that nobody has yet can have a policy.
    """
    if layer.kind != "installation":
        find_organization(connection, layer.organization)
    if layer.kind == "application":
        find_application(connection, layer.organization, layer.name)
    if layer.kind == "user":
        find_user(connection, layer.organization, layer.name)
    if layer.kind == "role" and not re.fullmatch(ROLE_PATTERN, layer.name, re.ASCII):
        raise RoleInvalid
