"""What an access token is for (RFC 8707): resource servers that applications of one organization are."""

from collections.abc import Mapping, Sequence

from authlib.oauth2.rfc6749 import (  # type: ignore[import-untyped] # Authlib ships no types
    OAuth2Error,
)
from sqlalchemy import Connection

from iam.directory.applications import Application, find_resource_server


class InvalidTarget(OAuth2Error):  # type: ignore[misc] # Authlib's base has no types
    """RFC 8707 §2."""

    error = "invalid_target"


def asked_audience(
    connection: Connection, application: Application, parameters: Mapping[str, str]
) -> tuple[str, ...]:
    """What the parameter `resource` asks for; nothing if it is not there.

    Raises:
        InvalidTarget: the organization has no such resource server.
    """
    resource = parameters.get("resource")
    if resource is None:
        return ()
    if not find_resource_server(connection, application.organization, resource):
        raise InvalidTarget("There is no such resource.")
    return (resource,)


def narrowed(granted: Sequence[str], parameters: Mapping[str, str]) -> tuple[str, ...]:
    """What was granted, or as much of it as `resource` asks for.

    Raises:
        InvalidTarget: that is not part of it.
    """
    resource = parameters.get("resource")
    if resource is None:
        return tuple(granted)
    if resource not in granted:
        raise InvalidTarget("This resource was not granted.")
    return (resource,)
