"""A service provider in the test's own hands, so that it can also do what a decent one never would."""

import base64
import html
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, quote_plus, urlencode, urlsplit

import httpx2
import pytest
import xmlsec
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from lxml import etree

from iam.db.tables import metadata as tables
from iam.kernel.clock import after, to_iso
from tests.support.world import ISSUER, World, make_world

SAML = "urn:oasis:names:tc:SAML:2.0:assertion"
SAMLP = "urn:oasis:names:tc:SAML:2.0:protocol"
DS = "http://www.w3.org/2000/09/xmldsig#"
NS = {"saml": SAML, "samlp": SAMLP, "ds": DS, "md": "urn:oasis:names:tc:SAML:2.0:metadata"}
FORMATS = {
    "persistent": "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent",
    "transient": "urn:oasis:names:tc:SAML:2.0:nameid-format:transient",
    "emailAddress": "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress",
    "unspecified": "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified",
}
RSA_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
PPT = "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport"
SSO, SLO = f"{ISSUER}/saml/sso", f"{ISSUER}/saml/slo"
BINDINGS = "urn:oasis:names:tc:SAML:2.0:bindings:"
BACK = "https://wiki.acme.test/slo"


@dataclass
class KeyPair:
    """A key of a provider's, and its certificate."""

    private: Any
    certificate: x509.Certificate

    @property
    def pem(self) -> bytes:
        return bytes(self.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))

    @property
    def text(self) -> str:
        return base64.b64encode(self.certificate.public_bytes(Encoding.DER)).decode()


def make_key_pair(kind: str = "rsa", bits: int = 2048) -> KeyPair:
    private: Any = (
        rsa.generate_private_key(65537, bits)
        if kind == "rsa"
        else ec.generate_private_key(ec.SECP256R1())
    )
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sp")])
    start = datetime(2020, 1, 1, tzinfo=UTC)  # expired long ago: nobody looks
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(1)
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=1))
        .sign(private, hashes.SHA256())
    )
    return KeyPair(private, certificate)


@pytest.fixture(scope="session")
def keys() -> KeyPair:
    return make_key_pair()


@pytest.fixture(scope="session")
def strange_keys() -> KeyPair:
    """Somebody else's."""
    return make_key_pair()


def sp_metadata(
    entity_id: str,
    consumers: tuple[str, ...],
    key: KeyPair | None = None,
    logout: tuple[tuple[str, str], ...] = (),
    attributes: str = "",
) -> str:
    """Metadata of a service provider. `logout`: (binding's last word, address)."""
    info = (
        f'<md:KeyDescriptor use="signing"><ds:KeyInfo><ds:X509Data><ds:X509Certificate>{key.text}'
        "</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>"
        if key
        else ""
    )
    ends = "".join(
        f'<md:SingleLogoutService Binding="{BINDINGS}{binding}" Location="{url}"/>'
        for binding, url in logout
    )
    acs = "".join(
        f'<md:AssertionConsumerService Binding="{BINDINGS}HTTP-POST" Location="{url}" '
        f'index="{number}"/>'
        for number, url in enumerate(consumers)
    )
    return (
        f'<md:EntityDescriptor xmlns:md="{NS["md"]}" xmlns:ds="{DS}" entityID="{entity_id}">'
        f'<!-- made by hand --><md:SPSSODescriptor protocolSupportEnumeration="{SAMLP}" {attributes}>'
        f"{info}{ends}{acs}</md:SPSSODescriptor></md:EntityDescriptor>"
    )


@dataclass
class Reply:
    """A form that a browser would post: where to, and the message in it."""

    url: str
    root: Any
    relay_state: str | None

    def one(self, path: str) -> Any:
        found = self.root.xpath(path, namespaces=NS)
        assert len(found) == 1, (path, etree.tostring(self.root))
        return found[0]

    @property
    def statuses(self) -> list[str]:
        return [one.split(":")[-1] for one in self.root.xpath("//@Value", namespaces=NS)]

    @property
    def session_id(self) -> str:
        return str(self.one("//saml:AuthnStatement/@SessionIndex"))

    @property
    def name_id(self) -> Any:
        return self.one("//saml:Subject/saml:NameID")


