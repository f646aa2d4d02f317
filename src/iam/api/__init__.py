"""The session API and the management API, under `/v1`: JSON in, JSON out, OpenAPI 3.1 of itself.

Owns: paths, shapes and status codes of `/v1`; who may do what there (`access`).
Does not own: what a session, a user or a policy is (`sessions`, `directory`), who is calling (`web`).
Hands to: `server`, which sends every path under `/v1` to `door`.
"""

from iam.api.app import create_api, door, openapi_document

__all__ = ["create_api", "door", "openapi_document"]
