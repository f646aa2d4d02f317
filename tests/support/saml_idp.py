"""An identity provider in the test's own hands, so that it can also say what a decent one never would."""

import base64
import copy
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx2
import xmlsec
from lxml import etree

from iam.kernel.clock import after, to_iso
from tests.saml.conftest import (
    BINDINGS,
    DS,
    FORMATS,
    NS,
    SAML,
    SAMLP,
    KeyPair,
    redirect_query,
    signed,
)
from tests.support.surfer import Surfer
from tests.support.world import ISSUER, World

ACS, SP, SP_SLO = f"{ISSUER}/saml/acs", f"{ISSUER}/saml/sp/metadata", f"{ISSUER}/saml/sp/slo"
PPT = "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport"


def idp_metadata(
    entity_id: str,
    keys: tuple[KeyPair, ...],
    sign_on: tuple[tuple[str, str], ...],
    logout: tuple[tuple[str, str], ...] = (),
    attributes: str = "",
) -> str:
    """Metadata of an identity provider. `sign_on`, `logout`: (binding's last word, address)."""
    infos = "".join(
        '<md:KeyDescriptor use="signing"><ds:KeyInfo><ds:X509Data><ds:X509Certificate>'
        f"{key.text}</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>"
        for key in keys
    )
    ends = "".join(
        f'<md:SingleLogoutService Binding="{BINDINGS}{binding}" Location="{url}"/>'
        for binding, url in logout
    )
    starts = "".join(
        f'<md:SingleSignOnService Binding="{BINDINGS}{binding}" Location="{url}"/>'
        for binding, url in sign_on
    )
    return (
        f'<md:EntityDescriptor xmlns:md="{NS["md"]}" xmlns:ds="{DS}" entityID="{entity_id}" '
        f'ID="_md" {attributes}>'
        f'<md:IDPSSODescriptor protocolSupportEnumeration="{SAMLP}">{infos}{ends}{starts}'
        "</md:IDPSSODescriptor></md:EntityDescriptor>"
    )


@dataclass
class Saying:
    """What is said of somebody: each part as it should be until a test changes it; None leaves it out."""

    request: str | None
    now: int
    name_id: str = "ada-there"
    format: str | None = FORMATS["persistent"]
    attributes: Mapping[str, Any] = field(default_factory=dict)
    issuer: str = ""
    assertion_issuer: str | None = None
    destination: str | None = ACS
    recipient: str | None = ACS
    audience: tuple[str, ...] = (SP,)
    method: str = "urn:oasis:names:tc:SAML:2.0:cm:bearer"
    not_before: str | None = None
    until: str | None = None
    confirmed_until: str | None = None
    confirmed_request: str | None = "same"
    issued_at: str | None = None
    authenticated_at: str | None = None
    session_index: str | None = "_s1"
    session_until: str | None = None
    context_class: str = PPT
    status: tuple[str, ...] = ("Success",)
    id: str = "_a1"
    inside: str = ""
    conditions: str = ""

    def at(self, seconds: int) -> str:
        return to_iso(after(self.now, seconds))  # type: ignore[arg-type]  # the clock's instant

    def assertion(self) -> str:
        """The assertion as XML."""
        values = "".join(
            f'<saml:Attribute Name="{name}">'
            + "".join(
                f"<saml:AttributeValue>{value}</saml:AttributeValue>"
                for value in ([given] if isinstance(given, str) else given)
            )
            + "</saml:Attribute>"
            for name, given in self.attributes.items()
        )
        confirmed = self.request if self.confirmed_request == "same" else self.confirmed_request
        data = _attributes(
            NotOnOrAfter=self.confirmed_until or self.at(300),
            Recipient=self.recipient,
            InResponseTo=confirmed,
        )
        audience = "".join(
            f"<saml:AudienceRestriction><saml:Audience>{one}</saml:Audience>"
            "</saml:AudienceRestriction>"
            for one in self.audience
        )
        limits = _attributes(
            NotBefore=self.not_before or self.at(-1), NotOnOrAfter=self.until or self.at(300)
        )
        statement = _attributes(
            AuthnInstant=self.authenticated_at or self.at(-1),
            SessionIndex=self.session_index,
            SessionNotOnOrAfter=self.session_until,
        )
        return (
            f'<saml:Assertion xmlns:saml="{SAML}" ID="{self.id}" Version="2.0" '
            f'IssueInstant="{self.issued_at or self.at(0)}">'
            f"<saml:Issuer>{self.assertion_issuer or self.issuer}</saml:Issuer>"
            f"<saml:Subject><saml:NameID{_attributes(Format=self.format)}>{self.name_id}</saml:NameID>"
            f'<saml:SubjectConfirmation Method="{self.method}"><saml:SubjectConfirmationData{data}/>'
            "</saml:SubjectConfirmation></saml:Subject>"
            f"<saml:Conditions{limits}>{audience}{self.conditions}</saml:Conditions>"
            f"<saml:AuthnStatement{statement}><saml:AuthnContext><saml:AuthnContextClassRef>"
            f"{self.context_class}</saml:AuthnContextClassRef></saml:AuthnContext>"
            "</saml:AuthnStatement>"
            + (f"<saml:AttributeStatement>{values}</saml:AttributeStatement>" if values else "")
            + f"{self.inside}</saml:Assertion>"
        )

    def response(self, assertion: str) -> str:
        """A Response around it, as XML."""
        head = _attributes(
            ID="_p1",
            Version="2.0",
            IssueInstant=self.issued_at or self.at(0),
            Destination=self.destination,
            InResponseTo=self.request,
        )
        urn = "urn:oasis:names:tc:SAML:2.0:status:"
        status = ""
        for one in reversed(self.status):
            status = f'<samlp:StatusCode Value="{urn}{one}">{status}</samlp:StatusCode>'
        return (
            f'<samlp:Response xmlns:samlp="{SAMLP}" xmlns:saml="{SAML}"{head}>'
            f"<saml:Issuer>{self.issuer}</saml:Issuer><samlp:Status>{status}</samlp:Status>"
            f"{assertion}</samlp:Response>"
        )


