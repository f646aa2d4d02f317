"""The gate: what a reverse proxy or a back end asks "is this session good?".

Owns: the questions and their answers, the way from a host behind the gate to the sign-in page and
back with a one-time code, and the cookie on the application's own host.
Does not own: the verdict on a session (`sessions.validate`), which application a host belongs to
(`directory.applications`), codes and entering (`signin`).
Hands to: nobody; it is a door.
"""

from iam.gate.doors import HOT_PATHS, door_at
from iam.gate.enter import routes
from iam.gate.hot import Gate, hot_path
from iam.gate.protocol import STATE_KEY, GateProtocol

__all__ = ["HOT_PATHS", "STATE_KEY", "Gate", "GateProtocol", "door_at", "hot_path", "routes"]
