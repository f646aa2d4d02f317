"""What the token endpoint refuses: downgrades, replays, codes of others."""

import pytest

from iam.audit import list_events
from iam.directory.users import UserChange, update_user
from iam.kernel.events import SYSTEM
from iam.sessions.model import EndReason
from tests.oidc.conftest import CALLBACK, Party


@pytest.mark.parametrize(
    ("changes", "status", "error"),
    [
        ({"grant_type": None}, 400, "invalid_request"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"code": None}, 400, "invalid_request"),
        ({"code": ""}, 400, "invalid_grant"),
        ({"code": "é\x00" * 100}, 400, "invalid_grant"),
        ({"redirect_uri": "https://wiki.acme.test/back?tenant=1"}, 400, "invalid_grant"),
        ({"redirect_uri": None}, 400, "invalid_grant"),
        ({"code_verifier": None}, 400, "invalid_request"),
        ({"code_verifier": "x" * 43}, 400, "invalid_grant"),
        ({"code_verifier": "é" * 43}, 400, "invalid_request"),
        ({"client_secret": "wrong"}, 401, "invalid_client"),
        ({"client_secret": None}, 401, "invalid_client"),
        ({"client_id": None}, 401, "invalid_client"),
        ({"client_id": "app_" + "0" * 26}, 401, "invalid_client"),
        ({"client_id": "app_\x00"}, 401, "invalid_client"),
    ],
)
def test_a_token_request_with_a_mistake_gets_nothing(
    party: Party, changes: dict[str, str | None], status: int, error: str
) -> None:
    code = party.code(party.browser().token)

    answer = party.redeem(code, **changes)

    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert answer.headers["cache-control"] == "no-store"
    assert "access_token" not in answer.json()


@pytest.mark.parametrize(
    "header", ["Basic", "Basic !!!", "Basic w6k=", "Basic /////w==", "Basic é", "Bearer x"]
)
def test_client_credentials_that_cannot_be_read_are_wrong(party: Party, header: str) -> None:
    answer = party.world.post(
        "/oauth/token",
        content="grant_type=authorization_code&code=x",
        headers={
            "content-type": "application/x-www-form-urlencoded",
            "authorization": header.encode("latin-1"),
        },
    )

    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    assert answer.headers["www-authenticate"].startswith("Basic")


def test_two_ways_of_client_authentication_at_once_are_refused(party: Party) -> None:
    code = party.code(party.browser().token)
    pair = (party.applications["wiki"].client_id, party.secrets["wiki"])

    assert party.redeem(code, "wiki", pair).json()["error"] == "invalid_request"


@pytest.mark.parametrize(
    "content_type", ["application/json", "multipart/form-data; boundary=x", ""]
)
def test_a_token_request_is_a_form(party: Party, content_type: str) -> None:
    answer = party.world.post("/oauth/token", content="{}", headers={"content-type": content_type})

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


def test_a_wrong_verifier_uses_the_code_up(party: Party) -> None:
    code = party.code(party.browser().token)

    guess = party.redeem(code, code_verifier="x" * 43)
    right = party.redeem(code)

    assert (guess.json()["error"], right.json()["error"]) == ("invalid_grant", "invalid_grant")


def test_a_code_is_good_for_a_minute(party: Party) -> None:
    code = party.code(party.browser().token)
    party.world.clock.move(60)

    assert party.redeem(code).json()["error"] == "invalid_grant"


def test_a_code_is_for_the_client_that_asked(party: Party) -> None:
    code = party.code(party.browser().token)

    assert party.redeem(code, "phone", redirect_uri=CALLBACK).json()["error"] == "invalid_grant"
    assert party.redeem(code, "shop", redirect_uri=CALLBACK).json()["error"] == "invalid_grant"


def test_a_code_that_is_used_twice_ends_what_it_led_to(own_party: Party) -> None:
    browser = own_party.browser()
    code = own_party.code(browser.token)
    first = own_party.redeem(code).json()
    sid = own_party.claims(first["id_token"])["sid"]

    again = own_party.redeem(code)

    assert again.json()["error"] == "invalid_grant"
    assert own_party.session(sid).end_reason is EndReason.POLICY
    assert own_party.userinfo(first["access_token"]).status_code == 401
    assert own_party.session(browser.session.id).end_reason is None
    events = own_party.world.engine.database.read(
        lambda c: list_events(c, organization="acme", type_="session.ended", session=sid)
    )
    assert [one.data["note"] for one in events] == ["authorization code used twice"]


def test_another_client_cannot_end_a_session_with_a_used_code(party: Party) -> None:
    code = party.code(party.browser().token)
    first = party.redeem(code).json()

    party.redeem(code, "shop", redirect_uri=CALLBACK)

    assert party.userinfo(first["access_token"]).status_code == 200


def test_a_session_that_ended_between_authorize_and_token_gives_no_tokens(party: Party) -> None:
    browser = party.browser()
    code = party.code(browser.token)
    party.end(browser.session.id)

    answer = party.redeem(code)

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")


def test_a_user_disabled_between_authorize_and_token_gets_no_tokens(own_party: Party) -> None:
    code = own_party.code(own_party.browser().token)
    now, random = own_party.world.clock(), own_party.world.engine.random
    own_party.world.engine.database.write(
        lambda c: update_user(
            c, "acme", "ada", UserChange(enabled=False), actor=SYSTEM, now=now, random=random
        )
    )

    assert own_party.redeem(code).json()["error"] == "invalid_grant"