@dataclass
class Stage:
    """Organization `acme` with ada and bob, application `wiki`, a service provider; its browser."""

    world: World
    key: KeyPair
    entity_id: str = "https://wiki.acme.test/saml"
    consumer: str = "https://wiki.acme.test/acs"
    numbers: Any = field(default_factory=lambda: iter(range(1, 10**6)))
    client_ids: dict[str, str] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)

    def populate(self) -> None:
        world = self.world
        for organization, users in (("acme", ("ada", "bob")), ("globex", ("eve",))):
            world.make_organization(organization)
            for user in users:
                world.make_user(organization, user, email=f"{user}@{organization}.test")
        for name in ("wiki", "shop"):
            made = world.make_application("acme", name)
            self.client_ids[name] = made["client_id"]
        self.register()

    def register(self, application: str = "wiki", /, **options: Any) -> httpx2.Response:
        """Register an application, with `metadata` or the usual one."""
        entity = f"https://{application}.acme.test/saml"
        usual = sp_metadata(entity, (f"https://{application}.acme.test/acs",), self.key)
        answer = self.world.request(
            "PUT",
            f"/v1/applications/acme/{application}/saml",
            json={"metadata": usual, **options},
            headers=self.world.admin,
        )
        assert answer.status_code == 200, answer.text
        return answer

    def cookie(self, user: str = "ada", organization: str = "acme") -> dict[str, str]:
        """Headers of a browser in which somebody has just signed in."""
        token = self.tokens[user] = self.world.sign_in(organization, user)
        return {"cookie": f"iam={token}"}

    def request(self, inside: str = "", /, issuer: str | None = None, **attributes: Any) -> str:
        """An AuthnRequest as XML; an attribute that is None is left out."""
        given: dict[str, Any] = {
            "ID": f"_r{next(self.numbers)}",
            "Version": "2.0",
            "IssueInstant": to_iso(self.world.clock()),
            "Destination": SSO,
            "AssertionConsumerServiceURL": self.consumer,
            **attributes,
        }
        text = " ".join(f'{name}="{value}"' for name, value in given.items() if value is not None)
        return (
            f'<samlp:AuthnRequest xmlns:samlp="{SAMLP}" xmlns:saml="{SAML}" {text}>'
            f"<saml:Issuer>{issuer or self.entity_id}</saml:Issuer>{inside}</samlp:AuthnRequest>"
        )

    def logout(
        self, name_id: Any, *indexes: str, inside: str = "", issuer: str | None = None, **more: Any
    ) -> str:
        """A LogoutRequest as XML, for the NameID element of an assertion."""
        given: dict[str, Any] = {
            "ID": f"_l{next(self.numbers)}",
            "Version": "2.0",
            "IssueInstant": to_iso(self.world.clock()),
            "NotOnOrAfter": to_iso(after(self.world.clock(), 300)),
            "Destination": SLO,
            **more,
        }
        text = " ".join(f'{name}="{value}"' for name, value in given.items() if value is not None)
        named = name_id if isinstance(name_id, str) else etree.tostring(name_id).decode()
        sessions = "".join(f"<samlp:SessionIndex>{one}</samlp:SessionIndex>" for one in indexes)
        return (
            f'<samlp:LogoutRequest xmlns:samlp="{SAMLP}" xmlns:saml="{SAML}" {text}>'
            f"<saml:Issuer>{issuer or self.entity_id}</saml:Issuer>{named}{sessions}{inside}"
            "</samlp:LogoutRequest>"
        )

    def redirect(
        self,
        message: str | bytes,
        headers: dict[str, str] | None = None,
        *,
        key: KeyPair | None = None,
        path: str = "/saml/sso",
        kind: str = "SAMLRequest",
        **more: str,
    ) -> httpx2.Response:
        """Send a message by HTTP-Redirect, signed if a key is given."""
        return self.world.get(
            f"{path}?{redirect_query(message, key=key, kind=kind, **more)}", headers=headers or {}
        )

    def post(
        self,
        message: str | bytes,
        headers: dict[str, str] | None = None,
        *,
        path: str = "/saml/sso",
        kind: str = "SAMLRequest",
        **more: str,
    ) -> httpx2.Response:
        """Send a message by HTTP-POST, as another site's form does: without our cookie."""
        data = message.encode() if isinstance(message, str) else message
        body = urlencode({kind: base64.b64encode(data).decode(), **more})
        form = {"content-type": "application/x-www-form-urlencoded"}
        return self.world.post(path, content=body, headers={**form, **(headers or {})})

    def follow(self, answer: httpx2.Response, headers: dict[str, str]) -> httpx2.Response:
        """Where an answer leads, with this browser's cookie."""
        assert answer.status_code == 303, answer.text
        return self.world.get(answer.headers["location"], headers=headers)

    def enter(
        self, headers: dict[str, str], inside: str = "", /, relay: str | None = None, **more: Any
    ) -> Reply:
        """Sign in at the provider by an unsigned request."""
        text = self.request(inside, **more)
        kept = self.redirect(text) if relay is None else self.redirect(text, RelayState=relay)
        return reply_of(self.follow(kept, headers))

    def session(self, session_id: str) -> dict[str, Any]:
        answer = self.world.get(f"/v1/sessions/{session_id}", headers=self.world.admin)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def rows(self, *names: str) -> dict[str, list[Any]]:
        """What is stored, but for what an administrator's look leaves, and the references of error pages."""

        def work(connection: Any) -> dict[str, list[Any]]:
            return {
                table.name: sorted(
                    text
                    for row in connection.execute(table.select())
                    if "'page.refused'" not in (text := repr(row))
                )
                for table in tables.sorted_tables
                if not names or table.name in names
            }

        return dict(self.world.engine.database.read(work))


