"""Makes calls of Casdoor's Python SDK and prints what came of each, as JSON; without calls, which there are.

Standard input: {"config": {…}, "as_user": token or null, "asynchronous": bool, "calls": [[method, arguments],
…]}. An argument {"Session": […]} stands for a session object of the SDK, and {"User": {…}}, {"Token": {…}}
and so on for one of these with its members. Arguments null stand for any that the method takes.
"""

import asyncio
import inspect
import json
import sys
import typing
from typing import Any

from casdoor import AsyncCasdoorSDK, CasdoorSDK
from casdoor.application import Application
from casdoor.cert import Cert
from casdoor.group import Group
from casdoor.organization import Organization
from casdoor.permission import Permission
from casdoor.provider import Provider
from casdoor.record import Record
from casdoor.role import Role
from casdoor.session import Session
from casdoor.token import Token
from casdoor.user import User

OBJECTS = {
    kind.__name__: kind
    for kind in (
        *(Application, Cert, Group, Organization, Permission, Provider),
        *(Record, Role, Token, User),
    )
}


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


def anything(method: Any) -> list[Any]:
    """Arguments of the types that a method asks for, where it asks for any."""
    types = typing.get_type_hints(method)
    needed = [
        one
        for one in inspect.signature(method).parameters.values()
        if one.default is one.empty and one.kind is one.POSITIONAL_OR_KEYWORD
    ]
    return [_thing(types.get(one.name, str)) for one in needed]


class _Named(str):
    """A text that can be asked for what an object of theirs has."""

    __slots__ = ("name", "owner")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.owner, self.name = "acme", text


def _thing(kind: Any) -> Any:
    if hasattr(kind, "from_dict"):
        return kind.from_dict({"owner": "acme", "name": "any"})
    plain = typing.get_origin(kind) or kind
    return plain() if plain in (int, float, list, dict, bool, bytes) else _Named("any")


def methods(kind: type) -> list[str]:
    found = inspect.getmembers(kind, inspect.isfunction)
    return [name for name, _ in found if not name.startswith("_")]


async def outcome(sdk: Any, method: str, arguments: list[Any] | None) -> dict[str, Any]:
    try:
        called = getattr(sdk, method)
        given = anything(called) if arguments is None else map(argument, arguments)
        found = called(*given)
        return {"value": plain(await found if inspect.isawaitable(found) else found)}
    except Exception as error:  # noqa: BLE001 - whatever the SDK raises is what came of it
        return {"error": str(error)}


async def outcomes(asked: dict[str, Any]) -> list[Any]:
    if asked["calls"] is None:
        return [methods(CasdoorSDK), methods(AsyncCasdoorSDK)]
    if asked["asynchronous"]:
        client: Any = AsyncCasdoorSDK(**asked["config"])
    else:
        client = CasdoorSDK(**asked["config"])
    if asked["as_user"]:
        client = client.with_access_token(asked["as_user"])
    return [await outcome(client, *call) for call in asked["calls"]]


json.dump(asyncio.run(outcomes(json.load(sys.stdin))), sys.stdout)
