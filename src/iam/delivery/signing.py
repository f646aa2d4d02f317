"""Signing by Standard Webhooks (https://www.standardwebhooks.com), symmetric: version `v1`.

A receiver verifies with any library of that standard, or in ten lines: docs/how-to/webhooks.md.
"""

import base64
import hashlib
import hmac

from iam.kernel.clock import Instant
from iam.kernel.secrets import Random

_PREFIX = "whsec_"
# The standard asks for 24 to 64 bytes.
_BYTES = 32


def make_webhook_secret(random: Random) -> str:
    """A new secret: `whsec_` and 256 random bits in base64."""
    return _PREFIX + base64.b64encode(random(_BYTES)).decode("ascii")


def signed_headers(secret: str, message: str, now: Instant, body: bytes) -> dict[str, str]:
    """The three headers that prove who sent `body`, and when.

    Args:
        message: the same at every attempt, so that a receiver can tell what it has had before.
    """
    timestamp = str(now // 1000)
    key = base64.b64decode(secret.removeprefix(_PREFIX))
    content = b".".join((message.encode(), timestamp.encode(), body))
    signature = base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode("ascii")
    return {
        "webhook-id": message,
        "webhook-timestamp": timestamp,
        "webhook-signature": f"v1,{signature}",
    }
