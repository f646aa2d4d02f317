"""Clients of theirs are clients of ours, with nothing changed in them but the address."""

import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from cryptography.x509.oid import NameOID
from joserfc import jwt
from joserfc.jwk import RSAKey

from iam.directory.applications import find_application
from iam.kernel.clock import after, system_clock
from iam.keys import adopted, load_keys, signer
from iam.keys.signing import PUBLISHED_AHEAD, in_order
from tests.moving.conftest import (
    ALICE,
    CALLBACK,
    CLIENT_ID,
    CLIENT_SECRET,
    PASSWORD,
    Pair,
    in_file,
    installation,
    run_import,
)
from tests.oidc.conftest import query_of
from tests.support.world import World


def key_pair(*, curve: bool = False, bits: int = 2048) -> dict[str, Any]:
    """A row of `cert` as Casdoor makes one."""
    key: Any = (
        ec.generate_private_key(ec.SECP256R1())
        if curve
        else rsa.generate_private_key(public_exponent=65537, key_size=bits)
    )
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Casdoor Cert")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(123456)
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=7300))
        .sign(key, hashes.SHA256())
    )
    # PKCS #1, as Go writes it.
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    return {
        "owner": "admin",
        "name": "cert-built-in",
        "displayName": "Built-in Cert",
        "scope": "JWT",
        "type": "x509",
        "cryptoAlgorithm": "ES256" if curve else "RS256",
        "bitSize": bits,
        "expireInYears": 20,
        "certificate": certificate.public_bytes(Encoding.PEM).decode(),
        "privateKey": pem.decode(),
    }


def notice_keys(world: World) -> None:
    """What every node does a few seconds later; the world's clock stood still when the command ran."""
    world.clock.now = system_clock()
    engine = world.engine
    engine.key_ring.replace(engine.database.look(lambda c: load_keys(c, engine.cipher)))


def tokens_by_code(world: World) -> dict[str, Any]:
    """What the old client does: no PKCE, its old ID, secret and address."""
    browser = world.sign_in("acme", "alice", password=PASSWORD)
    query = {
        "client_id": CLIENT_ID,
        "response_type": "code",
        "redirect_uri": CALLBACK,
        "scope": "openid profile email",
        "state": "shop",
    }
    sent = world.get(f"/oauth/authorize?{urlencode(query)}", headers={"cookie": f"iam={browser}"})
    assert sent.status_code == 303, sent.text
    assert sent.headers["location"].startswith(CALLBACK), sent.headers["location"]
    answer = world.post(
        "/oauth/token",
        data={
            "grant_type": "authorization_code",
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
            "code": query_of(sent.headers["location"])["code"],
            "redirect_uri": CALLBACK,
        },
    )
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_an_old_client_signs_its_user_in_with_its_old_id_and_secret(pair: Pair) -> None:
    rows = installation() | {"cert": [key_pair()]}
    assert run_import(pair.world, *pair.place(rows)).returncode == 0
    notice_keys(pair.world)

    tokens = tokens_by_code(pair.world)

    # It checks the signature by the certificate in its settings, as Casdoor's SDKs do.
    certificate = x509.load_pem_x509_certificate(rows["cert"][0]["certificate"].encode())
    pinned = RSAKey.import_key(
        certificate.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    claims = jwt.decode(tokens["id_token"], pinned, algorithms=["RS256"]).claims
    # It knows her by the same subject.
    assert claims["sub"] == ALICE
    assert claims["aud"] == CLIENT_ID
    told = pair.world.get(
        "/oauth/userinfo", headers=pair.world.bearer(tokens["access_token"])
    ).json()
    assert told["sub"] == ALICE
    refreshed = pair.world.post(
        "/oauth/token",
        data={
            "grant_type": "refresh_token",
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
            "refresh_token": tokens["refresh_token"],
        },
    )
    assert refreshed.status_code == 200, refreshed.text


def test_another_secret_does_not_do(world: World, tmp_path: Path) -> None:
    assert run_import(world, *in_file(tmp_path, installation())).returncode == 0

    for secret in ("", CLIENT_SECRET.upper(), "***"):
        refused = world.post(
            "/oauth/token",
            data={"grant_type": "refresh_token", "client_id": CLIENT_ID, "client_secret": secret},
        )
        assert refused.status_code == 401


def test_an_old_client_is_told_of_the_end_of_a_session(world: World, tmp_path: Path) -> None:
    rows = installation()
    rows["application"][0]["backchannelLogoutUri"] = "https://shop.example.com/ended"
    # A second one whose ID ends alike: their notices must not be taken for one.
    rows["application"].append(
        rows["application"][0]
        | {"name": "shop-2", "clientId": f"zzzz{CLIENT_ID[4:]}", "displayName": "Two"}
    )
    assert run_import(world, *in_file(tmp_path, rows)).returncode == 0
    tokens_by_code(world)

    mine = "/v1/sessions?user=alice&organization=acme"
    for one in world.get(mine, headers=world.admin).json()["items"]:
        world.delete(f"/v1/sessions/{one['id']}", headers=world.admin)

    notices = world.get("/v1/deliveries", headers=world.admin).json()["items"]
    assert {one["application"] for one in notices} == {"shop"}


def test_the_key_waits_until_others_have_learnt_of_it_where_tokens_are_checked_already(
    world: World, tmp_path: Path
) -> None:
    world.make_organization("globex")
    world.make_application("globex", "busy", redirect_uris=["https://busy.example.com/"])
    before = world.get("/oauth/jwks").json()["keys"]

    assert (
        run_import(world, *in_file(tmp_path, installation() | {"cert": [key_pair()]})).returncode
        == 0
    )

    found = world.engine.database.read(lambda c: load_keys(c, world.engine.cipher))
    assert len(found) == len(before) + 1
    known, now = {one["kid"] for one in before}, system_clock()
    assert signer(in_order(found, now), "RS256").id in known
    assert signer(in_order(found, after(now, PUBLISHED_AHEAD)), "RS256").id not in known


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"privateKey": ""}, "cert_unusable"),
        (
            {"privateKey": "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----"},
            "cert_unusable",
        ),
        ({"cryptoAlgorithm": "RS512"}, "cert_unusable"),
        ({"scope": "SSL"}, "not_supported"),
        ({"name": "another"}, "cert_unused"),
        ({"owner": "acme"}, "cert_unused"),
        ("small", "cert_unusable"),
        ("strange", "cert_unusable"),
    ],
)
def test_a_key_that_cannot_sign_here_is_reported_and_left_alone(
    world: World, tmp_path: Path, change: Any, reason: str
) -> None:
    cert = key_pair(bits=1024) if change == "small" else key_pair()
    if change == "strange":
        cert["privateKey"] = key_pair()["privateKey"]
    rows = installation() | {"cert": [cert | (change if isinstance(change, dict) else {})]}
    before = world.get("/oauth/jwks").json()

    done = run_import(world, *in_file(tmp_path, rows), "--report", str(tmp_path / "report.json"))

    assert done.returncode == 0, done.stderr
    assert f'"{reason}"' in (tmp_path / "report.json").read_text()
    assert "PRIVATE KEY" not in (tmp_path / "report.json").read_text()
    assert world.get("/oauth/jwks").json() == before


