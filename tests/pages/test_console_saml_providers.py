"""SAML identity providers are added, changed and fetched anew in the console."""

from collections.abc import Iterator
from typing import Any

import pytest
from lxml import etree

from iam.delivery.saml_sources import look_at_sources
from iam.directory.providers import add_link, find_provider
from iam.directory.users import find_user
from tests.saml.conftest import KeyPair, make_key_pair, signed
from tests.support.document_site import Site, run_site
from tests.support.saml_idp import idp_metadata
from tests.support.surfer import Surfer
from tests.support.world import ISSUER, World, make_world

NEW = "/console/providers/new"
HERE = "/console/providers/acme/corp"
ENTITY = "https://idp.corp.example"
SSO = f"{ENTITY}/sso"
FORM = {
    "organization": "acme",
    "kind": "saml",
    "name": "corp",
    "display_name": "Corp",
    "behaviour.creates_users": "1",
    "trusted_domains": "corp.example",
    "attributes": "roles=groups\nemail=NameID",
    "metadata_url": "",
    "metadata": "",
    "metadata_signer": "",
    "subject_attribute": "uid",
    "name_id_format": "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent",
    "request_binding": "post",
    "context_classes": "urn:oasis:names:tc:SAML:2.0:ac:classes:X509",
    "context_comparison": "minimum",
    "options.sign_out_there": "1",
}


@pytest.fixture(scope="module")
def key() -> KeyPair:
    return make_key_pair()


@pytest.fixture(scope="module")
def other_key() -> KeyPair:
    return make_key_pair()


@pytest.fixture
def world(database_url: str) -> Iterator[World]:
    """A server that may fetch from loopback."""
    with make_world(database_url, delivery_allow_private=True) as made:
        yield made


@pytest.fixture
def site(key: KeyPair) -> Iterator[Site]:
    with run_site() as made:
        made.body = _metadata(key).encode()
        yield made


@pytest.fixture
def boss(alice: Surfer) -> Surfer:
    alice.get(f"{NEW}?kind=saml")
    return alice


def _metadata(*keys: KeyPair, entity: str = ENTITY, sso: str = SSO) -> str:
    return idp_metadata(entity, keys, (("HTTP-POST", sso),), (("HTTP-Redirect", f"{sso}/out"),))


def _api(world: World) -> Any:
    return world.get("/v1/providers/acme/corp", headers=world.admin)


def _certificate(key: KeyPair) -> str:
    return f"-----BEGIN CERTIFICATE-----\n{key.text}\n-----END CERTIFICATE-----"


def _wrong(page: str, field: str) -> str:
    """What is said to be wrong at a field."""
    return page.split(f'id="{field}-wrong">')[1].split("<", maxsplit=1)[0]


def test_the_form_says_first_what_the_other_side_has_to_know_of_us(boss: Surfer) -> None:
    for value in (f"{ISSUER}/saml/sp/metadata", f"{ISSUER}/saml/acs", f"{ISSUER}/saml/sp/slo"):
        assert f"<code>{value}</code>" in boss.page
        assert f'data-copy="{value}"' in boss.page
    assert 'href="/console/providers/new?kind=saml&amp;' in boss.get("/console/providers").text


def test_one_is_added_by_its_document_with_all_that_the_api_would_take(
    world: World, boss: Surfer, key: KeyPair
) -> None:
    answer = boss.submit(NEW, **{**FORM, "metadata": _metadata(key)})
    assert answer.headers["location"] == f"{HERE}?notice=created"
    made = _api(world).json()
    assert made["kind"] == "saml"
    assert made["creates_users"] is True
    assert made["trusted_domains"] == ["corp.example"]
    assert made["attributes"] == {"roles": "groups", "email": "NameID"}
    assert made["entity_id"] == ENTITY
    assert made["has_client_secret"] is False
    options = made["options"]
    assert options["metadata_url"] is None
    assert options["subject_attribute"] == "uid"
    assert options["name_id_format"] == FORM["name_id_format"]
    assert options["request_binding"] == "post"
    assert options["context_classes"] == [FORM["context_classes"]]
    assert options["context_comparison"] == "minimum"
    assert (options["sign_out_there"], options["allow_unsolicited"]) == (True, False)
    page = boss.get(HERE).text
    assert f"<code>{SSO}</code>" in page
    assert f'data-copy="{ISSUER}/saml/acs"' in page
    assert "Fetch it now" not in page
    assert "Continue with Corp" in Surfer(world).get("/sign-in/acme").text