def _attributes(**given: str | None) -> str:
    return "".join(f' {name}="{value}"' for name, value in given.items() if value is not None)


@dataclass
class Idp:
    """An identity provider of organization `acme`, registered as `corp`; the browser that comes from it."""

    world: World
    key: KeyPair
    entity_id: str = "https://idp.corp.test/saml"
    provider: dict[str, Any] = field(default_factory=dict)
    numbers: Any = field(default_factory=lambda: iter(range(1, 10**6)))

    @property
    def metadata(self) -> str:
        return idp_metadata(
            self.entity_id,
            (self.key,),
            (("HTTP-Redirect", "https://idp.corp.test/sso"),),
            (("HTTP-Redirect", "https://idp.corp.test/slo"),),
        )

    def register(self, name: str = "corp", organization: str = "acme", **members: Any) -> Any:
        options = {"metadata": self.metadata} | members.pop("options", {})
        body = {
            "organization": organization,
            "name": name,
            "kind": "saml",
            "creates_users": True,
            "trusted_domains": ["acme.test"],
            "options": {key: value for key, value in options.items() if value is not None},
            **members,
        }
        made = self.world.post("/v1/providers", json=body, headers=self.world.admin)
        assert made.status_code == 201, made.text
        self.provider = made.json()
        return self.provider

    def change(self, **members: Any) -> None:
        answer = self.world.patch(
            f"/v1/providers/acme/{self.provider['name']}", json=members, headers=self.world.admin
        )
        assert answer.status_code == 200, answer.text

    def asked(self, surfer: Surfer, **query: str) -> tuple[str, Any]:
        """Have a browser set out; the ID of the request that it carries, and the request."""
        path = f"/saml/sign-in/{self.provider['id']}"
        answer = surfer.get(f"{path}?{urlencode(query)}" if query else path)
        assert answer.status_code == 303, answer.text
        given = dict(parse_qsl(urlsplit(answer.headers["location"]).query))
        root = etree.fromstring(zlib.decompress(base64.b64decode(given["SAMLRequest"]), -15))
        return str(root.get("ID")), root

    def saying(self, request: str | None, **changes: Any) -> Saying:
        number = next(self.numbers)
        given: dict[str, Any] = {"id": f"_a{number}", "issuer": self.entity_id, **changes}
        return Saying(request=request, now=self.world.clock(), **given)

    def message(
        self,
        saying: Saying,
        *,
        sign: str = "assertion",
        key: KeyPair | None = None,
        change: Callable[[Any], Any] | None = None,
        **how: Any,
    ) -> bytes:
        """A Response, signed at `assertion`, `response`, `both` or `nothing`."""
        key = key or self.key
        inner = saying.assertion()
        if saying.status[0] != "Success":
            inner = ""
        elif sign in ("assertion", "both"):
            inner = etree.tostring(signed(inner, key, **how)).decode()
        text = saying.response(inner)
        root = signed(text, key, **how) if sign in ("response", "both") else etree.fromstring(text)
        if change is not None:
            root = change(root)
        return bytes(etree.tostring(root))

    def post(self, data: bytes, **more: str) -> httpx2.Response:
        """What another site's form posts: without our cookies."""
        fields = {"SAMLResponse": base64.b64encode(data).decode(), **more}
        return self.world.post(
            "/saml/acs",
            content=urlencode(fields),
            headers={
                "content-type": "application/x-www-form-urlencoded",
                "origin": "https://idp.corp.test",
                "sec-fetch-site": "cross-site",
            },
        )

    def bring(self, surfer: Surfer, data: bytes, **more: str) -> httpx2.Response:
        """Post it, and follow with the browser's cookies."""
        answer = self.post(data, **more)
        if answer.status_code != 303:
            return answer
        return surfer.get(answer.headers["location"])

    def sign_in(self, surfer: Surfer, **changes: Any) -> httpx2.Response:
        """The whole way, as a decent provider does it."""
        request, _ = self.asked(surfer)
        return self.bring(surfer, self.message(self.saying(request, **changes)))

    def logout(self, name_id: str = "ada-there", *indexes: str, **more: Any) -> str:
        """A LogoutRequest as XML."""
        format_ = more.pop("format", FORMATS["persistent"])
        head = _attributes(
            **{
                "ID": f"_l{next(self.numbers)}",
                "Version": "2.0",
                "IssueInstant": to_iso(self.world.clock()),
                "NotOnOrAfter": to_iso(after(self.world.clock(), 300)),
                "Destination": SP_SLO,
                **more,
            }
        )
        sessions = "".join(f"<samlp:SessionIndex>{one}</samlp:SessionIndex>" for one in indexes)
        return (
            f'<samlp:LogoutRequest xmlns:samlp="{SAMLP}" xmlns:saml="{SAML}"{head}>'
            f"<saml:Issuer>{self.entity_id}</saml:Issuer>"
            f"<saml:NameID{_attributes(Format=format_)}>{name_id}</saml:NameID>{sessions}"
            "</samlp:LogoutRequest>"
        )

    def send(self, message: str, key: KeyPair | None = None, **more: str) -> httpx2.Response:
        """A message by HTTP-Redirect."""
        query = redirect_query(message, key=key or self.key, **more)
        return self.world.get(f"/saml/sp/slo?{query}")

    def soap(self, message: str, key: KeyPair | None = None) -> httpx2.Response:
        """A message by SOAP, signed within."""
        root = etree.Element("{http://schemas.xmlsoap.org/soap/envelope/}Envelope")
        body = etree.SubElement(root, "{http://schemas.xmlsoap.org/soap/envelope/}Body")
        body.append(signed(message, key or self.key))
        return self.world.post(
            "/saml/sp/slo", content=etree.tostring(root), headers={"content-type": "text/xml"}
        )


