"""What a page's `form-action` must allow for a form whose answer leads to an application's address.

Chromium holds the whole chain of redirects after a form against it, and the chain ends at the
application. Only what is registered can be reached by it anyway.
"""

import re
from urllib.parse import urlsplit

from iam.settings import is_loopback

_HOST = re.compile(r"[A-Za-z0-9.-]+(?::[0-9]{1,5})?", re.ASCII)
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*", re.ASCII)


def host_target(scheme: str, host: str) -> tuple[str, ...]:
    """The source expression of this host (and port); none if it could break out of the header."""
    return (f"{scheme}://{host}",) if _HOST.fullmatch(host) else ()


def uri_targets(uri: str) -> tuple[str, ...]:
    """The source expressions that let a form lead on to this registered address."""
    parts = urlsplit(uri)
    if parts.scheme not in ("http", "https"):
        return (f"{parts.scheme}:",) if _SCHEME.fullmatch(parts.scheme) else ()
    found = host_target(parts.scheme, parts.netloc)
    if found and parts.scheme == "http" and is_loopback(parts.hostname or ""):
        return (*found, f"http://{parts.hostname}:*")  # a native app's port is any
    return found
