"""The link in a mail: it names the mail, and an HMAC shows that we made it.

Nothing of it is stored, so that the outbox holds no secret; a link that we did not make costs no look
into the database. Whether it has been used, or is too old, is on the mail's row.
"""

import base64
import hmac
import re
from collections.abc import Sequence
from hashlib import sha256

from iam.kernel.ids import ID_CHARACTERS, MAIL
from iam.keys import SigningKey, derive_key

PATH = "/sign-out/device"
_PURPOSE = "iam mail link v1"
_TOKEN = re.compile(rf"([0-9a-z]{{{ID_CHARACTERS}}})\.([A-Za-z0-9_-]{{43}})", re.ASCII)


def make_link(issuer: str, keys: Sequence[SigningKey], mail_id: str) -> str:
    """The address that the mail with this ID leads to."""
    text = mail_id.removeprefix(MAIL)
    return f"{issuer}{PATH}?t={text}.{_signature(keys[0], mail_id)}"


def read_link(keys: Sequence[SigningKey], token: str) -> str | None:
    """The ID of the mail that this link (its `t`) is from; None if we did not make it."""
    match = _TOKEN.fullmatch(token)
    if match is None:
        return None
    mail_id = MAIL + match[1]
    # Each compared in constant time; that a link is of an older key may be told.
    if not any(hmac.compare_digest(_signature(key, mail_id), match[2]) for key in keys):
        return None
    return mail_id


def _signature(key: SigningKey, mail_id: str) -> str:
    digest = hmac.new(derive_key(key, _PURPOSE), mail_id.encode(), sha256).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")