def test_by_an_address_it_is_fetched_now_and_again_when_that_is_wanted(
    world: World, boss: Surfer, site: Site, key: KeyPair, other_key: KeyPair
) -> None:
    boss.submit(NEW, **{**FORM, "metadata_url": site.url})
    assert site.asked == 1
    assert _api(world).json()["options"]["metadata_url"] == site.url
    page = boss.get(HERE).text
    assert page.count('class="fingerprint"') == 1
    site.body = _metadata(key, other_key).encode()
    answer = boss.submit(HERE, do="fetch")
    assert answer.headers["location"] == f"{HERE}?notice=fetched"
    assert boss.get(HERE).text.count('class="fingerprint"') == 2
    site.body = _metadata(key, entity="https://other.example").encode()
    refused = boss.submit(HERE, do="fetch")
    assert refused.status_code == 403
    assert "another entityID than before" in refused.text
    assert 'value="Corp"' in refused.text
    assert _api(world).json()["entity_id"] == ENTITY


def test_an_address_that_fails_later_is_said_on_the_page(
    world: World, boss: Surfer, site: Site
) -> None:
    boss.submit(NEW, **{**FORM, "metadata_url": site.url})
    site.status = 500
    world.clock.move(6 * 3600)
    engine = world.engine
    look_at_sources(engine.database, engine.settings, engine.clock)
    boss.sign_in("acme", "alice")
    page = boss.get(HERE).text
    assert "document_unavailable" in page
    assert "What it said before counts" in page


def test_saving_other_settings_leaves_its_metadata_and_asks_nobody(
    world: World, boss: Surfer, site: Site
) -> None:
    boss.submit(NEW, **{**FORM, "metadata_url": site.url})
    fetched_at = _api(world).json()["metadata_fetched_at"]
    world.clock.move(60)
    boss.get(HERE)
    changed = {**FORM, "metadata_url": site.url, "display_name": "Corp & Sons"}
    assert boss.submit(HERE, do="save", **changed).headers["location"] == f"{HERE}?notice=saved"
    now = _api(world).json()
    assert (now["display_name"], now["metadata_fetched_at"]) == ("Corp & Sons", fetched_at)
    assert site.asked == 1
    # Without the address it is a document from now on, which nobody fetches.
    boss.submit(HERE, do="save", **{**changed, "metadata_url": ""})
    now = _api(world).json()
    assert (now["options"]["metadata_url"], now["metadata_fetched_at"]) == (None, None)
    assert now["entity_id"] == ENTITY


def test_what_the_api_has_set_is_not_lost_by_the_form(
    world: World, boss: Surfer, key: KeyPair
) -> None:
    boss.submit(NEW, **{**FORM, "metadata": _metadata(key)})
    own = "urn:corp:names:badge"
    options = {"metadata": _metadata(key), "name_id_format": own}
    world.patch("/v1/providers/acme/corp", json={"options": options}, headers=world.admin)
    assert f'<option value="{own}" selected>' in boss.get(HERE).text
    boss.submit(HERE, do="save", **{**FORM, "name_id_format": own})
    assert _api(world).json()["options"]["name_id_format"] == own


def test_metadata_is_held_to_its_signer(
    world: World, boss: Surfer, site: Site, key: KeyPair, other_key: KeyPair
) -> None:
    given = {**FORM, "metadata_url": site.url, "metadata_signer": _certificate(key)}
    unsigned = boss.submit(NEW, **given)
    assert unsigned.status_code == 422
    assert "must be signed" in _wrong(unsigned.text, "metadata_url")
    site.body = etree.tostring(signed(_metadata(other_key), other_key))
    assert "No certificate of the sender" in _wrong(boss.submit(NEW, **given).text, "metadata_url")
    site.body = etree.tostring(signed(_metadata(key), key))
    assert boss.submit(NEW, **given).status_code == 303
    assert _api(world).json()["options"]["metadata_signer"] == _certificate(key)