def test_a_key_that_everybody_has_signs_nothing_here(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cert = key_pair()
    public = x509.load_pem_x509_certificate(cert["certificate"].encode()).public_key()
    der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    monkeypatch.setattr(adopted, "PUBLISHED", frozenset({sha256(der).hexdigest()}))
    before = world.get("/oauth/jwks").json()
    place = in_file(tmp_path, installation() | {"cert": [cert]})

    done = run_import(world, *place, "--report", str(tmp_path / "report.json"))

    assert done.returncode == 0, done.stderr
    assert '"cert_published"' in (tmp_path / "report.json").read_text()
    assert world.get("/oauth/jwks").json() == before


def test_their_key_can_be_left_there(world: World, tmp_path: Path) -> None:
    place = in_file(tmp_path, installation() | {"cert": [key_pair()]})

    done = run_import(world, *place, "--no-signing-key", "--report", str(tmp_path / "report.json"))

    assert done.returncode == 0
    assert '"not_wanted"' in (tmp_path / "report.json").read_text()


def test_an_application_without_a_secret_is_public_and_needs_pkce(
    world: World, tmp_path: Path
) -> None:
    rows = installation()
    rows["application"][0]["clientSecret"] = ""
    assert run_import(world, *in_file(tmp_path, rows)).returncode == 0

    found = world.get("/v1/applications/acme/shop", headers=world.admin).json()
    assert found["public"] is True
    assert found["require_pkce"] is True


def test_applications_administer_only_where_that_is_asked_for(world: World, tmp_path: Path) -> None:
    def manages(name: str) -> bool:
        found = world.engine.database.read(lambda c: find_application(c, "acme", name))
        return found.client.manages_organization

    rows = installation()
    rows["application"].append(
        rows["application"][0] | {"name": "weak", "clientId": "weak-one", "clientSecret": "123456"}
    )
    assert run_import(world, *in_file(tmp_path, rows)).returncode == 0
    assert (manages("shop"), manages("weak")) == (False, False)
    assert world.delete("/v1/organizations/acme", headers=world.admin).status_code in (200, 204)

    assert run_import(world, *in_file(tmp_path, rows), "--applications-manage").returncode == 0

    assert (manages("shop"), manages("weak")) == (True, False)


def test_two_applications_never_share_a_client_id(world: World, tmp_path: Path) -> None:
    rows = installation()
    rows["application"] += [
        rows["application"][0] | {"name": "twin"},
        rows["application"][0] | {"name": "odd", "clientId": "no spaces here"},
        rows["application"][0] | {"name": "sly", "clientId": "whk_00000000000000000000000000"},
    ]

    done = run_import(world, *in_file(tmp_path, rows), "--report", str(tmp_path / "report.json"))

    assert done.returncode == 0, done.stderr
    assert world.get("/v1/applications/acme/twin", headers=world.admin).status_code == 404
    for name in ("odd", "sly"):
        found = world.get(f"/v1/applications/acme/{name}", headers=world.admin).json()
        assert found["client_id"].startswith("app_")
