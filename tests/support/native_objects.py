"""Objects as our own API shows them."""

from typing import Any

from tests.hanzo.conftest import Legacy


def native_object(legacy: Legacy, path: str) -> dict[str, Any]:
    world = legacy.world
    answer = world.get(path, headers=world.admin)
    found: dict[str, Any] = answer.json() if answer.status_code == 200 else {}
    return found