def register(stage: Stage, application: str, *logout: tuple[str, str], **options: Any) -> None:
    """Register an application with these logout services."""
    text = sp_metadata(
        f"https://{application}.acme.test/saml",
        (f"https://{application}.acme.test/acs",),
        stage.key,
        logout,
    )
    stage.register(application, metadata=text, **options)


def redirect_query(
    message: str | bytes, *, key: KeyPair | None = None, kind: str = "SAMLRequest", **more: str
) -> str:
    """The query of a message by HTTP-Redirect."""
    data = message.encode() if isinstance(message, str) else message
    pack = zlib.compressobj(9, zlib.DEFLATED, -15)
    parts = {kind: base64.b64encode(pack.compress(data) + pack.flush()).decode(), **more}
    if key is not None:
        parts["SigAlg"] = RSA_SHA256
    query = "&".join(f"{name}={quote_plus(value)}" for name, value in parts.items())
    if key is None:
        return query
    signature = key.private.sign(query.encode(), padding.PKCS1v15(), hashes.SHA256())
    return f"{query}&Signature={quote_plus(base64.b64encode(signature).decode())}"


def signed(
    message: str,
    key: KeyPair,
    *,
    method: Any = xmlsec.constants.TransformRsaSha256,
    digest: Any = xmlsec.constants.TransformSha256,
    canonical: Any = xmlsec.constants.TransformExclC14N,
) -> Any:
    """The message as a tree with an enveloped signature."""
    root: Any = etree.fromstring(message)
    template = xmlsec.template.create(root, canonical, method, ns="ds")
    root.insert(1, template)
    reference = xmlsec.template.add_reference(template, digest, uri=f"#{root.get('ID')}")
    xmlsec.template.add_transform(reference, xmlsec.constants.TransformEnveloped)
    xmlsec.template.add_transform(reference, canonical)
    context = xmlsec.SignatureContext()
    context.key = xmlsec.Key.from_memory(key.pem, xmlsec.constants.KeyDataFormatPem)
    context.register_id(root, "ID", None)
    context.sign(template)
    return root


def reply_of(answer: httpx2.Response) -> Reply:
    """The message that a page would post."""
    assert answer.status_code == 200, (answer.status_code, answer.headers, answer.text)
    fields = dict(re.findall(r'name="(\w+)" value="([^"]*)"', answer.text))
    action = re.search(r'action="([^"]*)" data-post', answer.text)
    assert action is not None, answer.text
    data = base64.b64decode(html.unescape(fields["SAMLResponse"]))
    relay = fields.get("RelayState")
    return Reply(
        html.unescape(action[1]),
        etree.fromstring(data),
        html.unescape(relay) if relay is not None else None,
    )


def redirected(answer: httpx2.Response) -> tuple[str, Any, dict[str, str]]:
    """Where a redirect with a message leads, the message, and the other parameters."""
    assert answer.status_code == 303, answer.text
    location = answer.headers["location"]
    query = dict(parse_qsl(urlsplit(location).query))
    kind = "SAMLResponse" if "SAMLResponse" in query else "SAMLRequest"
    data = zlib.decompress(base64.b64decode(query.pop(kind)), -15)
    return location.partition("?")[0], etree.fromstring(data), query


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, keys: KeyPair) -> Iterator[Stage]:
    """One server for a module's tests: each signs in anew, and time only goes on."""
    path = tmp_path_factory.mktemp("stage") / "iam.db"
    with make_world(f"sqlite:///{path}") as world:
        made = Stage(world, keys)
        made.populate()
        yield made


@pytest.fixture
def own_stage(both_worlds: World, keys: KeyPair) -> Stage:
    """A test's own, on each kind of database."""
    made = Stage(both_worlds, keys)
    made.populate()
    return made


@pytest.fixture
def ready(own_stage: Stage) -> Stage:
    """The usual, where the application takes answers to its logouts by redirect."""
    register(own_stage, "wiki", ("HTTP-Redirect", BACK))
    return own_stage
