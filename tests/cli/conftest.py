"""The commands, each a process of its own."""

import os
import subprocess
import sys

import pytest

from iam.db import Database
from tests.support.commands import Iam


@pytest.fixture
def iam(database: Database) -> Iam:
    """Runs `iam …` on the test's database; `typed` is what somebody types."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    cheap = {"IAM_PASSWORD_MEMORY_KIB": "64", "IAM_PASSWORD_PASSES": "1"}
    kind = database.url.get_backend_name()
    url = database.url.set(drivername=kind).render_as_string(hide_password=False)
    key = {"IAM_ENCRYPTION_KEY": "00" * 32, "PYTHONWARNINGS": "ignore"}
    env = kept | cheap | key | {"IAM_DATABASE_URL": url}

    def run(*arguments: str, typed: str = "") -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "iam.cli", *arguments],
            env=env,
            input=typed,
            capture_output=True,
            text=True,
            check=False,
        )

    return run
