"""Their switches for sessions, as knobs of our policy: of an application, and of an organization.

`enableExclusiveSignin` is `exclusive`; `maxSessions` is `maximum_sessions` of an application, and of an
organization `maximum_user_sessions`. 0 and false leave the knob to the other layers.
"""

from collections.abc import Mapping
from typing import Any

from iam.hanzo.errors import Refused
from iam.sessions.knobs import MOST, Value
from iam.sessions.policy import LayerName

EXCLUSIVE, MAXIMUM = "enableExclusiveSignin", "maxSessions"
MEMBERS = (EXCLUSIVE, MAXIMUM)
"""Members of an application or organization that are not kept but turned."""


def turned_by(members: Mapping[str, Any], kind: LayerName) -> dict[str, Value]:
    """The knobs that an object of this kind turns, by name; those that it does not mention stay.

    Raises:
        Refused: a switch that is none, or a number that no policy has.
    """
    turned: dict[str, Value] = {}
    if EXCLUSIVE in members:
        wanted = members[EXCLUSIVE]
        if not isinstance(wanted, bool):
            raise Refused(f"{EXCLUSIVE} must be true or false.")
        turned["exclusive"] = wanted or None
    if MAXIMUM in members:
        most = members[MAXIMUM]
        if isinstance(most, bool) or not isinstance(most, int) or not 0 <= most <= MOST:
            raise Refused(f"{MAXIMUM} must be a number from 0 to {MOST}.")
        knob = "maximum_user_sessions" if kind == "organization" else "maximum_sessions"
        turned[knob] = most or None
    return turned
