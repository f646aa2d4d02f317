"""Hashes of passwords that another system made, compared with as that system did.

They came with users who moved in (`iam.moving`). Whoever signs in with one has it replaced by one of ours
in the same transaction, so they die out; none is ever made.

Stored as `moved1$<kind>$<salts>$<value>`, salts (joined by commas) and value in base64url. There may be two
salts, the organization's and the user's, because Casdoor accepts either.
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import bcrypt
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

Kind = Literal["md5", "sha256", "sha512", "pbkdf2", "pbkdf2-django", "bcrypt", "argon2id"]
_KINDS: frozenset[str] = frozenset(get_args(Kind))
_QUICK = frozenset({"md5", "sha256", "sha512", "pbkdf2"})
_PREFIX = "moved1$"
_DIGEST_KINDS: dict[int, Kind] = {32: "md5", 64: "sha256", 128: "sha512"}
_HEX = re.compile(r"[0-9a-f]+", re.ASCII)
_BCRYPT = re.compile(r"\$2[aby]\$([0-9]{2})\$[./A-Za-z0-9]{53}", re.ASCII)
_ARGON2ID = re.compile(
    r"\$argon2id\$v=19\$m=([0-9]{1,7}),t=([0-9]{1,2}),p=([0-9]{1,2})"
    r"\$[A-Za-z0-9+/]{11,86}\$[A-Za-z0-9+/]{16,86}",
    re.ASCII,
)
_DJANGO = re.compile(r"pbkdf2_sha256\$([0-9]{1,7})\$([^$]{1,128})\$[A-Za-z0-9+/]{43}=", re.ASCII)
_PBKDF2 = re.compile(r"[A-Za-z0-9+/]{86}==", re.ASCII)
# What one comparison may cost: a hash from elsewhere must not stall a sign-in, nor the server.
_MOST_BCRYPT_COST = 14
_MOST_MEMORY_KIB, _MOST_PASSES, _MOST_LANES = 1024 * 1024, 16, 16
_MOST_ITERATIONS = 2_000_000
_PBKDF2_ITERATIONS, _PBKDF2_BYTES = 27_500, 64
_BCRYPT_BYTES = 72
_LONGEST_SALT = 256


@dataclass(frozen=True, slots=True)
class MovedHash:
    """What another system stored for a password."""

    kind: Kind
    value: str
    salts: tuple[str, ...] = ()

    def to_text(self) -> str:
        """As it is stored."""
        salts = ",".join(_encoded(one) for one in self.salts)
        return f"{_PREFIX}{self.kind}${salts}${_encoded(self.value)}"


def is_moved(stored: str) -> bool:
    """Whether this is a hash of another system's."""
    return stored.startswith(_PREFIX)


def is_quick(stored: str) -> bool:
    """Whether a comparison takes so little that it would tell a user with such a hash from nobody."""
    return stored.removeprefix(_PREFIX).partition("$")[0] in _QUICK


def recognise(declared: str, value: str, salts: Sequence[str]) -> MovedHash | None:
    """The hash that Casdoor keeps as `value` under the password type `declared`; None if it is no hash
    that can be compared with, or one that would cost too much to.

    How it looks counts for more than its type: an organization's type changes, and the hash stays.
    """
    salts = tuple(dict.fromkeys(salts))
    if any(len(one) > _LONGEST_SALT for one in salts):
        return None
    kind = _kind(declared, value)
    if kind is None or not _affordable(kind, value):
        return None
    if kind in ("bcrypt", "pbkdf2-django"):
        salts = ()
    return MovedHash(kind, value, salts)


def matches(password: bytes, stored: str) -> bool:
    """Whether this is the password; with a text that is no such hash False.

    Every candidate is computed and compared, whichever of them it is.
    """
    found = _parsed(stored)
    if found is None:
        return False
    matched = False
    for one in _comparisons(password, found):
        matched |= one
    return matched


def _kind(declared: str, value: str) -> Kind | None:
    if _BCRYPT.fullmatch(value):
        return "bcrypt"
    if _ARGON2ID.fullmatch(value):
        return "argon2id"
    if _DJANGO.fullmatch(value):
        return "pbkdf2-django"
    if declared == "pbkdf2-salt" and _PBKDF2.fullmatch(value):
        return "pbkdf2"
    # Early versions took SHA-256 where the type said MD5: the length is what tells.
    if declared in ("salt", "md5-salt", "sha512-salt") and _HEX.fullmatch(value):
        return _DIGEST_KINDS.get(len(value))
    return None


