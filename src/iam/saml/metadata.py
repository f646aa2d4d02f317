"""Our own metadata as an identity provider: what service providers are given to know us by."""

from starlette.requests import Request
from starlette.responses import Response

from iam.directory.saml_metadata import POST, REDIRECT
from iam.kernel.secrets import Random
from iam.kernel.xml import Element, add_element, new_element, xml_document
from iam.keys import SamlKey
from iam.saml.key import saml_keys
from iam.saml.names import DSIG, METADATA, NAME_ID_FORMATS, SAMLP
from iam.saml.signatures import sign_enveloped
from iam.saml.writing import entity_id, make_message_id
from iam.web.engine import engine_of, in_thread


async def metadata(request: Request) -> Response:
    """`GET /saml/metadata` (saml-metadata §4.1): signed, with the certificate of every key that signs or
    will."""
    return await in_thread(lambda: _metadata(request))


def _metadata(request: Request) -> Response:
    engine, now = engine_of(request), engine_of(request).clock()
    keys, issuer = saml_keys(engine, now), engine.settings.issuer
    root = described(entity_id(issuer), engine.random)
    role = add_part(
        root,
        "IDPSSODescriptor",
        protocolSupportEnumeration=SAMLP,
        WantAuthnRequestsSigned="false",
    )
    for key in keys:
        add_key(role, key)
    for binding in (REDIRECT, POST):
        add_part(role, "SingleLogoutService", Binding=binding, Location=f"{issuer}/saml/slo")
    for format_ in NAME_ID_FORMATS.values():
        add_part(role, "NameIDFormat").text = format_
    for binding in (REDIRECT, POST):
        add_part(role, "SingleSignOnService", Binding=binding, Location=f"{issuer}/saml/sso")
    sign_enveloped(root, keys[0])
    return metadata_response(xml_document(root))


def described(entity: str, random: Random) -> Element:
    """An EntityDescriptor without a role so far."""
    return new_element(
        f"{{{METADATA}}}EntityDescriptor",
        {"entityID": entity, "ID": make_message_id(random)},
        nsmap={"md": METADATA, "ds": DSIG},
    )


def add_part(parent: Element, name: str, **attributes: str) -> Element:
    """Add an element of metadata."""
    return add_element(parent, f"{{{METADATA}}}{name}", attributes)


def add_key(role: Element, key: SamlKey) -> Element:
    """Add the certificate of a key, for what it is used for."""
    descriptor = add_part(role, "KeyDescriptor", use=key.use)
    info = add_element(descriptor, f"{{{DSIG}}}KeyInfo")
    data = add_element(info, f"{{{DSIG}}}X509Data")
    text = "".join(line for line in key.certificate.splitlines() if "-----" not in line)
    add_element(data, f"{{{DSIG}}}X509Certificate").text = text
    return descriptor


def metadata_response(data: bytes) -> Response:
    """The answer that carries a document of metadata."""
    return Response(
        data,
        media_type="application/samlmetadata+xml",
        headers={"cache-control": "no-store", "x-content-type-options": "nosniff"},
    )
