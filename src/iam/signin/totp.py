"""Time-based one-time passwords (RFC 6238) as every authenticator app makes them: SHA-1, six digits, a new
one every 30 seconds. What an app is told beyond that, many of them do not heed."""

import base64
import hmac
import re

import pyotp

from iam.kernel.clock import Instant
from iam.kernel.secrets import Random

STEP = 30
"""Seconds."""
DRIFT = 1
"""Steps by which an app's clock may be off, either way (RFC 6238 §5.2, §6)."""
_SECRET_BYTES = 20  # RFC 4226 §4 R6
_SECRET = re.compile(r"[A-Z2-7]{16,128}", re.ASCII)
_CODE = re.compile(r"[0-9]{6}", re.ASCII)


def make_totp_secret(random: Random) -> str:
    """A new secret: 160 bits in base32, as an app takes it typed in."""
    return base64.b32encode(random(_SECRET_BYTES)).decode("ascii")


def read_totp_secret(text: str) -> str | None:
    """A secret that another system made, as ours are written; None if it cannot be one, or is so short that
    no code is made of it (pyotp refuses less than 112 bits; RFC 4226 §4 R6 wants 128)."""
    plain = "".join(text.split()).rstrip("=").upper()
    if not _SECRET.fullmatch(plain):
        return None
    try:
        # Of some lengths base32 has none: whoever had such a one here could never sign in.
        pyotp.TOTP(plain).generate_otp(0)
    except ValueError:  # binascii's is one
        return None
    return plain


def step_at(now: Instant) -> int:
    """The time step of this instant."""
    return now // 1000 // STEP


def enrolment_address(secret: str, account: str, issuer: str) -> str:
    """The `otpauth:` address that an app reads from a QR code."""
    return pyotp.TOTP(secret).provisioning_uri(name=account, issuer_name=issuer)


def matching_step(secret: str, text: str, now: Instant, *, after: int) -> int | None:
    """The time step whose code this is, later than `after`; None if it is the code of none that counts now.

    Every step is computed and compared, so that the time it takes says nothing.
    """
    code = "".join(text.split())
    if not _CODE.fullmatch(code):
        return None
    own, current = pyotp.TOTP(secret), step_at(now)
    steps = range(current - DRIFT, current + DRIFT + 1)
    found = [one for one in steps if hmac.compare_digest(own.generate_otp(one), code)]
    return max((one for one in found if one > after), default=None)
