"""Our own metadata as a service provider: what identity providers are given to know us by."""

from starlette.requests import Request
from starlette.responses import Response

from iam.directory.saml_metadata import GCM, POST, REDIRECT, SOAP
from iam.kernel.xml import xml_document
from iam.saml.key import saml_keys
from iam.saml.metadata import add_key, add_part, described, metadata_response
from iam.saml.names import SAMLP, XENC
from iam.saml.signatures import sign_enveloped
from iam.saml.writing import service_entity_id
from iam.web.engine import engine_of, in_thread

CONSUMER = "/saml/acs"
LOGOUT = "/saml/sp/slo"


async def service_metadata(request: Request) -> Response:
    """`GET /saml/sp/metadata` (saml-metadata §4.1): signed, with every certificate that signs or will,
    and the one to encrypt for."""
    return await in_thread(lambda: _metadata(request))


def _metadata(request: Request) -> Response:
    engine, now = engine_of(request), engine_of(request).clock()
    issuer = engine.settings.issuer
    keys, reads = saml_keys(engine, now), saml_keys(engine, now, "encryption")
    root = described(service_entity_id(issuer), engine.random)
    role = add_part(
        root,
        "SPSSODescriptor",
        protocolSupportEnumeration=SAMLP,
        AuthnRequestsSigned="true",
        WantAssertionsSigned="true",
    )
    for key in keys:
        add_key(role, key)
    descriptor = add_key(role, reads[0])
    for method in (*GCM, f"{XENC}rsa-oaep-mgf1p"):
        add_part(descriptor, "EncryptionMethod", Algorithm=method)
    for binding in (REDIRECT, POST, SOAP):
        add_part(role, "SingleLogoutService", Binding=binding, Location=f"{issuer}{LOGOUT}")
    add_part(
        role,
        "AssertionConsumerService",
        Binding=POST,
        Location=f"{issuer}{CONSUMER}",
        index="0",
        isDefault="true",
    )
    sign_enveloped(root, keys[0])
    return metadata_response(xml_document(root))
