"""Single sign-on: what a service provider is told, and that it is true."""

import base64

import pytest
import xmlsec
from lxml import etree
from sqlalchemy import select

from iam.db.saml_tables import saml_key
from iam.kernel.clock import to_iso
from iam.kernel.secrets import system_random
from iam.server.build import prepare_database
from iam.settings import load_settings
from tests.saml.conftest import (
    FORMATS,
    NS,
    PPT,
    SAMLP,
    KeyPair,
    Stage,
    make_key_pair,
    redirect_query,
    reply_of,
    signed,
    sp_metadata,
)
from tests.support.world import ISSUER, make_world

NEW = "11" * 32


def certificate_of(stage: Stage) -> bytes:
    root = etree.fromstring(stage.world.get("/saml/metadata").content)
    text = root.findtext(".//ds:X509Certificate", namespaces=NS)
    return base64.b64decode(text or "")


def verify(stage: Stage, node: object) -> None:
    """Check an element's own signature with the certificate in our metadata."""
    context = xmlsec.SignatureContext()
    context.key = xmlsec.Key.from_memory(
        certificate_of(stage), xmlsec.constants.KeyDataFormatCertDer
    )
    context.register_id(node, "ID", None)
    found = node.find("ds:Signature", namespaces=NS)  # type: ignore[attr-defined]  # a tree's node
    assert found.find(".//ds:Reference", namespaces=NS).get("URI") == "#" + node.get("ID")  # type: ignore[attr-defined]  # the same
    context.verify(found)


def test_the_metadata_is_signed_and_says_where_everything_is(stage: Stage) -> None:
    answer = stage.world.get("/saml/metadata")
    root = etree.fromstring(answer.content)

    assert answer.headers["content-type"].startswith("application/samlmetadata+xml")
    assert root.get("entityID") == f"{ISSUER}/saml/metadata"
    verify(stage, root)
    places = root.xpath("//md:SingleSignOnService/@Location", namespaces=NS)
    assert set(places) == {f"{ISSUER}/saml/sso"}


def test_the_metadata_names_the_same_key_each_time(own_stage: Stage) -> None:
    assert certificate_of(own_stage) == certificate_of(own_stage)


def test_a_request_by_redirect_ends_in_a_signed_response_about_a_session_of_the_application(
    own_stage: Stage,
) -> None:
    stage = own_stage
    browser = stage.cookie()
    stage.world.clock.move(600)

    reply = stage.enter(browser, relay="where/from?", ID="_mine")

    session = stage.session(reply.session_id)
    assert (session["application"], session["user"], session["state"]) == ("wiki", "ada", "active")
    assert session["parent"] == stage.tokens["ada"].split(".")[0]
    assert reply.url == stage.consumer
    assert reply.relay_state == "where/from?"
    assert reply.statuses == ["Success"]
    verify(stage, reply.one("/samlp:Response"))
    verify(stage, reply.one("//saml:Assertion"))
    assert reply.one("/samlp:Response/@InResponseTo") == "_mine"
    assert reply.one("//saml:SubjectConfirmationData/@InResponseTo") == "_mine"
    assert reply.one("//saml:SubjectConfirmationData/@Recipient") == stage.consumer
    assert reply.one("//saml:Audience").text == stage.entity_id
    assert reply.one("//saml:AuthnStatement/@SessionNotOnOrAfter") == session["expires_at"]
    assert reply.one("//saml:AuthnStatement/@AuthnInstant") == session["authenticated_at"]
    assert session["authenticated_at"] != to_iso(stage.world.clock())
    assert reply.one("//saml:AuthnContextClassRef").text == PPT


def test_whoever_is_not_signed_in_signs_in_and_the_posted_request_is_still_there(
    stage: Stage,
) -> None:
    answer = stage.post(stage.request(ID="_posted"), RelayState="deep/link")
    to_sign_in = stage.follow(answer, {})

    assert to_sign_in.headers["location"].startswith("/sign-in?")
    stage.world.clock.move(60)
    page = stage.world.get(to_sign_in.headers["location"])
    assert "/saml/sso?request=" in page.text

    reply = reply_of(stage.world.get(answer.headers["location"], headers=stage.cookie()))

    assert reply.one("/samlp:Response/@InResponseTo") == "_posted"
    assert reply.relay_state == "deep/link"


