"""Which members of an object are only kept: neither those that we decide, nor secrets.

A secret that nothing here checks would only wait to be stolen: it is dropped where it comes in.
"""

import re
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from iam.directory.legacy import Kind, keep_members, read_members
from iam.hanzo.objects import MASK

_SECRET = re.compile(r"(?:secret\d*|private_?key|password|passphrase|salt)$", re.IGNORECASE)
_SWITCH = re.compile(r"(?:enable|disable|need|is|has|use)[A-Z]", re.ASCII)

NEVER_KEPT: Mapping[Kind, frozenset[str]] = {
    "user": frozenset(
        {
            *("passwordType", "hash", "preHash", "accessKey", "accessToken", "idToken"),
            *("originalToken", "originalRefreshToken", "recoveryCodes", "mfaAccounts"),
            *("managedAccounts", "webauthnCredentials", "faceIds"),
            # What is true of them at a moment is not a client's to say.
            *("isOnline", "multiFactorAuths", "preferredMfaType", "mfaPhoneEnabled"),
            *("mfaEmailEnabled", "mfaRememberDeadline"),
        }
    ),
    "organization": frozenset(
        {"masterVerificationCode", "passwordObfuscatorKey", "kerberosKeytab"}
    ),
    "application": frozenset({"registrationAccessToken", "certObj", "organizationObj"}),
    "provider": frozenset({"clientSecret2", "cert"}),
    "cert": frozenset({"accessKey"}),
    "token": frozenset(
        {
            *("code", "codeChallenge", "accessToken", "refreshToken", "idToken"),
            *("accessTokenHash", "refreshTokenHash", "idTokenHash"),
        }
    ),
    "role": frozenset(),
    "group": frozenset(),
    "permission": frozenset(),
}


def is_kept(kind: Kind, name: str, shown: Mapping[str, Any]) -> bool:
    """Whether a member is kept of an object that shows these members as its own."""
    if name in shown or name in NEVER_KEPT[kind]:
        return False
    return not is_secret(name)


def is_secret(name: str) -> bool:
    """Whether a member of this name holds a secret."""
    return bool(_SECRET.search(name)) and not _SWITCH.match(name)


def change_kept(
    connection: Connection,
    kind: Kind,
    organization: str,
    name: str,
    given: Mapping[str, Any],
    shown: Mapping[str, Any],
) -> bool:
    """Keep what these members say that is only kept, beside what was kept before; answer whether that made
    a difference.

    Args:
        shown: the members that the object shows as its own, whatever is kept.

    Raises:
        MembersTooLarge: it would be too much.
    """
    before = read_members(connection, kind, organization, name)
    # What is masked where it is read is sent back as the mask, and means: leave it.
    more = {
        one: value for one, value in given.items() if is_kept(kind, one, shown) and value != MASK
    }
    after = {**before, **more}
    if after == before:
        return False
    keep_members(connection, kind, organization, name, after)
    return True
