"""Nothing that people read on the console's pages of the directory is left in English."""

import pytest
from cryptography.hazmat.primitives.hashes import SHA256

from iam.directory.providers import add_link, find_provider
from iam.directory.users import find_user
from tests.saml.conftest import make_key_pair
from tests.support.authenticator import give_authenticator
from tests.support.marked_console import HOOK, check, look, send, store
from tests.support.pseudo import GERMAN
from tests.support.saml_idp import idp_metadata
from tests.support.surfer import Surfer
from tests.support.world import World

IDP = "https://idp.corp.example"
NEW_USER = {"organization": "acme", "name": "carol", "display_name": "carol"}
PROVIDER = {
    "organization": "acme",
    "kind": "oidc",
    "name": "partner",
    "display_name": "Partner Ltd",
    "issuer": "https://login.partner.example",
    "client_id": "iam",
    "client_secret": "a secret of theirs",
    "auth_method": "client_secret_basic",
    "scopes": "openid email",
}


@pytest.fixture
def reader(pseudo: None, alice: Surfer) -> Surfer:
    """The browser of alice, who administers acme, answered in the language of ⟦brackets⟧."""
    alice.headers |= GERMAN
    return alice


def test_users(world: World, reader: Surfer, root: Surfer) -> None:
    path = "/console/users"
    look(root, path)
    for query in ("", "?q=nobody", "?q=bob", "?notice=deleted"):
        look(reader, path + query, data=("nobody",))
    look(reader, f"{path}/new?organization=acme")
    for fields in (
        {},
        {**NEW_USER, "email": "x", "roles": "ü\n" * 2, "password": "x"},
        {**NEW_USER, "invite.mail": "1", "display_name": "x" * 200},
        {**NEW_USER, "roles": "\n".join(f"r{n}" for n in range(40))},
    ):
        reader.get(f"{path}/new?organization=acme")
        assert reader.submit(f"{path}/new", **{"organization": "acme", **fields}).status_code == 422
        check(reader, *(f"r{n}" for n in range(40)))
    reader.get(f"{path}/new?organization=acme")
    send(reader, f"{path}/new", 409, **{**NEW_USER, "name": "bob"})
    reader.submit(f"{path}/new", **NEW_USER)
    give_authenticator(world, "acme", "carol")
    for name in ("alice", "bob", "carol"):
        for notice in (
            "",
            "created",
            "invited",
            "unlinked",
            "mailed",
            "saved",
            "disabled",
            "enabled",
            "password",
            "factor",
        ):
            look(reader, f"{path}/acme/{name}?notice={notice}")
    there = f"{path}/acme/carol"
    for status, fields in (
        (422, {"do": "nothing"}),
        (200, {"do": "disable"}),
        (200, {"do": "delete"}),
        (200, {"do": "remove-factor"}),
        (422, {"do": "password", "password": "x"}),
        (422, {"do": "save", "email": "x"}),
        (200, {"do": "password"}),
    ):
        reader.get(there)
        assert reader.submit(there, **fields).status_code == status, fields
        shown = reader.page.partition('data-copy="')[2].partition('"')[0]
        check(reader, *([shown] if fields == {"do": "password"} else []))
    reader.get(there)
    send(reader, there, 409, do="mail-link")
    assert reader.submit(there, do="disable", confirmed="1").status_code == 303
    look(reader, there)
    look(reader, f"{path}/acme/nobody", 404)
    look(reader, f"{path}?organization=globex", 404)


def test_an_import(world: World, reader: Surfer) -> None:
    path = "/console/users/import"
    look(reader, f"{path}?organization=acme")
    for status, csv in (
        (422, ""),
        (422, "nothing"),
        (422, 'name\n"x'),
        (422, "name,email,roles,display_name\n ,x,ü," + "x" * 200 + "\nbob,,\ncarol\ncarol\n"),
        (200, "name\nbob\n"),
        (200, "name\ncarol\nbob\n"),
    ):
        reader.get(f"{path}?organization=acme")
        assert reader.submit(path, organization="acme", csv=csv).status_code == status, csv
        check(reader, "x" * 128, "x", "ü", "unexpected end of data")
    for fields in ({"invite": "1"}, {"confirmed": "1"}):
        reader.get(f"{path}?organization=acme")
        reader.submit(path, organization="acme", csv="name\ncarol\n", **fields)
        check(reader)


