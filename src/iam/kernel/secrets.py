"""Secrets: 256 random bits that prove possession, of which only the SHA-256 is ever stored.

A plain hash is enough because the input has full entropy: there is nothing to guess, so a slow
hash would only cost the honest. Passwords are another matter and live in `iam.signin.passwords`.
"""

import base64
import hmac
import re
import secrets as system_secrets
from collections.abc import Callable
from hashlib import sha256
from typing import NamedTuple

Random = Callable[[int], bytes]
"""Where randomness comes from: `random(n)` is `n` unpredictable bytes."""

system_random: Random = system_secrets.token_bytes
"""The operating system's generator. Only the edges hold it."""

SECRET_BYTES = 32
_TOKEN = re.compile(r"(ses_[0-9a-hjkmnp-tv-z]{26})\.([A-Za-z0-9_-]{43})", re.ASCII)


class Token(NamedTuple):
    """What a holder presents: the public session ID and the secret that proves it."""

    session_id: str
    secret: str


# What a malformed token is judged as: it takes the same path as a well-formed one that names no
# session (a read, a hash, a comparison), so that its shape cannot be told by timing.
NOBODY = Token("ses_" + "0" * 26, "A" * 43)


def make_secret(random: Random) -> str:
    """A new secret, 43 characters of base64url (256 bits)."""
    return base64.urlsafe_b64encode(random(SECRET_BYTES)).rstrip(b"=").decode("ascii")


def hash_secret(secret: str) -> bytes:
    """The 32 bytes that are stored for a secret: the SHA-256 of its text."""
    return sha256(secret.encode("utf-8", "surrogatepass")).digest()


def proves(secret: str, secret_hash: bytes | None) -> bool:
    """Whether `secret` is the one that was hashed, compared in constant time."""
    return secret_hash is not None and hmac.compare_digest(hash_secret(secret), secret_hash)


def make_token(session_id: str, secret: str) -> str:
    """The one form in which a session travels: `<session ID>.<secret>`."""
    return f"{session_id}.{secret}"


def parse_token(text: str) -> Token:
    """The two halves of a token; anything that is not one becomes `NOBODY`, never an error.

    The input is hostile: empty, huge, in another alphabet, with NULs. The pattern has a fixed
    length, so a megabyte costs no more than its first 71 characters.
    """
    match = _TOKEN.fullmatch(text)
    return Token(*match.groups()) if match else NOBODY
