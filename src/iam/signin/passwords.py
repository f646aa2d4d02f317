"""Passwords, stored as Argon2id (RFC 9106) in PHC string form, which carries its own parameters.

Users who moved in may still have a hash of another system's (`moved_passwords`): it is compared with, and
replaced at the next sign-in.
"""

import base64
import contextlib

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from iam.kernel.errors import Invalid
from iam.kernel.secrets import Random
from iam.languages import _
from iam.signin import moved_passwords

SHORTEST = 8
LONGEST = 256


class PasswordInvalid(Invalid):
    """This cannot be anybody's password here."""

    code = "password_invalid"
    title = "This password cannot be used."


class Passwords:
    """Hashes and compares. Both take tens of milliseconds and release the interpreter meanwhile."""

    def __init__(self, *, memory_kib: int, passes: int, random: Random) -> None:
        self._hasher = PasswordHasher(time_cost=passes, memory_cost=memory_kib, parallelism=1)
        self._random = random
        # Compared with when there is no user or no password, so that both take the same time. Made up,
        # not computed: no password has this hash, and nobody waits for one when a process starts.
        salt, digest = _base64(random(16)), _base64(random(32))
        self._nobody = f"$argon2id$v=19$m={memory_kib},t={passes},p=1${salt}${digest}"

    def hash(self, password: str) -> str:
        """The string to store for a new password.

        Raises:
            PasswordInvalid: shorter than 8 or longer than 256 characters.
        """
        if not SHORTEST <= len(password) <= LONGEST:
            raise PasswordInvalid(
                _("Use %(least)s to %(most)s characters.", least=SHORTEST, most=LONGEST)
            )
        return self._hash(password)

    def hash_known(self, password: str) -> str:
        """The string to store for a password that somebody has already, however short it is."""
        return self._hash(password[: LONGEST + 1])

    def matches(self, password: str, stored: str | None) -> bool:
        """Whether this is the password; with nothing stored False, after the same work."""
        typed = _bytes(password[: LONGEST + 1])
        if stored is not None and moved_passwords.is_moved(stored):
            return self._matches_moved(typed, stored)
        try:
            self._hasher.verify(stored or self._nobody, typed)
        except (VerificationError, InvalidHashError):
            return False
        return bool(stored)

    def outdated(self, stored: str) -> bool:
        """Whether a hash is another system's or was made with other parameters than today's, and should be
        made anew."""
        return moved_passwords.is_moved(stored) or self._hasher.check_needs_rehash(stored)

    def _matches_moved(self, typed: bytes, stored: str) -> bool:
        matched = moved_passwords.matches(typed, stored)
        if not matched and moved_passwords.is_quick(stored):
            # An answer in microseconds would say that there is such a user, and whence they came.
            # (Whoever is right waits as long for the new hash.)
            with contextlib.suppress(VerificationError):
                self._hasher.verify(self._nobody, typed)
        return matched

    def _hash(self, password: str) -> str:
        return self._hasher.hash(_bytes(password), salt=self._random(16))


def _base64(value: bytes) -> str:
    return base64.b64encode(value).rstrip(b"=").decode()


def _bytes(password: str) -> bytes:
    # JSON can carry half a surrogate pair, which strict UTF-8 cannot.
    return password.encode("utf-8", "surrogatepass")
