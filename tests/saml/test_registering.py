"""Registering a service provider, by the API and the command line."""

import os
import subprocess
import sys
from pathlib import Path

from iam.audit import list_events
from tests.saml.conftest import KeyPair, Stage, sp_metadata

ENTITY, CONSUMER = "https://shop.acme.test/saml", "https://shop.acme.test/acs"


def test_what_was_understood_of_the_metadata_is_shown(stage: Stage) -> None:
    logout = (("SOAP", "https://shop.acme.test/soap"), ("HTTP-POST", "https://shop.acme.test/slo"))
    text = sp_metadata(
        ENTITY, (CONSUMER, f"{CONSUMER}/2"), stage.key, logout, 'AuthnRequestsSigned="1"'
    )

    made = stage.register("shop", metadata=text, attributes={"mail": "email"}).json()

    assert made["entity_id"] == ENTITY
    assert [one["url"] for one in made["assertion_consumers"]] == [CONSUMER, f"{CONSUMER}/2"]
    assert [one["url"] for one in made["logout_services"]] == [one[1] for one in logout]
    assert (made["requires_signed_requests"], made["require_signed_requests"]) == (True, None)
    assert (made["name_id_format"], made["allow_idp_initiated"]) == ("persistent", False)
    path = "/v1/applications/acme/shop/saml"
    assert stage.world.get(path, headers=stage.world.admin).json() == made


def test_registering_again_replaces_all_but_what_users_are_called(own_stage: Stage) -> None:
    stage = own_stage
    before = stage.enter(stage.cookie()).name_id.text
    stage.register("wiki", attributes={"mail": "email"})

    again = stage.register("wiki").json()

    assert again["attributes"] == {}
    assert stage.enter(stage.cookie()).name_id.text == before


def test_an_application_that_is_no_provider_any_more_lets_nobody_in(own_stage: Stage) -> None:
    stage, admin = own_stage, own_stage.world.admin
    kept = stage.redirect(stage.request())
    session = stage.enter(stage.cookie()).session_id
    path = "/v1/applications/acme/wiki/saml"

    assert stage.world.delete(path, headers=admin).status_code == 204

    assert stage.world.get(path, headers=admin).json()["code"] == "saml_provider_not_found"
    assert stage.world.delete(path, headers=admin).status_code == 404
    assert stage.redirect(stage.request()).status_code == 422
    assert stage.follow(kept, stage.cookie()).status_code == 422
    assert stage.session(session)["state"] == "active"
    events = stage.world.engine.database.read(lambda c: list_events(c, organization="acme"))
    noted = [one for one in events if one.type == "application.updated"]
    assert [dict(one.data) for one in noted] == [{"changed": ["saml"]}] * 2


def test_a_provider_goes_with_its_application(own_stage: Stage) -> None:
    stage = own_stage
    stage.enter(stage.cookie())
    stage.world.delete("/v1/applications/acme/wiki", headers=stage.world.admin)

    left = stage.rows("saml_provider", "saml_session")

    assert left == {"saml_provider": [], "saml_session": []}


def test_the_servers_own_application_is_no_provider(stage: Stage, keys: KeyPair) -> None:
    answer = stage.world.request(
        "PUT",
        "/v1/applications/built-in/app-built-in/saml",
        json={"metadata": sp_metadata(ENTITY, (CONSUMER,), keys)},
        headers=stage.world.admin,
    )

    assert (answer.status_code, answer.json()["code"]) == (409, "reserved")


def test_an_operator_registers_shows_and_deletes_one(
    own_stage: Stage, tmp_path: Path, keys: KeyPair
) -> None:
    database = own_stage.world.engine.database
    url = database.url.set(drivername=database.url.get_backend_name())
    env = {
        "PATH": os.environ["PATH"],
        "IAM_DATABASE_URL": url.render_as_string(hide_password=False),
        "PYTHONWARNINGS": "ignore",
    }

    def iam(*words: str, typed: str = "") -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "iam.cli", "app", "saml", *words]
        return subprocess.run(
            command, env=env, input=typed, capture_output=True, text=True, check=False
        )

    text = sp_metadata(ENTITY, (CONSUMER,), keys)
    (tmp_path / "metadata.xml").write_text(text)
    file = str(tmp_path / "metadata.xml")

    made = iam("set", "acme", "shop", file, "--attribute", "mail=email")
    assert (made.returncode, made.stderr) == (0, "")
    assert "/saml/metadata" in made.stdout
    shown = iam("show", "acme", "shop").stdout
    assert '"entity_id": "https://shop.acme.test/saml"' in shown
    assert '"mail": "email"' in shown
    assert iam("set", "acme", "shop", "-", typed=text).returncode == 0
    for wrong in (
        ("set", "acme", "shop", str(tmp_path / "none.xml")),
        ("set", "acme", "nobody", file),
        ("set", "acme", "shop", file, "--attribute", "mail"),
        ("set", "acme", "shop", file, "--name-id-format", "windows"),
    ):
        answer = iam(*wrong)
        assert (answer.returncode, answer.stderr.count("\n")) == (1, 1), answer.stderr
    assert iam("delete", "acme", "shop").returncode == 0
    assert iam("show", "acme", "shop").returncode == 1
