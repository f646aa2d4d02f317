"""The message that tells a provider by SOAP that a session has ended (saml-bindings §3.2)."""

from iam.delivery.saml_logouts import SamlLogoutNotice
from iam.kernel.clock import Instant
from iam.kernel.secrets import Random
from iam.kernel.xml import add_element, new_element, xml_document
from iam.keys import SamlKey
from iam.saml.names import SOAP_ENVELOPE
from iam.saml.signatures import sign_enveloped
from iam.saml.writing import entity_id, logout_request, qualified


def soap_logout(
    notice: SamlLogoutNotice, issuer: str, key: SamlKey, now: Instant, random: Random
) -> bytes:
    """An envelope with a signed LogoutRequest: made anew for each attempt, so that it is never too old
    to be believed."""
    who = notice.participant
    name_id = qualified(issuer, who.entity_id, who.name_id_format, who.name_id)
    root = new_element(f"{{{SOAP_ENVELOPE}}}Envelope", nsmap={"soap": SOAP_ENVELOPE})
    body = add_element(root, f"{{{SOAP_ENVELOPE}}}Body")
    request = logout_request(entity_id(issuer), notice.url, name_id, who.session, now, random)
    body.append(request)
    sign_enveloped(request, key)
    data: bytes = xml_document(root)
    return data
