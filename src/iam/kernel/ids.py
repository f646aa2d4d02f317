"""Public identifiers: a typed prefix and 26 characters that sort by time.

The characters are a UUIDv7 (RFC 9562 §5.7) in Crockford's base32, lower case: 48 bits of
milliseconds, then 74 random bits. They are stable, safe to log and say what they name.
"""

import re

from iam.kernel.clock import Instant
from iam.kernel.secrets import Random

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
ID_CHARACTERS = 26

SESSION = "ses_"
USER = "usr_"
APPLICATION = "app_"
EVENT = "evt_"
KEY = "key_"
WEBHOOK = "whk_"
DELIVERY = "dlv_"
BULK_END = "blk_"
MAIL = "eml_"
REFRESH = "rft_"
ACCESS = "oat_"
REGISTRATION = "rgt_"
SAML_PROVIDER = "sml_"
SAML_KEY = "smk_"
PROVIDER = "idp_"
FACTOR = "fac_"
LINK = "lnk_"


# Nothing that begins as an identifier of ours does, which would make two receivers of notices look like one.
_MOVED_CLIENT = re.compile(r"(?!app_|whk_|sml_)[A-Za-z0-9][A-Za-z0-9._~@+-]{0,79}", re.ASCII)


def make_id(prefix: str, now: Instant, random: Random) -> str:
    """A new identifier `prefix` + 26 characters, unique and ordered by `now`."""
    noise = int.from_bytes(random(10), "big")
    value = (
        (now & ((1 << 48) - 1)) << 80
        | 0x7 << 76
        | (noise >> 68 & 0xFFF) << 64
        | 0b10 << 62
        | noise & ((1 << 62) - 1)
    )
    return prefix + _encoded(value)


def first_id(prefix: str, instant: Instant) -> str:
    """What no identifier made at `instant` or later is smaller than."""
    return prefix + _encoded((instant & ((1 << 48) - 1)) << 80)


def _encoded(value: int) -> str:
    return "".join(_ALPHABET[value >> shift & 31] for shift in range(125, -1, -5))


def is_id(prefix: str, text: str) -> bool:
    """Whether `text` has the form of an identifier with this prefix."""
    return (
        len(text) == len(prefix) + ID_CHARACTERS
        and text.startswith(prefix)
        and not text[len(prefix) :].strip(_ALPHABET)
    )


def is_client_id(text: str) -> bool:
    """Whether `text` may be an application's client ID: one of ours, or one that it brought along when it
    moved in (`iam.moving`)."""
    if is_id(APPLICATION, text):
        return True
    return _MOVED_CLIENT.fullmatch(text) is not None and not is_id(APPLICATION, APPLICATION + text)
