"""The link in a mail: it names the mail, and an HMAC shows that we made it.

Nothing of it is stored, so that the outbox holds no secret; a link that we did not make costs no look
into the database. Whether it has been used, or is too old, is on the mail's row.
"""

import base64
import re

from iam.kernel.ids import ID_CHARACTERS, MAIL
from iam.keys.cipher import Cipher

PATH = "/sign-out/device"
"""Where the link of a mail about a new device leads."""
PASSWORD_PATH = "/set-password"  # noqa: S105 - an address
"""Where a link to set a password leads."""
_TOKEN = re.compile(rf"([0-9a-z]{{{ID_CHARACTERS}}})\.([A-Za-z0-9_-]{{43}})", re.ASCII)


def make_link(issuer: str, cipher: Cipher, mail_id: str, path: str = PATH) -> str:
    """The address that the mail with this ID leads to, good for this path and no other."""
    digest = cipher.sign(_message(mail_id, path))
    signature = base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")
    return f"{issuer}{path}?t={mail_id.removeprefix(MAIL)}.{signature}"


def read_link(cipher: Cipher, token: str, path: str = PATH) -> str | None:
    """The ID of the mail that this link (its `t`) is from; None if we did not make it for this path."""
    match = _TOKEN.fullmatch(token)
    if match is None:
        return None
    mail_id = MAIL + match[1]
    digest = base64.urlsafe_b64decode(match[2] + "=")
    return mail_id if cipher.signed(_message(mail_id, path), digest) else None


def _message(mail_id: str, path: str) -> bytes:
    what = "password" if path == PASSWORD_PATH else "mail"
    return f"iam {what} link v1 {mail_id}".encode()
