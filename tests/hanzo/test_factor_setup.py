"""Setting up and removing a second factor by the verbs of Casdoor: by oneself with the password, or by
whoever administers the organization."""

from typing import Any

import httpx2
import pyotp

from tests.hanzo.conftest import Legacy, bad, good
from tests.hanzo.test_sign_in import cookies_of, login
from tests.support.authenticator import Authenticator, events_of, give_authenticator
from tests.support.world import PASSWORD, World

GONE = "Nothing is being set up, or it was begun too long ago: start again"
APP = {"owner": "acme", "mfaType": "app"}


def _post(
    legacy: Legacy, verb: str, form: dict[str, str], headers: dict[str, str]
) -> httpx2.Response:
    """As a form in parts, which is how the SDKs send it."""
    fields = {name: (None, value) for name, value in (APP | form).items()}
    return legacy.world.post(f"/api/{verb}", files=fields, headers=headers)


def _office(legacy: Legacy) -> dict[str, str]:
    return legacy.basic("acme/office")


def _app(legacy: Legacy, told: dict[str, Any]) -> Authenticator:
    return Authenticator(legacy.world, told["secret"], tuple(told["recoveryCodes"]))


def _has_factor(world: World, name: str) -> bool:
    found = world.get(f"/v1/users/acme/{name}", headers=world.admin).json()
    has: bool = found["second_factor"]
    return has


def test_an_application_that_manages_sets_one_up_for_a_user(both: Legacy) -> None:
    headers = _office(both)
    session = both.token("acme", "bob", "shop").partition(".")[0]
    told = good(_post(both, "mfa/setup/initiate", {"name": "bob"}, headers))["data"]
    app = _app(both, told)
    assert (told["mfaType"], told["enabled"], len(app.recovery)) == ("app", False, 10)
    assert pyotp.parse_uri(told["url"]).secret == app.secret
    early = _post(both, "mfa/setup/enable", {"name": "bob"}, headers)
    assert bad(early) == GONE
    wrong = _post(both, "mfa/setup/verify", {"name": "bob", "passcode": "000000"}, headers)
    assert bad(wrong).startswith("This code is not right")
    assert not _has_factor(both.world, "bob")

    # Casdoor's SDK for Node sends no secret along, the one for Python does.
    code = {"name": "bob", "passcode": app.code()}
    good(_post(both, "mfa/setup/verify", code, headers))
    good(_post(both, "mfa/setup/enable", {"name": "bob", "secret": app.secret}, headers))

    assert _has_factor(both.world, "bob")
    assert both.end_reason(session) == "credentials_changed"
    [event] = [one for one in events_of(both.world) if one["type"] == "factor.added"]
    assert event["actor"] == "application:acme/office"
    preferred = good(_post(both, "set-preferred-mfa", {"name": "bob"}, headers))["data"]
    assert preferred[0]["mfaType"] == "app"
    form = {"organization": "acme", "username": "bob", "password": PASSWORD}
    begun = login(both, form | {"type": "login", "application": "shop"})
    assert begun.json()["data"] == "NextMfa"
    ticket = {"cookie": f"iam-factor={cookies_of(begun)['iam-factor']}"}
    shown = {"type": "login", "organization": "acme", "mfaType": "app"}
    used = login(both, shown | {"passcode": app.code()}, headers=ticket)
    assert bad(used).startswith("This code is not right"), "what verified is used up"
    ticket = {"cookie": f"iam-factor={cookies_of(used)['iam-factor']}"}
    entered = login(both, shown | {"recoveryCode": app.recovery[3]}, headers=ticket)
    assert entered.json()["data"] == "acme/bob"


def test_ones_own_takes_the_password_and_raises_the_session(both: Legacy) -> None:
    token, other = both.token("acme", "bob"), both.token("acme", "bob", "shop")
    headers = both.world.bearer(token)
    bare = _post(both, "mfa/setup/initiate", {"name": "bob"}, headers)
    assert "password" in bad(bare)
    wrong = _post(both, "mfa/setup/initiate", {"name": "bob", "password": "wrong"}, headers)
    assert bad(wrong) == "password or code is incorrect"
    form = {"name": "bob", "password": PASSWORD}
    app = _app(both, good(_post(both, "mfa/setup/initiate", form, headers))["data"])

    good(_post(both, "mfa/setup/verify", {"name": "bob", "passcode": app.code()}, headers))
    done = good(_post(both, "mfa/setup/enable", {"name": "bob"}, headers))

    rotated = done["data2"]
    assert rotated != token
    session = token.partition(".")[0]
    native = both.world.get(f"/v1/sessions/{session}", headers=both.world.admin).json()
    assert native["amr"] == ["pwd", "otp", "mfa"]
    assert both.end_reason(other.partition(".")[0]) == "credentials_changed"
    stale = both.world.get("/api/get-account", headers=headers)
    assert stale.json()["status"] == "error", "the token from before is worth nothing"
    headers = both.world.bearer(rotated)
    again = _post(both, "mfa/setup/initiate", form, headers)
    assert bad(again) == "There is a second factor already. Remove it first."
    alone = _post(both, "delete-mfa", form, headers)
    assert "passcode" in bad(alone)
    gone = good(_post(both, "delete-mfa", form | {"passcode": app.next()}, headers))
    assert gone["data"] == "Affected"
    assert not _has_factor(both.world, "bob")


