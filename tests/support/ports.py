"""Free ports on 127.0.0.1."""

import random
import socket

# Below 32768 the kernel gives no port to an outgoing connection, so a port that is found free here is
# not lost to some client between the look and the server's own bind. Each process starts elsewhere.
_FIRST, _LAST = 15000, 32000
_next = random.SystemRandom().randrange(_FIRST, _LAST)


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on, and that this process has not handed out lately."""
    global _next
    for _ in range(_LAST - _FIRST):
        port, _next = _next, _next + 1 if _next + 1 < _LAST else _FIRST
        with socket.socket() as probe:
            # As servers do: a connection that is still winding down does not make the port taken.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError("no free port on 127.0.0.1")
