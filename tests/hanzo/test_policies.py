"""Their switches for sessions are knobs of our policy, and hold for signing in on their paths."""

from typing import Any

import pytest

from iam.hanzo.errors import Refused
from iam.hanzo.policies import turned_by
from tests.hanzo.conftest import Legacy, bad
from tests.hanzo.test_sign_in import SHOP, cookies_of, login


def _turn(legacy: Legacy, layer: str, knobs: dict[str, Any]) -> None:
    path = {
        "application": "/v1/policies/applications/acme/shop",
        "organization": "/v1/policies/organizations/acme",
    }[layer]
    changed = legacy.world.patch(path, json=knobs, headers=legacy.world.admin)
    assert changed.status_code == 200, changed.text


def test_exclusive_sign_in_of_an_application_leaves_one_session_there(both: Legacy) -> None:
    _turn(both, "application", turned_by({"enableExclusiveSignin": True}, "application"))
    first = cookies_of(login(both, SHOP))["iam"]
    [before] = both.live("acme", "ann", "shop")

    login(both, SHOP)

    [after] = both.live("acme", "ann", "shop")
    assert both.end_reason(before) == "exclusive"
    assert after != before
    assert len(both.live("acme", "ann", "app-built-in")) == 2, "the browsers stay signed in"
    both.get("get-account", headers={"cookie": f"iam={first}"})
    row = both.get("get-session", sessionPkId="acme/ann/shop", **both.client("acme/office"))["data"]
    assert row["ExclusiveSignin"] is True


def test_exclusive_sign_in_of_an_organization_leaves_one_browser(both: Legacy) -> None:
    _turn(both, "organization", turned_by({"enableExclusiveSignin": True}, "organization"))
    first = cookies_of(login(both, SHOP))["iam"]

    second = cookies_of(login(both, SHOP))["iam"]

    assert bad(both.world.get("/api/get-account", headers={"cookie": f"iam={first}"}))
    both.get("get-account", headers={"cookie": f"iam={second}"})
    assert len(both.live("acme", "ann", "shop")) == 1


def test_a_limit_that_refuses_is_said_in_words(both: Legacy) -> None:
    knobs = turned_by({"maxSessions": 1}, "organization") | {"at_limit": "refuse"}
    _turn(both, "organization", knobs)
    login(both, SHOP)

    answer = login(both, SHOP)

    assert bad(answer) == "You are signed in in as many places as allowed"
    assert "set-cookie" not in answer.headers


def test_switches_that_are_off_leave_the_knob_alone() -> None:
    off = {"enableExclusiveSignin": False, "maxSessions": 0}
    assert turned_by(off, "application") == {"exclusive": None, "maximum_sessions": None}
    assert turned_by({}, "organization") == {}
    for wrong in (
        {"enableExclusiveSignin": "yes"},
        {"maxSessions": -1},
        {"maxSessions": True},
        {"maxSessions": "3"},
    ):
        with pytest.raises(Refused):
            turned_by(wrong, "application")
