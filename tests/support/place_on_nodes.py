"""An organization with a user and two applications, reached by every door there is."""

import base64
import secrets
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlencode

from tests.support.node_client import ADMIN_PASSWORD
from tests.support.node_http import Node

PASSWORD = "open sesame 1"
CALLBACK = "https://wiki.example/callback"
AFTER_LOGOUT = "https://wiki.example/bye"
DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
_SAML = "urn:oasis:names:tc:SAML:2.0"


def administrator(node: Node) -> str:
    """The token of an administrator of the installation."""
    body = {"organization": "built-in", "username": "admin", "password": ADMIN_PASSWORD}
    return str(node.ask("POST", "/v1/sign-in", body=body)["token"])


@dataclass(frozen=True)
class Client:
    """An application's credentials."""

    id: str
    secret: str

    @property
    def basic(self) -> str:
        """As a header."""
        return "Basic " + base64.b64encode(f"{self.id}:{self.secret}".encode()).decode()


@dataclass(frozen=True)
class Place:
    """User `ana`; application `wiki`: an OpenID client that may refresh and exchange and is told of ends, a
    SAML provider, and behind the gate; application `mail` for devices and for staying signed in."""

    name: str
    host: str
    wiki: Client
    mail: Client

    def saml_request(self) -> str:
        """The path of a fresh request of the SAML provider."""
        sent_at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        xml = (
            f'<samlp:AuthnRequest xmlns:samlp="{_SAML}:protocol" xmlns:saml="{_SAML}:assertion" '
            f'ID="_{secrets.token_hex(16)}" Version="2.0" IssueInstant="{sent_at}">'
            f"<saml:Issuer>{_entity(self.name)}</saml:Issuer></samlp:AuthnRequest>"
        )
        packed = zlib.compress(xml.encode(), wbits=-15)
        return f"/saml/sso?{urlencode({'SAMLRequest': base64.b64encode(packed).decode()})}"


def _entity(name: str) -> str:
    return f"https://wiki.example/{name}"


def make_place(node: Node, admin: str, name: str) -> Place:
    """Make it."""
    host = f"{name}.example"
    node.ask("POST", "/v1/organizations", token=admin, body={"name": name})
    user = {"organization": name, "name": "ana", "password": PASSWORD}
    node.ask("POST", "/v1/users", token=admin, body=user)
    wiki = {
        "organization": name,
        "name": "wiki",
        "gate_hosts": [host],
        "redirect_uris": [CALLBACK],
        "post_logout_redirect_uris": [AFTER_LOGOUT],
        "grant_types": ["authorization_code", "refresh_token", EXCHANGE],
        # Nobody is there: what counts is that there is something to be sent.
        "backchannel_logout_uri": "http://127.0.0.1:1/logout",
    }
    mail = {
        "organization": name,
        "name": "mail",
        "redirect_uris": [CALLBACK],
        "grant_types": ["authorization_code", "refresh_token", DEVICE_CODE],
    }
    made = [node.ask("POST", "/v1/applications", token=admin, body=one) for one in (wiki, mail)]
    metadata = (
        f'<md:EntityDescriptor xmlns:md="{_SAML}:metadata" entityID="{_entity(name)}">'
        f'<md:SPSSODescriptor protocolSupportEnumeration="{_SAML}:protocol">'
        f'<md:AssertionConsumerService Binding="{_SAML}:bindings:HTTP-POST" '
        f'Location="https://wiki.example/acs" index="0"/></md:SPSSODescriptor></md:EntityDescriptor>'
    )
    path = f"/v1/applications/{name}/wiki/saml"
    node.ask("PUT", path, token=admin, body={"metadata": metadata})
    return Place(name, host, *(Client(one["client_id"], one["client_secret"]) for one in made))