@pytest.mark.parametrize(
    ("field", "value", "where"),
    [
        ("metadata", "", "metadata_url"),  # neither of the two
        ("metadata", "<not xml", "metadata"),
        ("metadata", "<a/>", "metadata"),
        ("metadata", "<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", "metadata"),
        ("metadata", "x" * 50_001, "metadata"),
        ("metadata_url", "https://idp.example/metadata", "metadata"),  # both
        ("metadata_url", "javascript:alert(1)", "metadata_url"),
        ("metadata_signer", "no certificate", "metadata_signer"),
        ("name_id_format", "urn:x", "name_id_format"),
        ("request_binding", "by pigeon", "request_binding"),
        ("context_classes", "two words", "context_classes"),
        ("context_comparison", "by hand", "context_comparison"),
        ("subject_attribute", "two words", "subject_attribute"),
        ("trusted_domains", "no domain", "trusted_domains"),
        ("attributes", "password=x", "attributes"),
    ],
)
def test_what_does_not_fit_is_said_at_its_field_and_adds_nothing(
    world: World, boss: Surfer, key: KeyPair, field: str, value: str, where: str
) -> None:
    answer = boss.submit(NEW, **{**FORM, "metadata": _metadata(key), field: value})
    assert answer.status_code == 422
    assert _wrong(answer.text, where)
    assert 'value="Corp"' in answer.text  # what was typed is still there
    assert _api(world).status_code == 404


def test_an_address_that_says_nothing_of_use_is_refused_at_its_field(
    world: World, boss: Surfer, site: Site
) -> None:
    given = {**FORM, "metadata_url": site.url}
    site.status = 404
    assert "status 404" in _wrong(boss.submit(NEW, **given).text, "metadata_url")
    site.status, site.body = 200, b"<html>"
    assert "could not be read as XML" in _wrong(boss.submit(NEW, **given).text, "metadata_url")
    assert _api(world).status_code == 404


def test_it_becomes_no_other_under_its_users(world: World, boss: Surfer, key: KeyPair) -> None:
    boss.submit(NEW, **{**FORM, "metadata": _metadata(key)})

    def link(connection: Any) -> None:
        provider = find_provider(connection, "acme", "corp")
        bob = find_user(connection, "acme", "bob")
        add_link(connection, provider.id, "bob-over-there", bob.id, world.clock())

    world.engine.database.write(link)
    boss.get(HERE)
    other = _metadata(key, entity="https://evil.example")
    refused = boss.submit(HERE, do="save", **{**FORM, "metadata": other})
    assert refused.status_code == 409
    assert _api(world).json()["entity_id"] == ENTITY


def test_a_stale_sign_in_sends_the_server_nowhere(world: World, boss: Surfer, site: Site) -> None:
    world.clock.move(15 * 60 + 1)
    boss.get(f"{NEW}?kind=saml")
    answer = boss.submit(NEW, **{**FORM, "metadata_url": site.url})
    assert answer.headers["location"].startswith("/sign-in/acme?prompt=login")
    assert site.asked == 0


def test_a_provider_that_has_no_address_is_not_fetched(
    world: World, boss: Surfer, key: KeyPair
) -> None:
    boss.submit(NEW, **{**FORM, "metadata": _metadata(key)})
    assert boss.submit(HERE, do="fetch").status_code == 422
    assert _api(world).status_code == 200


def test_another_organizations_administrator_neither_sees_nor_fetches_it(
    world: World, boss: Surfer, site: Site
) -> None:
    boss.submit(NEW, **{**FORM, "metadata_url": site.url})
    eve = Surfer(world)
    eve.sign_in("globex", "eve")
    eve.get(f"{NEW}?kind=saml")
    assert eve.get(HERE).status_code == 404
    eve.get(f"{NEW}?kind=saml")
    assert eve.submit(HERE, do="fetch").status_code == 404
    assert site.asked == 1
