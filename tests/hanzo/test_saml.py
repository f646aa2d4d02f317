"""`login` of type `saml`: the SAML door answers, and their page posts what it gets."""

import base64
import zlib
from typing import Any

import httpx2
from lxml import etree

from iam.kernel.clock import to_iso
from tests.hanzo.conftest import Legacy, bad
from tests.hanzo.test_sign_in import SHOP, login
from tests.saml.conftest import SAML, SAMLP, SSO, sp_metadata

ENTITY, CONSUMER = "https://acme.example/saml", "https://acme.example/saml/acs"


def _register(legacy: Legacy, **members: Any) -> None:
    body = {"metadata": sp_metadata(ENTITY, (CONSUMER,)), **members}
    path = "/v1/applications/acme/shop/saml"
    made = legacy.world.request("PUT", path, json=body, headers=legacy.world.admin)
    assert made.status_code == 200, made.text


def _request(legacy: Legacy, number: int, issuer: str = ENTITY) -> bytes:
    return (
        f'<samlp:AuthnRequest xmlns:samlp="{SAMLP}" xmlns:saml="{SAML}" ID="_r{number}" '
        f'Version="2.0" IssueInstant="{to_iso(legacy.world.clock())}" Destination="{SSO}">'
        f"<saml:Issuer>{issuer}</saml:Issuer></samlp:AuthnRequest>"
    ).encode()


def _packed(message: bytes) -> str:
    pack = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return base64.b64encode(pack.compress(message) + pack.flush()).decode()


def _response(answer: httpx2.Response) -> Any:
    assert answer.json()["status"] == "ok", answer.text
    return etree.fromstring(base64.b64decode(answer.json()["data"]))


def test_a_request_is_answered_for_whoever_signs_in(both: Legacy) -> None:
    _register(both)
    for number, text in enumerate(
        (_packed(_request(both, 0)), base64.b64encode(_request(both, 1)).decode())
    ):
        body = SHOP | {"type": "saml", "samlRequest": text, "relayState": "there"}

        answer = login(both, body)

        root = _response(answer)
        assert root.get("InResponseTo") == f"_r{number}"
        [index] = root.xpath("//@SessionIndex")
        assert index in both.live("acme", "ann", "shop")
        there = answer.json()
        assert there["data2"] == {"redirectUrl": CONSUMER, "method": "POST"}
        assert there["data3"] == "there"
        assert bad(login(both, body)), "each request is answered once"


def test_the_session_that_is_there_answers_too(both: Legacy) -> None:
    _register(both)
    cookie = {"cookie": f"casdoor_session_id={both.token('acme', 'ann')}"}
    body = {"type": "saml", "samlRequest": _packed(_request(both, 2)), "application": "shop"}

    root = _response(login(both, body | {"organization": "acme"}, headers=cookie))

    [index] = root.xpath("//@SessionIndex")
    assert both.live("acme", "ann", "shop") == [index]


def test_what_is_not_right_is_not_answered(legacy: Legacy) -> None:
    _register(legacy)
    strange = _packed(_request(legacy, 3, issuer="https://strange.example"))
    for text in (strange, "nonsense", "A" * 300_000, 7):
        assert bad(login(legacy, SHOP | {"type": "saml", "samlRequest": text}))
    other = SHOP | {"application": "office", "type": "saml"}
    answer = login(legacy, other | {"samlRequest": _packed(_request(legacy, 4))})
    assert bad(answer) == "The application and its request do not go together."
    assert legacy.live("acme", "ann", "shop") == []
    unasked = login(legacy, SHOP | {"type": "saml"})
    assert "start from its own page" in bad(unasked)


def test_their_addresses_lead_to_ours(legacy: Legacy) -> None:
    get = legacy.world.get
    there = get("/api/saml/metadata?application=admin/shop").headers["location"]
    assert get(there).status_code == 200
    led = get("/api/saml/redirect/admin/shop?SAMLRequest=x&RelayState=y")
    assert led.headers["location"] == "/saml/sso?SAMLRequest=x&RelayState=y"
