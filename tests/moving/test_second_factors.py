"""Who has an authenticator app there has it here: nobody is left with a password alone."""

from pathlib import Path
from typing import Any

import pyotp

from iam.kernel.clock import system_clock
from iam.signin.totp import STEP
from tests.moving.conftest import PASSWORD, Pair, installation, run_import, user
from tests.moving.test_taking_over import everything, finding
from tests.support import old_casdoor as casdoor
from tests.support.authenticator import Authenticator
from tests.support.world import ADMIN_PASSWORD, World

SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
RECOVERY = "6fa3b1c2-0d4e-4f5a-8b9c-0123456789ab"


def _with(*users: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    rows = installation()
    rows["user"] += users
    return rows


def _guarded(name: str, **more: Any) -> dict[str, Any]:
    factor = {"totpSecret": SECRET, "recoveryCodes": [RECOVERY], "preferredMfaType": "app"}
    return user(name, casdoor.bcrypted(PASSWORD), "bcrypt", **factor | more)


def _sign_in(world: World, name: str, **more: str) -> Any:
    body = {"organization": "acme", "username": name, "password": PASSWORD, **more}
    return world.post("/v1/sign-in", json=body)


def _meanwhile(world: World) -> dict[str, str]:
    """The command takes the machine's time: have ours be no earlier. An administrator who signs in then."""
    world.clock.move(max(0, system_clock() - world.clock()) // 1000 + 1)
    return world.bearer(world.sign_in("built-in", "admin", password=ADMIN_PASSWORD))


def test_an_app_goes_on_making_codes_and_a_recovery_code_stands_in_once(pair: Pair) -> None:
    rows = _with(_guarded("carol"), _guarded("dave", preferredMfaType="sms"))

    assert run_import(pair.world, *pair.place(rows)).returncode == 0

    admin = _meanwhile(pair.world)
    app = Authenticator(pair.world, SECRET)
    for name in ("carol", "dave"):
        alone = _sign_in(pair.world, name)
        assert (alone.status_code, alone.json()["code"]) == (403, "factor_required")
        # Of the step before: the import may have taken us over into the next.
        before = pyotp.TOTP(SECRET).at(pair.world.clock() // 1000 - STEP)
        there = _sign_in(pair.world, name, code=before)
        assert there.status_code == 403, "this code may have been shown to the old server"
    code = app.next()
    assert _sign_in(pair.world, "carol", code=code).is_success
    assert _sign_in(pair.world, "carol", code=code).status_code == 403
    assert _sign_in(pair.world, "carol", code=RECOVERY.upper()).is_success
    assert _sign_in(pair.world, "carol", code=RECOVERY).status_code == 403
    kept = repr(everything(pair.world))
    assert SECRET not in kept, "it lies encrypted"
    assert RECOVERY not in kept
    assert RECOVERY.replace("-", "") not in kept
    events = pair.world.get("/v1/events?organization=acme&type=factor.added", headers=admin).json()[
        "items"
    ]
    assert {one["user"] for one in events} == {"carol", "dave"}


def test_what_is_no_app_or_not_asked_for_is_reported_and_not_taken(
    pair: Pair, tmp_path: Path
) -> None:
    rows = _with(
        _guarded("off", preferredMfaType=""),
        _guarded("odd", totpSecret="not base32!"),
        _guarded("masked", totpSecret="***"),
        _guarded("texts", totpSecret="", preferredMfaType="sms"),
        _guarded("codes", recoveryCodes=["too short", RECOVERY]),
        # No base32 has this length; and of so short a secret no code is made here.
        _guarded("torn", totpSecret="A" * 17),
        _guarded("short", totpSecret="JBSWY3DPEHPK3PXP"),
    )
    report = tmp_path / "report.json"

    done = run_import(pair.world, *pair.place(rows), "--report", str(report))

    assert done.returncode == 0
    for name, field, reason in (
        ("off", "totpSecret", "factor_off"),
        ("odd", "totpSecret", "second_factor"),
        ("torn", "totpSecret", "second_factor"),
        ("short", "totpSecret", "second_factor"),
        ("masked", "totpSecret", "masked"),
        ("texts", "preferredMfaType", "second_factor"),
        ("codes", "recoveryCodes", "invalid"),
    ):
        assert (field, reason) in finding(report, "user", f"acme/{name}")
    factors = {
        one["name"]: one["second_factor"]
        for one in pair.world.get(
            "/v1/users?organization=acme&limit=200", headers=pair.world.admin
        ).json()["items"]
    }
    assert {name for name, has in factors.items() if has} == {"codes"}
    _meanwhile(pair.world)
    for name in ("torn", "short"):
        assert _sign_in(pair.world, name).is_success


def test_a_recovery_code_that_is_there_in_two_spellings_is_one(pair: Pair) -> None:
    spelt = [RECOVERY, RECOVERY.upper(), RECOVERY.replace("-", "")]
    rows = _with(_guarded("carol", recoveryCodes=spelt))
    done = run_import(pair.world, *pair.place(rows))
    assert done.returncode == 0, done.stderr
    _meanwhile(pair.world)
    assert _sign_in(pair.world, "carol", code=RECOVERY).is_success
    assert _sign_in(pair.world, "carol", code=RECOVERY.upper()).status_code == 403


def test_a_rehearsal_and_a_second_run_add_none(pair: Pair) -> None:
    place = pair.place(_with(_guarded("carol")))
    assert run_import(pair.world, *place, "--dry-run").returncode == 0
    gone = pair.world.get("/v1/users/acme/carol", headers=pair.world.admin)
    assert gone.status_code == 404
    assert run_import(pair.world, *place).returncode == 0
    removed = pair.world.delete("/v1/users/acme/carol/second-factor", headers=pair.world.admin)
    assert removed.is_success

    assert run_import(pair.world, *place).returncode == 0

    found = pair.world.get("/v1/users/acme/carol", headers=pair.world.admin).json()
    assert found["second_factor"] is False, "what was removed here does not come back"
