"""What an access token is for (RFC 8707): resource servers that applications of one organization are."""

from collections.abc import Mapping, Sequence

from authlib.oauth2.rfc6749 import (  # type: ignore[import-untyped] # Authlib ships no types
    OAuth2Error,
)
from sqlalchemy import Connection

from iam.directory.applications import Application, find_resource_server

MOST = 10
"""Resources that one token may be for: with more of them it is nearly everybody's."""


class InvalidTarget(OAuth2Error):  # type: ignore[misc] # Authlib's base has no types
    """RFC 8707 §2."""

    error = "invalid_target"


def asked_audience(
    connection: Connection, application: Application, parameters: Mapping[str, str]
) -> tuple[str, ...]:
    """What the parameter `resource` asks for, once or several times; nothing if it is not there.

    Raises:
        InvalidTarget: the organization has no such resource server, or it is more than `MOST`.
    """
    asked = _asked(parameters)
    for resource in asked:
        if not find_resource_server(connection, application.organization, resource):
            raise InvalidTarget("There is no such resource.")
    return asked


def narrowed(granted: Sequence[str], parameters: Mapping[str, str]) -> tuple[str, ...]:
    """What was granted, or as much of it as `resource` asks for.

    Raises:
        InvalidTarget: that is not part of it.
    """
    asked = _asked(parameters)
    if not set(asked) <= set(granted):
        raise InvalidTarget("This resource was not granted.")
    return asked or tuple(granted)


def _asked(parameters: Mapping[str, str]) -> tuple[str, ...]:
    """Each resource that is asked for, once (`protocol.SEVERAL`)."""
    if "resource" not in parameters:
        return ()
    found = tuple(dict.fromkeys(parameters["resource"].split(" ")))
    if len(found) > MOST:
        raise InvalidTarget(f"Ask for {MOST} resources at most.")
    return found
