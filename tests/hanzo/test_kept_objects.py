"""Groups and permissions, which are only kept; and what is not done at all."""

import pytest

from tests.hanzo.conftest import Legacy, bad


def test_nobody_acts_as_somebody_else(legacy: Legacy) -> None:
    for headers in (legacy.basic("acme/office"), legacy.headers("built-in", "admin")):
        for verb in ("impersonate-user", "exit-impersonate-user"):
            form = {"owner": "acme", "name": "bob"}
            answer = legacy.world.post(f"/api/{verb}", data=form, headers=headers)
            assert bad(answer).startswith("Nobody acts as somebody else here")
            assert "set-cookie" not in answer.headers
    assert bad(legacy.world.post("/api/impersonate-user", json={})) == "Please login first"
    assert legacy.live("acme", "bob", "app-built-in") == []


@pytest.mark.parametrize("kind", ["group", "permission"])
def test_groups_and_permissions_are_of_who_administers_the_organization(
    both: Legacy, kind: str
) -> None:
    boss, rick = both.headers("acme", "boss"), both.headers("globex", "rick")
    row = {"owner": "acme", "name": "one", "displayName": "One", "clientSecret": "s3cret"}
    for stranger in (rick, both.headers("acme", "ann"), both.basic("acme/shop")):
        for verb in (f"add-{kind}", f"update-{kind}", f"delete-{kind}"):
            answer = both.world.post(f"/api/{verb}", json=row, headers=stranger)
            assert bad(answer) == "Unauthorized operation"
        listed = both.world.get(f"/api/get-{kind}s?owner=acme", headers=stranger)
        one = both.world.get(f"/api/get-{kind}?id=acme/one", headers=stranger)
        assert bad(listed) == bad(one) == "Unauthorized operation"
    both.post(f"add-{kind}", row, headers=boss)
    taken = both.world.post(f"/api/add-{kind}", json=row, headers=boss)
    assert bad(taken) == "name is taken."
    elsewhere = both.world.post(f"/api/update-{kind}?id=globex/one", json=row, headers=rick)
    assert elsewhere.json()["status"] == "error", "the query names one, the body another"
    [found] = both.get(f"get-{kind}s", owner="acme", headers=boss)["data"]
    assert found["displayName"] == "One"
    assert "clientSecret" not in found, "secrets are not kept"
    assert both.get(f"get-{kind}s", owner="globex", headers=rick)["data"] == []
    gone = both.post(f"delete-{kind}", row, headers=boss)
    again = both.post(f"delete-{kind}", row, headers=boss)
    assert (gone["data"], again["data"]) == ("Affected", "Unaffected")