def test_a_browser_that_sets_one_up_goes_on_with_new_cookies(legacy: Legacy) -> None:
    origin = {"origin": "http://127.0.0.1:8000", "sec-fetch-site": "same-origin"}
    headers = legacy.cookie("acme", "bob") | origin
    form = {"name": "bob", "password": PASSWORD}
    app = _app(legacy, good(_post(legacy, "mfa/setup/initiate", form, headers))["data"])
    good(_post(legacy, "mfa/setup/verify", {"name": "bob", "passcode": app.code()}, headers))
    foreign = headers | {"origin": "https://evil.example", "sec-fetch-site": "cross-site"}
    assert bad(_post(legacy, "mfa/setup/enable", {"name": "bob"}, foreign))

    done = _post(legacy, "mfa/setup/enable", {"name": "bob"}, headers)

    cookies = cookies_of(done)
    assert done.json()["data2"] is None
    assert cookies["casdoor_session_id"] == cookies["iam"]
    legacy.get("get-account", headers={"cookie": f"iam={cookies['iam']}"})


def test_nobody_else_begins_goes_on_or_ends(legacy: Legacy) -> None:
    office, ann = _office(legacy), legacy.headers("acme", "ann")
    rick, shop = legacy.headers("globex", "rick"), legacy.basic("acme/shop")
    form = {"name": "bob", "password": PASSWORD}
    for verb in ("initiate", "verify", "enable"):
        for stranger in (ann, rick, shop, {}):
            answer = _post(legacy, f"mfa/setup/{verb}", form, stranger)
            assert bad(answer) in ("Unauthorized operation", "Please login first"), verb
    app = _app(legacy, good(_post(legacy, "mfa/setup/initiate", form, office))["data"])
    boss = legacy.headers("acme", "boss")
    code = {"name": "bob", "passcode": app.code()}

    assert bad(_post(legacy, "mfa/setup/verify", code, boss)) == GONE
    secret = {"secret": "JBSWY3DPEHPK3PXP"}
    other = _post(legacy, "mfa/setup/verify", code | secret, office)
    assert bad(other) == GONE
    good(_post(legacy, "mfa/setup/verify", code, office))
    legacy.world.clock.move(600)
    late = _post(legacy, "mfa/setup/enable", {"name": "bob"}, office)
    assert bad(late) == GONE
    assert not _has_factor(legacy.world, "bob")


def test_an_access_token_sets_none_up_even_with_the_password(legacy: Legacy) -> None:
    form = {"grant_type": "client_credentials", **_client(legacy)}
    token = legacy.world.post("/oauth/token", data=form).json()["access_token"]
    own = {"name": "bob", "password": PASSWORD}
    answer = _post(legacy, "mfa/setup/initiate", own, legacy.world.bearer(token))
    assert bad(answer) == "Unauthorized operation"


def _client(legacy: Legacy) -> dict[str, str]:
    made = legacy.applications["acme/shop"]
    return {"client_id": made["client_id"], "client_secret": made["client_secret"]}


def test_what_is_no_authenticator_app_or_nobody_is_refused(legacy: Legacy) -> None:
    office = _office(legacy)
    for kind in ("sms", "email"):
        answer = _post(legacy, "mfa/setup/initiate", {"name": "bob", "mfaType": kind}, office)
        assert bad(answer) == "Invalid multi-factor authentication type"
    nobody = _post(legacy, "mfa/setup/initiate", {"name": "nobody"}, office)
    assert bad(nobody)
    unset = _post(legacy, "set-preferred-mfa", {"name": "bob"}, office)
    assert bad(unset) == "There is no second factor."
    give_authenticator(legacy.world, "acme", "bob")
    taken = _post(legacy, "mfa/setup/initiate", {"name": "bob"}, office)
    assert bad(taken) == "There is a second factor already. Remove it first."
    assert good(_post(legacy, "delete-mfa", {"name": "bob"}, office))["data"] == "Affected"
    assert good(_post(legacy, "delete-mfa", {"name": "bob"}, office))["data"] == "Unaffected"
