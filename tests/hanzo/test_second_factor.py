"""`login` of somebody with a second factor: `NextMfa`, then a code from the same browser."""

from typing import Any

import httpx2

from tests.hanzo.conftest import Legacy, bad
from tests.hanzo.test_sign_in import SHOP, asked, cookies_of, login
from tests.support.authenticator import give_authenticator

CODE = {"type": "login", "organization": "acme", "application": "shop", "mfaType": "app"}


def _begin(legacy: Legacy) -> dict[str, str]:
    """The password, and the cookie that came of it."""
    answer = login(legacy, SHOP)
    body = answer.json()
    assert (body["status"], body["data"]) == ("ok", "NextMfa"), body
    assert body["data2"][0]["mfaType"] == "app"
    return _ticket(answer)


def _ticket(answer: httpx2.Response) -> dict[str, str]:
    cookies = cookies_of(answer)
    assert "iam" not in cookies, "nobody is signed in yet"
    assert "HttpOnly" in cookies["iam-factor;"]
    return {"cookie": f"iam-factor={cookies['iam-factor']}"}


def _show(legacy: Legacy, cookie: dict[str, str], **members: Any) -> httpx2.Response:
    return login(legacy, CODE | members, headers=cookie)


def test_a_password_and_a_code_sign_in(both: Legacy) -> None:
    app = give_authenticator(both.world, "acme", "ann")
    cookie = _begin(both)
    assert both.live("acme", "ann", "app-built-in") == []

    wrong = _show(both, cookie, passcode="000000")
    assert bad(wrong).startswith("This code is not right")
    answer = _show(both, _ticket(wrong), passcode=app.code())

    assert answer.json()["data"] == "acme/ann", answer.text
    [session] = both.live("acme", "ann", "shop")
    found = both.world.get(f"/v1/sessions/{session}", headers=both.world.admin).json()
    assert found["amr"] == ["pwd", "otp", "mfa"]
    cookies = cookies_of(answer)
    assert cookies["iam-factor"] == ""
    both.get("get-account", headers={"cookie": f"casdoor_session_id={cookies['iam']}"})
    for stale in (cookie, _ticket(wrong)):
        assert bad(_show(both, stale, passcode=app.next())) == "expired user session"


def test_a_recovery_code_does_as_well_and_gives_a_code_for_an_application(both: Legacy) -> None:
    app = give_authenticator(both.world, "acme", "ann")
    form = CODE | {"type": "code", "recoveryCode": app.recovery[0]}

    answer = login(both, form, params=asked(both), headers=_begin(both))

    assert answer.json()["status"] == "ok", answer.text
    assert len(answer.json()["data"]) == 43


def test_what_is_missing_is_said_and_a_code_without_a_password_is_worth_nothing(
    legacy: Legacy,
) -> None:
    app = give_authenticator(legacy.world, "acme", "ann")
    cookie = _begin(legacy)

    assert bad(_show(legacy, cookie, mfaType="sms")) == "Invalid multi-factor authentication type"
    assert bad(_show(legacy, cookie)) == "missing passcode or recovery code"
    assert bad(_show(legacy, {}, passcode=app.code())) == "expired user session"
    legacy.world.clock.move(601)
    assert bad(_show(legacy, cookie, passcode=app.code())) == "expired user session"
    assert legacy.live("acme", "ann", "app-built-in") == []


def test_it_is_said_in_the_language_that_is_asked_for(legacy: Legacy) -> None:
    app = give_authenticator(legacy.world, "acme", "ann")
    for asked_for, kind, missing in (
        ("de-AT,en;q=0.5", "Unbekannte Art", "Code oder Wiederherstellungscode fehlt"),
        ("zh-CN", "无效的多因素认证类型", "缺少验证码或恢复代码"),
        ("tlh", "Invalid multi-factor", "missing passcode or recovery code"),
    ):
        cookie = _begin(legacy) | {"accept-language": asked_for}
        assert bad(_show(legacy, cookie, mfaType="sms")).startswith(kind)
        assert bad(_show(legacy, cookie)) == missing
    late = {"accept-language": "fr"}
    assert "recommencer" in bad(_show(legacy, late, passcode=app.code()))
    cookie = _begin(legacy) | {"accept-language": "es"}
    assert "Este código no es correcto" in bad(_show(legacy, cookie, passcode="000000"))
