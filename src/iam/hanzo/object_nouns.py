"""Objects by the nouns of Hanzo IAM: `GET /v1/iam/users`, `/v1/iam/users/get` and so on.

The same objects as the verbs answer, without the envelope: a list has the name of its kind, an error its
HTTP status, and what there is not is a 404.
"""

from collections.abc import Callable

from starlette.responses import Response

from iam.hanzo import (
    application_verbs,
    organization_verbs,
    provider_verbs,
    role_verbs,
    user_verbs,
)
from iam.hanzo.call import Call
from iam.hanzo.envelope import Reply
from iam.hanzo.errors import ObjectMissing
from iam.hanzo.verbs import Verb, bare

_V1 = ("/v1/iam/",)


def _list(name: str, read: Callable[[Call], Reply]) -> Verb:
    def answer(call: Call) -> Response:
        return bare({name: read(call).data})

    return Verb(name=name, methods=("GET",), handler=answer, own_status=True, prefixes=_V1)


def _one(name: str, read: Callable[[Call], Reply]) -> Verb:
    def answer(call: Call) -> Response:
        found = read(call).data
        if found is None:
            raise ObjectMissing
        return bare(found)

    return Verb(name=name, methods=("GET",), handler=answer, own_status=True, prefixes=_V1)


VERBS: tuple[Verb, ...] = (
    _list("users", user_verbs.get_users),
    _one("users/get", user_verbs.get_user),
    _list("organizations", organization_verbs.get_organizations),
    _one("organizations/get", organization_verbs.get_organization),
    _list("applications", application_verbs.get_applications),
    _one("application", application_verbs.get_application),
    _list("providers", provider_verbs.get_providers),
    _list("roles", role_verbs.get_roles),
    _one("roles/get", role_verbs.get_role),
)