def test_applications(world: World, reader: Surfer, root: Surfer) -> None:
    path = "/console/applications"
    look(reader, f"{path}?notice=deleted")
    look(root, f"{path}?organization=built-in")
    look(reader, f"{path}/new?organization=acme")
    for fields in ({}, {"redirect_uris": "x\ny", "gate_hosts": "X", "kind": "x", "name": "Ü"}):
        reader.get(f"{path}/new?organization=acme")
        assert reader.submit(f"{path}/new", **{"organization": "acme", **fields}).status_code == 422
        check(reader, "Ü", "“y”", "“X”")
    reader.get(f"{path}/new?organization=acme")
    send(reader, f"{path}/new", 409, organization="acme", name="wiki", kind="public")
    reader.submit(f"{path}/new", organization="acme", name="desk", kind="confidential")
    secret = reader.page.split('data-copy="')[-1].partition('"')[0]
    client = reader.page.split('data-copy="')[1].partition('"')[0]
    check(reader, secret, client, "desk")
    for notice in ("", "created", "saved", "saml", "no-saml", "disabled", "enabled"):
        look(reader, f"{path}/acme/wiki?notice={notice}")
    look(reader, f"{path}/acme/phone")
    look(root, f"{path}/built-in/app-built-in")
    there = f"{path}/acme/wiki"
    for status, fields in (
        (200, {"do": "disable"}),
        (200, {"do": "delete"}),
        (200, {"do": "secret"}),
        (200, {"do": "saml-delete"}),
        (422, {"do": "saml"}),
        (422, {"do": "saml", "metadata": "<x/>"}),
        (422, {"do": "saml", "metadata": "x"}),
        (422, {"do": "save", "redirect_uris": "x"}),
    ):
        reader.get(there)
        send(reader, there, status, **fields)
    reader.get(there)
    assert reader.submit(there, do="disable", confirmed="1").status_code == 303
    look(reader, there)


def test_providers(world: World, reader: Surfer) -> None:
    path = "/console/providers"
    look(reader, path)
    for kind in ("oidc", "oauth2", "saml"):
        look(reader, f"{path}/new?organization=acme&kind={kind}")
        send(reader, f"{path}/new", 422, organization="acme", kind=kind)
        reader.get(f"{path}/new?organization=acme&kind={kind}")
        wrong = {
            "name": "partner",
            "client_id": "x",
            "issuer": "x",
            "scopes": "ü",
            "attributes": "ü",
            "trusted_domains": "ü",
            "client_secret": "ü",
            "auth_method": "x",
            "metadata_url": "x",
            "metadata": "x",
            "metadata_signer": "x",
        }
        send(reader, f"{path}/new", 422, organization="acme", kind=kind, **wrong)
    reader.get(f"{path}/new?organization=acme&kind=oauth2")
    lost = {"kind": "oauth2", "name": "partner", "client_id": "x", "auth_method": "none"}
    send(reader, f"{path}/new", 403, organization="acme", **lost)
    reader.get(f"{path}/new?organization=acme")
    send(reader, f"{path}/new", 422, organization="acme", kind="x")
    reader.get(f"{path}/new?organization=acme")
    assert reader.submit(f"{path}/new", **PROVIDER).status_code == 303
    world.engine.database.write(
        lambda c: add_link(
            c,
            find_provider(c, "acme", "partner").id,
            "bob@acme.example",
            find_user(c, "acme", "bob").id,
            world.clock(),
        )
    )
    look(reader, "/console/users/acme/bob", data=("bob@acme.example",))
    look(reader, f"{path}?notice=deleted")
    for notice in ("created", "saved", "disabled", "enabled"):
        look(reader, f"{path}/acme/partner?notice={notice}")
    send(reader, f"{path}/acme/partner", 200, do="delete")
    reader.get(f"{path}/acme/partner")
    reader.submit(f"{path}/acme/partner", do="save", issuer="https://other.example")
    check(reader)
    look(reader, f"{path}/acme/none", 404)


