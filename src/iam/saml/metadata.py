"""Our own metadata: what providers are given to know us by."""

from lxml import etree
from starlette.requests import Request
from starlette.responses import Response

from iam.directory.saml_metadata import POST, REDIRECT
from iam.kernel.xml import Element
from iam.saml.key import saml_keys
from iam.saml.names import DSIG, METADATA, NAME_ID_FORMATS, SAMLP
from iam.saml.signatures import sign_enveloped
from iam.saml.writing import entity_id, make_message_id
from iam.web.engine import engine_of, in_thread


async def metadata(request: Request) -> Response:
    """`GET /saml/metadata` (saml-metadata §4.1): signed, with the certificate of every key."""
    return await in_thread(lambda: _metadata(request))


def _metadata(request: Request) -> Response:
    engine, now = engine_of(request), engine_of(request).clock()
    keys, issuer = saml_keys(engine, now), engine.settings.issuer
    root = etree.Element(
        f"{{{METADATA}}}EntityDescriptor",
        {"entityID": entity_id(issuer), "ID": make_message_id(engine.random)},
        nsmap={"md": METADATA, "ds": DSIG},
    )
    role = _add(
        root,
        "IDPSSODescriptor",
        protocolSupportEnumeration=SAMLP,
        WantAuthnRequestsSigned="false",
    )
    for key in keys:
        info = etree.SubElement(_add(role, "KeyDescriptor", use="signing"), f"{{{DSIG}}}KeyInfo")
        data = etree.SubElement(info, f"{{{DSIG}}}X509Data")
        text = "".join(line for line in key.certificate.splitlines() if "-----" not in line)
        etree.SubElement(data, f"{{{DSIG}}}X509Certificate").text = text
    for binding in (REDIRECT, POST):
        _add(role, "SingleLogoutService", Binding=binding, Location=f"{issuer}/saml/slo")
    for format_ in NAME_ID_FORMATS.values():
        _add(role, "NameIDFormat").text = format_
    for binding in (REDIRECT, POST):
        _add(role, "SingleSignOnService", Binding=binding, Location=f"{issuer}/saml/sso")
    sign_enveloped(root, keys[0])
    return Response(
        etree.tostring(root, xml_declaration=True, encoding="UTF-8"),
        media_type="application/samlmetadata+xml",
        headers={"cache-control": "no-store", "x-content-type-options": "nosniff"},
    )


def _add(parent: Element, name: str, **attributes: str) -> Element:
    return etree.SubElement(parent, f"{{{METADATA}}}{name}", attributes)
