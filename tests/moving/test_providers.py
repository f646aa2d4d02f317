"""Who signed in through another provider there does so here, as the same person."""

from pathlib import Path
from typing import Any

import pytest

from iam.directory.providers import Provider, find_link, find_provider
from iam.signin.provider_secrets import open_secret
from tests.moving.conftest import ALICE, CLIENT_ID, Pair, in_file, installation, run_import, user
from tests.moving.test_taking_over import everything, finding
from tests.saml.conftest import make_key_pair
from tests.support.saml_idp import idp_metadata
from tests.support.world import World

GITHUB_SECRET = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b"


def provider(name: str, type_: str, **more: Any) -> dict[str, Any]:
    return {
        "owner": "admin",
        "name": name,
        "displayName": f"Our {type_}",
        "category": "OAuth",
        "type": type_,
        "clientId": f"client-at-{type_}",
        "clientSecret": GITHUB_SECRET,
        **more,
    }


def with_providers(*some: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """An installation whose shop lets people in through these."""
    rows = installation()
    rows["provider"] = list(some)
    rows["application"][0]["enableSignUp"] = True
    rows["application"][0]["providers"] = [
        {"owner": "", "name": one["name"], "canSignUp": one["type"] == "GitHub", "canSignIn": True}
        for one in some
    ]
    return rows


def test_a_provider_comes_along_with_the_people_whom_it_knows(pair: Pair) -> None:
    rows = with_providers(
        provider("provider-github", "GitHub"),
        provider("Company SSO", "Okta", domain="https://dev-1.okta.com/oauth2/default"),
        provider(
            "own",
            "Custom",
            customAuthUrl="https://sso.example.com/authorize",
            customTokenUrl="https://sso.example.com/token",
            customUserInfoUrl="https://sso.example.com/me",
            scopes="openid  profile",
            userMapping={"id": "uid", "username": "login", "email": "mail", "avatarUrl": "pic"},
        ),
    )
    rows["user"][0] |= {"github": "4711", "custom": "u-1", "wechat": "w-1"}

    assert run_import(pair.world, *pair.place(rows)).returncode == 0

    engine = pair.world.engine

    def known(name: str) -> Provider:
        return engine.database.read(lambda c: find_provider(c, "acme", name))

    def linked(to: Provider, subject: str) -> str | None:
        link = engine.database.read(lambda c: find_link(c, to.id, subject))
        return link.user_id if link is not None else None

    github, okta, own = known("provider-github"), known("company-sso"), known("own")
    assert (github.kind, github.options["preset"]) == ("oauth2", "github")
    assert open_secret(engine.cipher, github) == GITHUB_SECRET
    assert (github.creates_users, okta.creates_users) == (True, False)
    assert (okta.kind, okta.options["issuer"]) == ("oidc", "https://dev-1.okta.com/oauth2/default")
    assert own.options["subject_claim"] == "uid"
    assert own.options["scopes"] == ["openid", "profile"]
    assert own.attributes == {"name": "login", "email": "mail"}
    assert all(one.enabled and not one.trusted_domains for one in (github, okta, own))
    assert (linked(github, "4711"), linked(own, "u-1")) == (ALICE, ALICE)
    assert GITHUB_SECRET not in repr(everything(pair.world))
    page = pair.world.get(f"/sign-in?application={CLIENT_ID}")
    assert "Our GitHub" in page.text


def test_a_link_is_made_only_where_it_is_certain_whom_it_means(
    world: World, tmp_path: Path
) -> None:
    rows = with_providers(
        provider("gh-1", "GitHub"),
        provider("gh-2", "GitHub"),
        provider("g", "Google"),
        provider("ms", "AzureAD"),
    )
    rows["user"] = [
        user("ann", "", github="1", google="2", azuread="3", gitlab="4"),
        user("ben", "", google="2"),
        user("cid", "", google="x" * 300),
    ]
    report = tmp_path / "report.json"

    done = run_import(world, *in_file(tmp_path, rows), "--report", str(report))

    assert done.returncode == 0, done.stderr
    said = finding(report, "user", "acme/ann")
    assert ("github", "link_ambiguous") in said
    assert ("azuread", "link_unknown") in said
    assert ("gitlab", "link_unknown") in said
    assert not [one for one in said if one[0] == "google"]
    assert ("google", "link_taken") in finding(report, "user", "acme/ben")
    assert ("google", "invalid") in finding(report, "user", "acme/cid")
    before = everything(world)
    assert run_import(world, *in_file(tmp_path, rows)).returncode == 0
    assert everything(world) == before


def test_a_saml_provider_comes_along_by_its_metadata(pair: Pair, tmp_path: Path) -> None:
    there = (("HTTP-Redirect", "https://idp.corp.test/sso"),)
    metadata = idp_metadata("https://idp.corp.test/metadata", (make_key_pair(),), there)
    rows = with_providers(
        provider(
            "Corp SAML",
            "Keycloak",
            category="SAML",
            clientId="",
            clientSecret="",
            metadata=metadata,
            endpoint="https://idp.corp.test/sso",
            idP="MIIC...",
            issuerUrl="https://idp.corp.test/metadata",
            userMapping={"username": "uid", "email": "mail", "displayName": "cn"},
            emailRegex="@corp.test",
        )
    )
    report = tmp_path / "report.json"

    place = pair.place(rows)

    done = run_import(pair.world, *place, "--report", str(report))

    assert done.returncode == 0, done.stderr
    native = pair.world.get("/v1/providers/acme/corp-saml", headers=pair.world.admin).json()
    assert (native["kind"], native["entity_id"]) == ("saml", "https://idp.corp.test/metadata")
    assert native["attributes"] == {"name": "uid", "email": "mail", "display_name": "cn"}
    assert (native["enabled"], native["trusted_domains"]) == (True, [])
    said = finding(report, "provider", "Corp SAML of acme")
    assert {"saml_metadata", "saml_links"} <= {reason for _, reason in said}
    assert ("emailRegex", "no_place") in said
    led = pair.world.get(f"/sign-in?application={CLIENT_ID}")
    assert "Our Keycloak" in led.text
    before = everything(pair.world)
    assert run_import(pair.world, *place).returncode == 0
    assert everything(pair.world) == before


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"category": "Email", "type": "SMTP"}, "not_supported"),
        ({"category": "SAML", "type": "Keycloak"}, "saml_unusable"),
        ({"category": "SAML", "metadata": "<!DOCTYPE x><x/>"}, "saml_unusable"),
        ({"category": "SAML", "metadata": "<EntityDescriptor/>"}, "saml_unusable"),
        ({"category": "SAML", "metadata": "no XML"}, "saml_unusable"),
        ({"category": "SAML", "metadata": 7}, "malformed"),
        ({"type": "WeChat"}, "not_supported"),
        ({"clientId": ""}, "not_supported"),
        ({"type": "Okta", "domain": "http://10.0.0.1/"}, "not_supported"),
        ({"type": "Okta", "domain": "not a host"}, "not_supported"),
        (
            {
                "type": "Custom",
                "customAuthUrl": "https://a.example.com/",
                "customTokenUrl": "http://169.254.169.254/latest",
                "customUserInfoUrl": "https://a.example.com/",
            },
            "not_supported",
        ),
        (
            {
                "userMapping": "[]",
                "type": "Custom",
                **dict.fromkeys(
                    ("customAuthUrl", "customTokenUrl", "customUserInfoUrl"),
                    "https://a.example.com/",
                ),
            },
            "malformed",
        ),
        ({"clientSecret": "***"}, "masked"),
        ({"clientSecret": 7}, "malformed"),
    ],
)
def test_a_provider_that_cannot_be_asked_is_reported(
    world: World, tmp_path: Path, change: dict[str, Any], reason: str
) -> None:
    rows = with_providers(provider("p", "GitHub") | change)

    done = run_import(world, *in_file(tmp_path, rows), "--report", str(tmp_path / "report.json"))

    assert done.returncode == 0, done.stderr
    assert f'"{reason}"' in (tmp_path / "report.json").read_text()
    found = world.get("/v1/providers?organization=acme", headers=world.admin).json()["items"]
    assert [one for one in found if one["enabled"]] == []


def test_a_provider_that_nobody_uses_stays_away(world: World, tmp_path: Path) -> None:
    rows = installation() | {"provider": [provider("p", "GitHub")]}

    done = run_import(world, *in_file(tmp_path, rows), "--report", str(tmp_path / "report.json"))

    assert done.returncode == 0, done.stderr
    assert finding(tmp_path / "report.json", "provider", "p") == [(None, "unused")]
