"""What we are known by at a provider: kept encrypted, because it has to be shown there each time."""

from sqlalchemy import Connection

from iam.directory.providers import Provider, read_secrets, replace_secret
from iam.kernel.secrets import Random
from iam.keys.cipher import Cipher


def seal_secret(cipher: Cipher, provider_id: str, secret: str, random: Random) -> str:
    """A client secret as it is stored with the provider of this ID, and good for no other."""
    return cipher.encrypt(secret, _about(provider_id), random)


def open_secret(cipher: Cipher, provider: Provider) -> str | None:
    """The client secret of a provider; None if it has none.

    Raises:
        EncryptionKeyWrong: it was encrypted under a key that is not at hand.
    """
    if provider.sealed_secret is None:
        return None
    return cipher.decrypt(provider.sealed_secret, _about(provider.id))


def encrypt_again(connection: Connection, cipher: Cipher, random: Random) -> None:
    """Encrypt under the newest key what is not. (The hints of sessions live no longer than these.)

    Raises:
        EncryptionKeyWrong: one was encrypted under a key that is not at hand.
    """
    for id_, sealed in read_secrets(connection).items():
        if not cipher.is_newest(sealed):
            secret = cipher.decrypt(sealed, _about(id_))
            replace_secret(connection, id_, seal_secret(cipher, id_, secret, random))


def _about(provider_id: str) -> str:
    return f"provider {provider_id}"