def test_entering_again_gives_the_same_session_id(stage: Stage) -> None:
    browser = stage.cookie()

    assert stage.enter(browser).session_id == stage.enter(browser).session_id


def test_the_page_posts_to_the_application_and_nowhere_else(stage: Stage) -> None:
    page = stage.follow(stage.redirect(stage.request()), stage.cookie())

    policy = page.headers["content-security-policy"]
    assert f"form-action 'self' {stage.consumer};" in policy
    assert page.headers["cache-control"] == "no-store"
    assert "<button" in page.text


def test_a_persistent_name_is_always_the_same_and_another_at_each_provider(stage: Stage) -> None:
    stage.register("shop")
    names = [stage.enter(stage.cookie()).name_id for _ in range(2)]
    elsewhere = stage.enter(
        stage.cookie(),
        issuer="https://shop.acme.test/saml",
        AssertionConsumerServiceURL="https://shop.acme.test/acs",
    ).name_id

    assert names[0].text == names[1].text
    assert names[0].get("Format") == FORMATS["persistent"]
    assert names[0].get("SPNameQualifier") == stage.entity_id
    assert elsewhere.text != names[0].text
    assert "ada" not in names[0].text


def policy(format_: str) -> str:
    return f'<samlp:NameIDPolicy Format="{FORMATS[format_]}" AllowCreate="true"/>'


def test_a_transient_name_lasts_as_long_as_the_session(stage: Stage) -> None:
    first, second = stage.cookie(), stage.cookie()

    names = [stage.enter(b, policy("transient")).name_id.text for b in (first, first, second)]

    assert names[0] == names[1] != names[2]


def test_a_name_that_says_something_is_given_only_where_an_administrator_said_so(
    own_stage: Stage,
) -> None:
    stage = own_stage
    asked = policy("emailAddress")

    assert stage.enter(stage.cookie(), asked).statuses == ["Responder", "InvalidNameIDPolicy"]
    stage.register(name_id_format="emailAddress")
    assert stage.enter(stage.cookie(), asked).name_id.text == "ada@acme.test"
    stage.register(name_id_format="unspecified")
    assert stage.enter(stage.cookie()).name_id.text == "ada"


def test_the_attributes_are_those_that_an_administrator_chose(own_stage: Stage) -> None:
    stage = own_stage
    assert stage.enter(stage.cookie()).root.xpath("//saml:Attribute", namespaces=NS) == []
    stage.register(attributes={"mail": "email", "urn:oid:2.5.4.3": "display_name"})

    found = stage.enter(stage.cookie()).root.xpath("//saml:Attribute", namespaces=NS)

    told = {one.get("Name"): [value.text for value in one] for one in found}
    assert told == {"mail": ["ada@acme.test"], "urn:oid:2.5.4.3": ["ada"]}


@pytest.mark.parametrize("binding", ["redirect", "post"])
def test_a_provider_that_signs_is_believed_only_with_its_signature(
    own_stage: Stage, strange_keys: KeyPair, binding: str
) -> None:
    stage = own_stage
    stage.register(require_signed_requests=True)

    def send(key: KeyPair | None) -> int:
        text = stage.request()
        if binding == "redirect":
            return stage.redirect(text, key=key).status_code
        data = etree.tostring(signed(text, key)) if key else text
        return stage.post(data).status_code

    assert [send(None), send(strange_keys), send(stage.key)] == [422, 422, 303]


def test_a_provider_may_sign_with_ecdsa(own_stage: Stage) -> None:
    stage, key = own_stage, make_key_pair("ec")
    described = sp_metadata(
        stage.entity_id, (stage.consumer,), key, attributes='AuthnRequestsSigned="true"'
    )
    stage.register(metadata=described)
    root = signed(stage.request(), key, method=xmlsec.constants.TransformEcdsaSha256)

    assert stage.post(etree.tostring(root)).status_code == 303


