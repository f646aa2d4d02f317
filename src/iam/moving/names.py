"""Names of theirs as names of ours: kept where that is possible, and else made alike."""

import re
import unicodedata

from iam.directory.names import NAME_PATTERN, ROLE_PATTERN, USER_NAME_PATTERN

_NAME = re.compile(NAME_PATTERN, re.ASCII)
_USER_NAME = re.compile(USER_NAME_PATTERN, re.ASCII)
_ROLE = re.compile(ROLE_PATTERN, re.ASCII)
_NOT_IN_NAMES = re.compile(r"[^a-z0-9._-]+", re.ASCII)
_NOT_IN_USER_NAMES = re.compile(r"[^A-Za-z0-9._@+-]+", re.ASCII)
_NOT_IN_ROLES = re.compile(r"[^A-Za-z0-9._:-]+", re.ASCII)


def name_for(theirs: str) -> str | None:
    """What an organization, an application or a provider is called here; None if nothing is left."""
    return _made(theirs, _NAME, _NOT_IN_NAMES, 63, lower=True)


def user_name_for(theirs: str) -> str | None:
    """What a user is called here; None if nothing is left."""
    return _made(theirs, _USER_NAME, _NOT_IN_USER_NAMES, 127)


def role_for(theirs: str) -> str | None:
    """What a role is called here; None if nothing is left."""
    return _made(theirs, _ROLE, _NOT_IN_ROLES, 63)


def _made(
    theirs: str,
    pattern: re.Pattern[str],
    others: re.Pattern[str],
    longest: int,
    *,
    lower: bool = False,
) -> str | None:
    if pattern.fullmatch(theirs):
        return theirs
    # Without its accents a letter is still readable: café is cafe, and not caf-.
    made = unicodedata.normalize("NFKD", theirs[: longest * 4])
    made = "".join(one for one in made if not unicodedata.combining(one))
    made = (
        others.sub("-", made.lower() if lower else made).strip("-._@+:")[:longest].rstrip("-._@+:")
    )
    return made if pattern.fullmatch(made) else None
