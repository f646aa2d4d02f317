"""Makes calls of Casdoor's Python SDK and prints what came of each, as JSON.

Standard input: {"config": {…}, "as_user": token or null, "asynchronous": bool, "calls": [[method, arguments],
…]}. An argument {"Session": […]} stands for a session object of the SDK, and {"User": {…}}, {"Token": {…}},
{"Record": {…}}, {"Role": {…}} for one of these with its members.
"""

import asyncio
import inspect
import json
import sys
from typing import Any

from casdoor import AsyncCasdoorSDK, CasdoorSDK
from casdoor.record import Record
from casdoor.role import Role
from casdoor.session import Session
from casdoor.token import Token
from casdoor.user import User

OBJECTS = {"User": User, "Token": Token, "Record": Record, "Role": Role}


def argument(value: Any) -> Any:
    if isinstance(value, dict) and "Session" in value:
        return Session.new(*value["Session"])
    if isinstance(value, dict) and len(value) == 1 and next(iter(value)) in OBJECTS:
        [(kind, members)] = value.items()
        return OBJECTS[kind].from_dict(members)
    return value


def plain(value: Any) -> Any:
    if hasattr(value, "to_dict"):
        return value.to_dict()
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    return value


async def outcome(sdk: Any, method: str, arguments: list[Any]) -> dict[str, Any]:
    try:
        found = getattr(sdk, method)(*map(argument, arguments))
        return {"value": plain(await found if inspect.isawaitable(found) else found)}
    except Exception as error:  # noqa: BLE001 - whatever the SDK raises is what came of it
        return {"error": str(error)}


async def outcomes(asked: dict[str, Any]) -> list[dict[str, Any]]:
    if asked["asynchronous"]:
        client: Any = AsyncCasdoorSDK(**asked["config"])
    else:
        client = CasdoorSDK(**asked["config"])
    if asked["as_user"]:
        client = client.with_access_token(asked["as_user"])
    return [await outcome(client, *call) for call in asked["calls"]]


json.dump(asyncio.run(outcomes(json.load(sys.stdin))), sys.stdout)
