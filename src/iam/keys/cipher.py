"""Encryption at rest: AES-256-GCM under keys that are not in the database.

A text is `v1.<name of the key>.<nonce and ciphertext>`. The first key encrypts; the others read what was
encrypted before they were replaced.
"""

import base64
import binascii
import hmac
import os
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from iam.kernel.errors import Unavailable
from iam.kernel.secrets import Random
from iam.settings import Settings

KEY_BYTES = 32
FILE = "encryption.key"
_NONCE_BYTES = 12
_VERSION = "v1"


class EncryptionKeyWrong(Unavailable):
    """What is in the database was encrypted under a key that is not at hand."""

    code = "encryption_key_wrong"
    title = "The signing keys cannot be read: they were encrypted under another key."


class EncryptionKeyMissing(Unavailable):
    """There is no key, and none can be made."""

    code = "encryption_key_missing"
    title = "There is no encryption key. Set IAM_ENCRYPTION_KEY."


@dataclass(frozen=True, slots=True, repr=False)
class Cipher:
    """Keys of 32 bytes, the one that encrypts first."""

    keys: tuple[bytes, ...]

    def encrypt(self, text: str, about: str, random: Random) -> str:
        """`text` as it may lie in the database, readable again only as what is `about` the same."""
        nonce = random(_NONCE_BYTES)
        sealed = nonce + AESGCM(self.keys[0]).encrypt(nonce, text.encode(), about.encode())
        return f"{_VERSION}.{_name(self.keys[0])}.{base64.b64encode(sealed).decode('ascii')}"

    def decrypt(self, text: str, about: str) -> str:
        """What was encrypted.

        Raises:
            EncryptionKeyWrong: under another key, about something else, or it was tampered with.
        """
        version, _, rest = text.partition(".")
        name, _, encoded = rest.partition(".")
        for key in self.keys:
            if version == _VERSION and name == _name(key):
                try:
                    sealed = base64.b64decode(encoded, validate=True)
                    nonce, body = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
                    return AESGCM(key).decrypt(nonce, body, about.encode()).decode()
                except (InvalidTag, ValueError) as error:
                    raise EncryptionKeyWrong("What is stored was changed.") from error
        raise EncryptionKeyWrong(f"It is named {name[:16]!r}. Add it to IAM_ENCRYPTION_KEY.")

    def sign(self, message: bytes) -> bytes:
        """An authenticator of a message, that every node of the installation makes alike."""
        return hmac.digest(self.keys[0], message, sha256)

    def signed(self, message: bytes, authenticator: bytes) -> bool:
        """Whether `sign` made this, under any of the keys."""
        return any(
            hmac.compare_digest(hmac.digest(key, message, sha256), authenticator)
            for key in self.keys
        )

    def is_newest(self, text: str) -> bool:
        """Whether this was encrypted under the key that encrypts now."""
        return text.startswith(f"{_VERSION}.{_name(self.keys[0])}.")


def open_cipher(settings: Settings) -> Cipher:
    """The cipher of this installation.

    Raises:
        EncryptionKeyMissing: no key is set, and there is no key file.
    """
    if settings.encryption_key:
        return Cipher(parse_keys(settings.encryption_key))
    try:
        return Cipher(parse_keys((settings.data_dir / FILE).read_text().strip()))
    except (OSError, ValueError) as error:
        raise EncryptionKeyMissing(f"{settings.data_dir / FILE} cannot be read.") from error


def make_key_file(settings: Settings, random: Random) -> None:
    """Make the key file at a first start, for its owner alone, unless a key is set or it is there.

    Raises:
        EncryptionKeyMissing: the data directory cannot be written to.
    """
    if settings.encryption_key:
        return
    path = settings.data_dir / FILE
    text = base64.urlsafe_b64encode(random(KEY_BYTES)).decode("ascii")
    # Written aside and linked into place: processes that start together all find the same, and whole.
    aside = Path(f"{path}.{os.getpid()}.{_name(random(KEY_BYTES))}")
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(aside, path)
        except FileExistsError:
            pass
        finally:
            aside.unlink()
    except OSError as error:
        raise EncryptionKeyMissing(f"{path} cannot be written.") from error


def parse_keys(text: str) -> tuple[bytes, ...]:
    """Keys written as base64 or hexadecimal, separated by commas.

    Raises:
        ValueError: one of them is not 32 bytes.
    """
    return tuple(_parse(one.strip()) for one in text.split(",") if one.strip())


def _parse(text: str) -> bytes:
    try:
        if len(text) == 2 * KEY_BYTES:
            return bytes.fromhex(text)
        key = base64.b64decode(
            text.replace("-", "+").replace("_", "/") + "=" * (-len(text) % 4), validate=True
        )
    except (ValueError, binascii.Error) as error:
        raise ValueError("not base64") from error
    if len(key) != KEY_BYTES:
        raise ValueError("not 32 bytes")
    return key


def _name(key: bytes) -> str:
    return sha256(b"iam encryption key" + key).hexdigest()[:8]
