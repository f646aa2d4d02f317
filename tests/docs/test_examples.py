"""The examples in the documents work: each block of commands is run as it stands, on a real server."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.processes import Server

ROOT = Path(__file__).parents[2]
_MARK = "--- end of a command ---"
_PATIENCE = 120
"""Seconds; a hang is a failure with its output, and no example comes near."""


def commands_of(document: Path) -> list[tuple[str, str]]:
    """(command, expected output) of the ```console blocks; `…` in the output stands for anything."""
    found: list[tuple[str, str]] = []
    for block in re.findall(
        r"^```console\n(.*?)^```", document.read_text(), re.DOTALL | re.MULTILINE
    ):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            lines = part.splitlines()
            last = next(i for i, line in enumerate(lines) if not line.endswith("\\"))
            found.append(("\n".join(lines[: last + 1]), "\n".join(lines[last + 1 :])))
    return found


def pattern_of(expected: str) -> re.Pattern[str]:
    return re.compile(".*".join(re.escape(part) for part in expected.split("…")), re.DOTALL)


@pytest.mark.parametrize("name", ["README.md", "docs/how-to/back-end-sessions.md"])
def test_the_commands_of_a_document_print_what_it_says(name: str, tmp_path: Path) -> None:
    commands = commands_of(ROOT / name)
    assert commands, "the document has lost its examples"
    with Server(
        database_url=f"sqlite:///{tmp_path / 'iam.db'}", env={"IAM_PASSWORD_MEMORY_KIB": "64"}
    ) as server:
        script = "".join(f"{command}\necho; echo '{_MARK}'\n" for command, _ in commands)
        script = script.replace("http://127.0.0.1:8000", server.url)
        script = script.replace(".venv/bin/iam", "iam")
        ran = subprocess.run(
            ["bash", "-c", script],
            env={
                **server.settings,
                "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
                "HOME": str(tmp_path),
            },
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=_PATIENCE,
        )
    outputs = ran.stdout.split(_MARK)[:-1]

    wrong = [
        f"$ {command}\n{output.strip()}\n  but the document says\n{expected}"
        for (command, expected), output in zip(commands, outputs, strict=True)
        if not pattern_of(expected.strip()).fullmatch(output.strip())
    ]

    assert wrong == []