def test_force_authn_is_answered_only_by_somebody_who_signed_in_for_it(stage: Stage) -> None:
    browser = stage.cookie()
    stage.world.clock.move(1)
    kept = stage.redirect(stage.request(ForceAuthn="true"))

    again = stage.follow(kept, browser)
    assert "prompt=login" in again.headers["location"]
    stage.world.clock.move(1)

    reply = reply_of(stage.follow(kept, stage.cookie()))
    assert reply.one("//saml:AuthnStatement/@AuthnInstant") == to_iso(stage.world.clock())


def test_a_passive_request_shows_no_page(stage: Stage) -> None:
    assert stage.enter({}, IsPassive="true").statuses == ["Responder", "NoPassive"]
    stage.world.clock.move(1)
    both = {"IsPassive": "true", "ForceAuthn": "true"}
    browser = stage.cookie()
    stage.world.clock.move(1)
    assert stage.enter(browser, **both).statuses == ["Responder", "NoPassive"]
    assert stage.enter(browser, IsPassive="true").statuses == ["Success"]


CLASS = "urn:oasis:names:tc:SAML:2.0:ac:classes:"


@pytest.mark.parametrize(
    ("comparison", "classes", "told"),
    [
        ("exact", ["PasswordProtectedTransport"], "PasswordProtectedTransport"),
        ("exact", ["X509", "Password"], "Password"),
        ("exact", ["TimeSyncToken"], None),
        ("minimum", ["Password"], "PasswordProtectedTransport"),
        ("minimum", ["SmartcardPKI"], None),
        ("better", ["Password"], "PasswordProtectedTransport"),
        ("better", ["PasswordProtectedTransport"], None),
        ("better", ["Password", "Kerberos"], None),
        ("maximum", ["Password"], "Password"),
        ("maximum", ["unspecified"], "unspecified"),
    ],
)
def test_the_class_of_authentication_is_what_was_asked_for_or_nothing(
    stage: Stage, comparison: str, classes: list[str], told: str | None
) -> None:
    inside = "".join(
        f"<saml:AuthnContextClassRef>{CLASS}{one}</saml:AuthnContextClassRef>" for one in classes
    )
    wanted = (
        f'<samlp:RequestedAuthnContext xmlns:samlp="{SAMLP}" Comparison="{comparison}">{inside}'
        "</samlp:RequestedAuthnContext>"
    )

    reply = stage.enter(stage.cookie(), wanted)

    if told is None:
        assert reply.statuses == ["Responder", "NoAuthnContext"]
    else:
        assert reply.one("//saml:AuthnContextClassRef").text == CLASS + told


def test_a_refused_class_leaves_no_session(own_stage: Stage) -> None:
    browser = own_stage.cookie()
    before = own_stage.rows("session", "session_record", "saml_session")
    wanted = (
        "<samlp:RequestedAuthnContext><saml:AuthnContextDeclRef>urn:x</saml:AuthnContextDeclRef>"
        "</samlp:RequestedAuthnContext>"
    )

    assert own_stage.enter(browser, wanted).statuses == ["Responder", "NoAuthnContext"]

    assert own_stage.rows("session", "session_record", "saml_session") == before


def test_a_provider_that_means_somebody_else_is_given_nobody(stage: Stage) -> None:
    ada = stage.enter(stage.cookie()).name_id
    subject = "<saml:Subject>" + etree.tostring(ada).decode() + "</saml:Subject>"

    assert stage.enter(stage.cookie("ada"), subject).statuses == ["Success"]
    assert stage.enter(stage.cookie("bob"), subject).statuses == [
        "Responder",
        "UnknownPrincipal",
    ]


def test_somebody_of_another_organization_has_to_sign_in_as_one_of_this(stage: Stage) -> None:
    answer = stage.follow(stage.redirect(stage.request()), stage.cookie("eve", "globex"))

    assert answer.headers["location"].startswith("/sign-in?")