def test_saml_providers(world: World, reader: Surfer) -> None:
    path = "/console/providers"
    reader.get(f"{path}/new?organization=acme&kind=saml")
    given = {
        "organization": "acme",
        "kind": "saml",
        "name": "partner",
        "metadata_url": "",
        "name_id_format": "",
        "request_binding": "redirect",
        "context_comparison": "exact",
    }
    send(reader, f"{path}/new", 422, **given)
    reader.get(f"{path}/new?organization=acme&kind=saml")
    send(reader, f"{path}/new", 422, **given, metadata="<a/>")
    reader.get(f"{path}/new?organization=acme&kind=saml")
    key = make_key_pair()
    document = idp_metadata(IDP, (key,), (("HTTP-POST", f"{IDP}/sso"),))
    assert reader.submit(f"{path}/new", **given, metadata=document).status_code == 303
    print_ = key.certificate.fingerprint(SHA256()).hex(":").upper()
    shown = (IDP, f"{IDP}/sso", print_)
    look(reader, f"{path}/acme/partner?notice=fetched", data=shown)
    reader.get(f"{path}/acme/partner")
    send(reader, f"{path}/acme/partner", 422, do="fetch")


def test_organizations(world: World, reader: Surfer, root: Surfer) -> None:
    path = "/console/organizations"
    look(root, path)
    look(root, f"{path}?notice=deleted")
    look(root, f"{path}/new")
    send(root, f"{path}/new", 422)
    root.get(f"{path}/new")
    send(root, f"{path}/new", 409, name="acme")
    for who in (reader, root):
        for notice in ("", "created", "saved", "brand", "disabled", "enabled"):
            look(who, f"{path}/acme?notice={notice}")
    for status, fields in (
        (422, {"do": "save"}),
        (200, {"do": "disable"}),
        (200, {"do": "delete"}),
        (422, {"do": "x"}),
    ):
        root.get(f"{path}/acme")
        send(root, f"{path}/acme", status, **fields)
    root.get(f"{path}/built-in")
    send(root, f"{path}/built-in", 409, do="delete", confirmed="1")
    for colour in ("x", "#ffff00"):
        reader.get(f"{path}/acme")
        send(reader, f"{path}/acme/brand", 422, colour=colour)
    reader.get(f"{path}/acme")
    send(reader, f"{path}/acme", 403, do="disable")
    root.get(f"{path}/acme")
    assert root.submit(f"{path}/globex", do="disable", confirmed="1").status_code == 303
    look(root, f"{path}/globex")
    look(root, path)


def test_webhooks(world: World, reader: Surfer, root: Surfer) -> None:
    path = "/console/webhooks"
    look(reader, path)
    look(root, f"{path}/new")
    for url in ("x", "http://hooks.example.com", "https://127.0.0.1/x"):
        look(reader, f"{path}/new")
        send(reader, f"{path}/new", 422, url=url)
    reader.get(f"{path}/new")
    reader.submit(f"{path}/new", url=HOOK, **{"event_types.*": "1"})
    secret = reader.page.partition('data-copy="')[2].partition('"')[0]
    check(reader, secret)
    (made,) = world.get("/v1/webhooks?organization=acme", headers=world.admin).json()["items"]
    there = f"{path}/{made['id']}"
    reader.get(there)
    reader.submit(there, do="test")
    for query in (
        "",
        "?state=pending",
        "?state=dead",
        "?state=delivered",
        "?notice=saved",
        "?notice=tested",
        "?notice=disabled",
        "?notice=enabled",
        "?notice=again",
        "?notice=pending",
    ):
        look(reader, there + query)
    look(root, f"{path}?notice=deleted")
    reader.get(there)
    send(reader, there, 422, do="save", url="x")
    reader.get(there)
    send(reader, there, 422, do="x")
    reader.get(there)
    send(reader, there, 200, do="delete")
    for state, attempts, status in (("delivered", 1, 200), ("dead", 9, 500), ("pending", 2, None)):
        changed = "UPDATE delivery SET state = ?, attempts = ?, last_status = ?"
        store(world, changed, state, attempts, status)
        look(reader, there)
    reader.get(there)
    assert reader.submit(there, do="disable").status_code == 303
    look(reader, there)
    look(reader, path)


def test_keys(world: World, reader: Surfer, root: Surfer) -> None:
    path = "/console/keys"
    look(root, path)
    root.submit(path, do="rotate")
    root.get(path)
    root.submit(path, do="saml")
    for notice in ("rotated", "saml", "replaced"):
        look(root, f"{path}?notice={notice}")
    send(root, path, 200, do="replace")
    look(reader, path, 403)
