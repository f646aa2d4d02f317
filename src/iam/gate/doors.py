"""The gate's addresses: one for each kind of proxy, with what that proxy tells and how it takes an answer.

Which headers a door reads is what keeps clients from speaking in their proxy's name: each door reads
only what its proxy writes itself at every request, over whatever a client may have sent.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Door:
    """How one kind of proxy asks.

    Members:
        path: the address it asks at.
        host: the header that says which host is asked for.
        original_url: whether X-Original-URL and X-Original-URI are read as well: for a proxy whose
            configuration writes each header. Others hand on what a client sends under these names.
        continues: whether the original path, query and method are the question's own, behind `path`.
        to_browser: whether a refusal reaches the browser as it is, so that it can lead to sign-in.
        as_json: whether the answer has the session as its body.
        to_anybody: whether also somebody may ask who is no proxy that is believed.
    """

    path: str
    host: bytes = b"x-forwarded-host"
    original_url: bool = False
    continues: bool = False
    to_browser: bool = False
    as_json: bool = False
    to_anybody: bool = False


NGINX = Door("/gate/nginx", original_url=True)
CHECK = Door("/gate/check", original_url=True, as_json=True, to_anybody=True)
TRAEFIK = Door("/gate/traefik", to_browser=True)
CADDY = Door("/gate/caddy", to_browser=True)
# Envoy keeps Host and, unlike the others, writes no X-Forwarded-Host: that one would be the client's.
ENVOY = Door("/gate/envoy", host=b"host", continues=True, to_browser=True)

DOORS = (NGINX, CHECK, TRAEFIK, CADDY, ENVOY)
HOT_PATHS = frozenset(door.path + ("/{path}" if door.continues else "") for door in DOORS)
"""The addresses as documents write them."""

_WHOLE = {door.path: door for door in DOORS if not door.continues}
_BEFORE = {door.path + "/": door for door in DOORS if door.continues}


def door_at(path: str) -> Door | None:
    """The door at this path; None if it is no question to the gate."""
    door = _WHOLE.get(path)
    if door is None and path.startswith("/gate/"):
        door = next((_BEFORE[start] for start in _BEFORE if path.startswith(start)), None)
    return door
