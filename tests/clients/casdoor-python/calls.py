"""Makes calls of Casdoor's Python SDK and prints what came of each, as JSON.

Standard input: {"config": {…}, "as_user": token or null, "calls": [[method, arguments], …]}. An argument
{"Session": […]} stands for a session object of the SDK.
"""

import json
import sys
from typing import Any

from casdoor import CasdoorSDK
from casdoor.session import Session


def argument(value: Any) -> Any:
    if isinstance(value, dict) and "Session" in value:
        return Session.new(*value["Session"])
    return value


def plain(value: Any) -> Any:
    if hasattr(value, "to_dict"):
        return value.to_dict()
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    return value


def outcome(sdk: CasdoorSDK, method: str, arguments: list[Any]) -> dict[str, Any]:
    try:
        return {"value": plain(getattr(sdk, method)(*map(argument, arguments)))}
    except Exception as error:  # noqa: BLE001 - whatever the SDK raises is what came of it
        return {"error": str(error)}


asked = json.load(sys.stdin)
client = CasdoorSDK(**asked["config"])
if asked["as_user"]:
    client = client.with_access_token(asked["as_user"])
json.dump([outcome(client, *call) for call in asked["calls"]], sys.stdout)