def test_idp_initiated_sign_on_is_off_until_an_administrator_allows_it(own_stage: Stage) -> None:
    stage = own_stage
    link = f"/saml/sso?application={stage.client_ids['wiki']}"

    assert stage.world.get(link, headers=stage.cookie()).status_code == 422
    stage.register(allow_idp_initiated=True)
    reply = reply_of(stage.world.get(link, headers=stage.cookie()))

    assert reply.root.get("InResponseTo") is None
    assert reply.url == stage.consumer


def test_another_binding_for_the_answer_is_refused_in_the_answer(stage: Stage) -> None:
    artifact = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Artifact"

    assert stage.enter(stage.cookie(), ProtocolBinding=artifact).statuses == [
        "Requester",
        "UnsupportedBinding",
    ]


def test_an_ended_session_is_over_and_the_next_request_gets_another(stage: Stage) -> None:
    browser = stage.cookie()
    first = stage.enter(browser).session_id

    stage.world.delete(f"/v1/sessions/{first}", headers=stage.world.admin)

    assert stage.session(first)["state"] == "ended"
    assert stage.enter(browser).session_id != first


def test_a_disabled_application_takes_nobody(own_stage: Stage) -> None:
    stage = own_stage
    kept = stage.redirect(stage.request())
    stage.world.patch(
        "/v1/applications/acme/wiki", json={"enabled": False}, headers=stage.world.admin
    )

    assert stage.redirect(stage.request()).status_code == 422
    assert stage.follow(kept, stage.cookie()).status_code == 422


def test_an_application_of_a_disabled_organization_takes_nobody(own_stage: Stage) -> None:
    stage = own_stage
    kept, browser = stage.redirect(stage.request()), stage.cookie()
    done = stage.world.patch(
        "/v1/organizations/acme", json={"enabled": False}, headers=stage.world.admin
    )
    assert done.status_code == 200

    assert stage.redirect(stage.request()).status_code == 422
    assert stage.follow(kept, browser).status_code == 422


@pytest.mark.parametrize("whose", ["browser", "application"])
def test_a_locked_session_leads_to_where_it_is_unlocked(stage: Stage, whose: str) -> None:
    browser = stage.cookie()
    child = stage.enter(browser).session_id
    locked = child if whose == "application" else stage.session(child)["parent"]
    stage.world.post(f"/v1/sessions/{locked}/lock", headers=stage.world.admin)

    way = stage.follow(stage.redirect(stage.request()), browser)
    assert way.headers["location"].startswith("/sign-in?")
    assert stage.follow(way, browser).headers["location"].startswith("/unlock?")


def test_the_private_key_is_stored_encrypted_and_again_under_a_new_key(own_stage: Stage) -> None:
    world, former = own_stage.world, "00" * 32
    known = certificate_of(own_stage)

    def stored() -> str:
        found = world.engine.database.read(lambda c: c.execute(select(saml_key)).one())
        return str(found.private_key)

    first = stored()
    assert first.startswith("v1.")
    url = world.engine.settings.database_url
    settings = load_settings(
        database_url=url,
        encryption_key=f"{NEW}, {former}",
        password_memory_kib=64,
        password_passes=1,
    )
    prepare_database(settings, world.clock, system_random)
    assert stored() != first
    with make_world(url, encryption_key=NEW) as again:
        assert certificate_of(Stage(again, own_stage.key)) == known


def test_the_query_that_was_signed_is_the_one_that_was_sent(stage: Stage) -> None:
    # Lower-case escapes: what is checked are the octets, not what they would be written as.
    query = redirect_query(stage.request(), key=stage.key)
    assert stage.world.get(f"/saml/sso?{query}").status_code == 303
    signed_part, _, rest = redirect_query(stage.request(), key=stage.key).partition("&SigAlg=")
    changed = signed_part.replace("%2B", "%2b").replace("%2F", "%2f")
    if changed != signed_part:
        assert stage.world.get(f"/saml/sso?{changed}&SigAlg={rest}").status_code == 422
