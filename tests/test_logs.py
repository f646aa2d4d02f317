"""Logs: everything an operator needs, and nothing that opens a door."""

import os
import pty
import subprocess
import sys

import pytest

from iam.logs import mask

SESSION = "ses_01m843qhwke5grfwdnnet8vn9e"
TOKEN = f"{SESSION}.{'A' * 43}"


@pytest.mark.parametrize("key", ["password", "Secret", "token", "client_secret", "Authorization"])
def test_what_is_called_a_secret_is_masked(key: str) -> None:
    assert mask(None, "info", {"event": "x", key: "hunter2 hunter2"})[key] == "***"


def test_what_looks_like_a_token_is_masked_wherever_it_stands() -> None:
    line = mask(None, "info", {"event": f"got {TOKEN} twice: {TOKEN}", "path": f"/x?t={TOKEN}"})

    assert line == {
        "event": f"got {SESSION}.*** twice: {SESSION}.***",
        "path": f"/x?t={SESSION}.***",
    }


def test_a_session_id_is_shown_for_it_proves_nothing() -> None:
    assert mask(None, "info", {"session": SESSION})["session"] == SESSION


_CRASHES = f"""
import structlog
from iam.logs import configure_logs
configure_logs("info")
password = "hunter2 " + "hunter2"
try:
    raise ValueError("not " + "{SESSION}" + "." + "A" * 43)
except ValueError:
    structlog.get_logger("iam").exception("crash")
"""


def test_a_crash_on_a_terminal_shows_where_it_was_and_no_values() -> None:
    ours, theirs = pty.openpty()
    try:
        subprocess.run([sys.executable, "-c", _CRASHES], stderr=theirs, check=True)
        shown = os.read(ours, 1 << 20).decode()
    finally:
        os.close(ours)
        os.close(theirs)

    assert "ValueError: not " in shown
    assert "hunter2 hunter2" not in shown
    assert TOKEN not in shown