def wrapped_copy(node: Any) -> Any:
    """A deep copy without its signature."""
    found = copy.deepcopy(node)
    for signature in found.findall(f"{{{DS}}}Signature"):
        found.remove(signature)
    return found


def encrypted(
    root: Any,
    certificate: bytes,
    *,
    method: Any = xmlsec.constants.TransformAes256Gcm,
    wrap: Any = xmlsec.constants.TransformRsaOaep,
    key_type: Any = None,
) -> Any:
    """A Response whose assertion is encrypted as libxmlsec does it."""
    manager = xmlsec.KeysManager()
    key = xmlsec.Key.from_memory(certificate, xmlsec.constants.KeyDataFormatCertDer)
    manager.add_key(key)
    assertion = root.find(f"{{{SAML}}}Assertion")
    data = xmlsec.template.encrypted_data_create(
        assertion, method, type=xmlsec.constants.TypeEncElement, ns="xenc"
    )
    xmlsec.template.encrypted_data_ensure_cipher_value(data)
    info = xmlsec.template.encrypted_data_ensure_key_info(data, ns="ds")
    inner = xmlsec.template.add_encrypted_key(info, wrap)
    xmlsec.template.encrypted_data_ensure_cipher_value(inner)
    context = xmlsec.EncryptionContext(manager)
    kind, bits = key_type or (xmlsec.constants.KeyDataAes, 256)
    context.key = xmlsec.Key.generate(kind, bits, xmlsec.constants.KeyDataTypeSession)
    holder = etree.Element(f"{{{SAML}}}EncryptedAssertion")
    assertion.getparent().replace(assertion, holder)
    holder.append(assertion)
    context.encrypt_xml(data, assertion)
    return root