def _affordable(kind: Kind, value: str) -> bool:
    if kind == "bcrypt" and (match := _BCRYPT.fullmatch(value)):
        return 4 <= int(match[1]) <= _MOST_BCRYPT_COST
    if kind == "argon2id" and (match := _ARGON2ID.fullmatch(value)):
        memory, passes, lanes = (int(one) for one in match.groups())
        return (
            8 * lanes <= memory <= _MOST_MEMORY_KIB
            and 1 <= passes <= _MOST_PASSES
            and 1 <= lanes <= _MOST_LANES
        )
    if kind == "pbkdf2-django" and (match := _DJANGO.fullmatch(value)):
        return 1 <= int(match[1]) <= _MOST_ITERATIONS
    return True


def _comparisons(password: bytes, found: MovedHash) -> Iterator[bool]:
    if found.kind == "bcrypt":
        # Beyond 72 bytes bcrypt looks at nothing, and Go cuts there as well.
        yield _bcrypt(password[:_BCRYPT_BYTES], found.value)
    elif found.kind == "argon2id":
        # A salt of the organization's or the user's is a pepper here, in versions that know it.
        peppers = dict.fromkeys(("", *(one.partition("|")[0] for one in found.salts)))
        for pepper in peppers:
            yield _argon2id(_bytes(pepper) + password, found.value)
    elif found.kind == "pbkdf2-django":
        _, iterations, salt, digest = found.value.split("$")
        made = hashlib.pbkdf2_hmac("sha256", password, _bytes(salt), int(iterations))
        yield _same(base64.b64encode(made), _bytes(digest))
    elif found.kind == "pbkdf2":
        for salt in found.salts or ("",):
            made = hashlib.pbkdf2_hmac(
                "sha256", password, _go_base64(salt), _PBKDF2_ITERATIONS, _PBKDF2_BYTES
            )
            yield _same(base64.b64encode(made), _bytes(found.value))
    else:
        yield from _digests(password, found)


def _digests(password: bytes, found: MovedHash) -> Iterator[bool]:
    """The password hashed, and that text with a salt hashed again: in some versions not where the salt is
    empty, in others there as well."""
    wanted = _bytes(found.value)
    once = _hex(found.kind, password)
    yield _same(once, wanted)
    for salt in dict.fromkeys(("", *found.salts)):
        yield _same(_hex(found.kind, once + _bytes(salt)), wanted)


def _hex(kind: str, data: bytes) -> bytes:
    return hashlib.new(kind, data, usedforsecurity=False).hexdigest().encode("ascii")


def _bcrypt(password: bytes, value: str) -> bool:
    try:
        return bcrypt.checkpw(password, value.encode("ascii"))
    except ValueError:  # a NUL in what was typed, which no password there had
        return False


def _argon2id(password: bytes, value: str) -> bool:
    try:
        return PasswordHasher().verify(value, password)
    except (VerificationError, InvalidHashError):
        return False


def _same(made: bytes, wanted: bytes) -> bool:
    return hmac.compare_digest(made, wanted)


def _go_base64(text: str) -> bytes:
    """What Go's decoder yields, whose errors Casdoor passes over: all before the group that is wrong."""
    text = text.replace("\r", "").replace("\n", "")
    decoded = b""
    for start in range(0, len(text), 4):
        try:
            decoded += base64.b64decode(text[start : start + 4], validate=True)
        except (binascii.Error, ValueError):
            break
        if text[start : start + 4].endswith("="):
            break
    return decoded


def _parsed(stored: str) -> MovedHash | None:
    kind, _, rest = stored.removeprefix(_PREFIX).partition("$")
    salts, _, value = rest.partition("$")
    if kind not in _KINDS or not is_moved(stored):
        return None
    try:
        salted = tuple(_decoded(one) for one in salts.split(",")) if salts else ()
        return MovedHash(kind, _decoded(value), salted)  # type: ignore[arg-type]  # one of them, as was looked
    except ValueError:
        return None


def _encoded(text: str) -> str:
    return base64.urlsafe_b64encode(_bytes(text)).decode("ascii")


def _decoded(text: str) -> str:
    return base64.urlsafe_b64decode(text.encode("ascii")).decode("utf-8", "surrogatepass")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
