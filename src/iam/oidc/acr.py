"""How strongly the person has to have signed in, as a request asks: `acr_values` and `claims`."""

from dataclasses import dataclass

from authlib.oauth2.rfc6749 import (  # type: ignore[import-untyped] # Authlib ships no types
    OAuth2Error,
)

from iam.kernel.authn import CLASSES, reaches
from iam.oidc.claims import asked_claims, values_of
from iam.oidc.protocol import ProtocolRequest


class UnmetRequirements(OAuth2Error):  # type: ignore[misc] # Authlib's base has no types
    """The person cannot sign in as strongly as was asked (RFC 9470 §5, OpenID Connect Core Unmet
    Authentication Requirements 1.0 §2)."""

    error = "unmet_authentication_requirements"


@dataclass(frozen=True, slots=True)
class Wanted:
    """The classes of which one has to be reached, the preferred first. `essential`: the ID token has to
    name one of them (Core §5.5.1.1); else it names what the session has reached."""

    classes: tuple[str, ...]
    essential: bool

    def met_by(self, acr: str | None) -> str | None:
        """The class that is met by having reached this one."""
        return next((one for one in self.classes if reaches(acr, one)), None)


def wanted_classes(asked: ProtocolRequest) -> Wanted | None:
    """What a request asks for; None if that is nothing that is known here.

    `acr_values` is a wish in Core (§3.1.2.1) and a need in RFC 9470 (§5): values that are known here are
    taken for a need, others for a wish that cannot be granted.

    Raises:
        InvalidRequestError: `claims` cannot be read.
        UnmetRequirements: nothing that is essential is known here.
    """
    member = asked_claims(asked.parameters).acr
    values = values_of(member, "acr")
    if member.get("essential") is True and values:
        known = tuple(one for one in values if one in CLASSES)
        if not known:
            raise UnmetRequirements("No such class of authentication is known here.")
        return Wanted(known, essential=True)
    wishes = [*values, *asked.parameters.get("acr_values", "").split()]
    known = tuple(one for one in wishes if one in CLASSES)
    return Wanted(known, essential=False) if known else None
