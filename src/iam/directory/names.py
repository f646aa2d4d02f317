"""Names: the form of what organizations, applications and users are called, and its errors."""

import re

from iam.kernel.errors import Conflict, Invalid, Missing
from iam.languages import _

# Names stand in paths, headers and logs: no slash, no space, no control character, no upper case
# that would make two names look like one.
NAME_PATTERN = r"^[a-z0-9][a-z0-9._-]{0,62}$"
# People's names for users are often their mail addresses.
USER_NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._@+-]{0,126}$"
_NAME = re.compile(NAME_PATTERN, re.ASCII)
_USER_NAME = re.compile(USER_NAME_PATTERN, re.ASCII)
# Joined by commas in the gate's header: ASCII, and no comma.
ROLE_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,62}$"


class NameInvalid(Invalid):
    """A name has a form that names do not have."""

    code = "name_invalid"
    title = "This name cannot be used."


class NameTaken(Conflict):
    """Another one already has this name."""

    code = "name_taken"
    title = "This name is taken."


class OrganizationMissing(Missing):
    """There is no such organization, or not for this caller."""

    code = "organization_not_found"
    title = "There is no such organization."


class ApplicationMissing(Missing):
    """There is no such application, or not for this caller."""

    code = "application_not_found"
    title = "There is no such application."


class UserMissing(Missing):
    """There is no such user, or not for this caller."""

    code = "user_not_found"
    title = "There is no such user."


class HostTaken(Conflict):
    """The gate already answers for another application there."""

    code = "gate_host_taken"
    title = "Another application answers on this host."


class Reserved(Conflict):
    """What the server itself needs cannot be deleted, disabled or made a second time."""

    code = "reserved"
    title = "This belongs to the server itself."


def check_name(name: str) -> str:
    """`name`, if an organization or application may have it.

    Raises:
        NameInvalid: it is not 1 to 63 of `a-z 0-9 . _ -`, beginning with a letter or digit.
    """
    if not _NAME.fullmatch(name):
        raise NameInvalid(
            _("Use 1 to 63 of a-z, 0-9, '.', '_' and '-', beginning with a letter or digit.")
        )
    return name


def check_user_name(name: str) -> str:
    """`name`, if a user may have it.

    Raises:
        NameInvalid: it is not 1 to 127 of letters, digits and `. _ @ + -`.
    """
    if not _USER_NAME.fullmatch(name):
        raise NameInvalid(_("Use 1 to 127 letters, digits and '.', '_', '@', '+', '-'."))
    return name
