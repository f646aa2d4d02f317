"""What a provider is told of somebody: by what name, and how they proved who they are."""

import base64
import hmac
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256

from iam.directory.saml_providers import SamlProvider
from iam.directory.users import User
from iam.kernel.authn import MULTI_FACTOR, SEVERAL, SINGLE_FACTOR, with_code
from iam.kernel.secrets import Random
from iam.saml.names import (
    INVALID_NAME_ID_POLICY,
    NAME_ID_FORMATS,
    PASSWORD,
    PASSWORD_PROTECTED_TRANSPORT,
    UNSPECIFIED,
)
from iam.sessions.model import Session

_BY_URI = {uri: name for name, uri in NAME_ID_FORMATS.items()}
_STRENGTH = {
    UNSPECIFIED: 0,
    PASSWORD: 1,
    PASSWORD_PROTECTED_TRANSPORT: 2,
    SINGLE_FACTOR: 2,
    MULTI_FACTOR: 3,
}
"""What the classes are worth compared with each other (saml-core §3.3.2.2.1 leaves it to us)."""


class Unmet(Exception):
    """The request wants what is not given; `second` is the second-level status that says so."""

    def __init__(self, second: str) -> None:
        super().__init__(second)
        self.second = second


def choose_format(provider: SamlProvider, asked: str | None, sp_name_qualifier: str | None) -> str:
    """The format of a name, a key of `NAME_ID_FORMATS`.

    A request may choose one that says nothing of the user (persistent, transient). One that does, an
    administrator has allowed by making it the provider's own.

    Raises:
        Unmet: it asks for another.
    """
    own = provider.options.name_id_format
    if sp_name_qualifier not in (None, "", provider.entity_id):
        raise Unmet(INVALID_NAME_ID_POLICY)
    if asked in (None, "", NAME_ID_FORMATS["unspecified"]):
        return own
    wanted = _BY_URI.get(str(asked))
    if wanted not in ("persistent", "transient", own):
        raise Unmet(INVALID_NAME_ID_POLICY)
    return str(wanted)


def name_of(
    provider: SamlProvider, user: User, format_: str, known: str | None, random: Random
) -> str:
    """The user's name in this format. `known`: the transient one that this session has already.

    Raises:
        Unmet: they have none (no e-mail address).
    """
    if format_ == "persistent":
        # A keyed hash: no two providers see the same name, and none can work out the user's ID.
        digest = hmac.new(provider.pairwise_key, user.id.encode(), sha256).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")
    if format_ == "transient":
        return known or f"_{random(20).hex()}"
    if format_ == "emailAddress":
        if user.email is None:
            raise Unmet(INVALID_NAME_ID_POLICY)
        return user.email
    return user.name


def context_of(
    session: Session, comparison: str, classes: Sequence[str], declarations: bool
) -> str | None:
    """The class that the session's authentication is told as; None if what is asked for is unmet
    (saml-core §3.3.2.2.1)."""
    shown = _shown(session)
    strongest = shown[-1]
    if declarations:
        return None
    if not classes:
        return strongest
    if comparison == "exact":
        return next((one for one in classes if one in shown), None)
    known = [_STRENGTH[one] for one in classes if one in _STRENGTH]
    if not known:
        return None
    if comparison == "minimum":
        return strongest if _STRENGTH[strongest] >= min(known) else None
    if comparison == "better":
        # A class that is not known may be the strongest of all.
        beyond = len(known) == len(classes) and _STRENGTH[strongest] > max(known)
        return strongest if beyond else None
    return next((one for one in reversed(shown) if _STRENGTH[one] <= max(known)), None)


def lacks_code(
    session: Session, comparison: str, classes: Sequence[str], declarations: bool
) -> bool:
    """Whether what is asked for is unmet, and would be met by a second factor besides."""
    if not session.amr:
        return False
    lifted = replace(session, amr=with_code(session.amr))
    return (
        context_of(session, comparison, classes, declarations) is None
        and context_of(lifted, comparison, classes, declarations) is not None
    )


def _shown(session: Session) -> tuple[str, ...]:
    """All that may truly be said of how a session was authenticated, the strongest last."""
    if not session.amr:
        return (UNSPECIFIED,)
    one = (SINGLE_FACTOR, UNSPECIFIED, PASSWORD, PASSWORD_PROTECTED_TRANSPORT)
    return (*one, MULTI_FACTOR) if SEVERAL in session.amr else one
