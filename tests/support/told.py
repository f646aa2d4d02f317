"""Applications that are told of ends by the back channel, and what they were told."""

from typing import TYPE_CHECKING, Any

import httpx2

from iam.delivery.deliverer import Deliverer
from tests.support.receiver import Receiver

if TYPE_CHECKING:
    from tests.oidc.conftest import Party

ATTEMPTS = 3


def tell(stage: "Party", name: str, uri: str | None, organization: str = "acme") -> httpx2.Response:
    """Have an application told at this address; None: not any more."""
    body = {"backchannel_logout_uri": uri}
    path = f"/v1/applications/{organization}/{name}"
    return stage.world.patch(path, json=body, headers=stage.world.admin)


def entered(stage: "Party", token: str, application: str = "wiki") -> str:
    """Enter an application; the `sid` that it got."""
    sid: str = stage.claims(stage.tokens(token, application)["id_token"])["sid"]
    return sid


def told(stage: "Party", receiver: Receiver) -> list[dict[str, Any]]:
    """The claims of the tokens that came, their signatures checked."""
    return [stage.claims(notice.form["logout_token"]) for notice in receiver.notices]


def run(stage: "Party", deliverer: Deliverer) -> None:
    stage.world.portal.call(deliverer.run_due)


def deliveries(stage: "Party", session: str, token: str | None = None) -> list[dict[str, Any]]:
    headers = stage.world.admin if token is None else stage.world.bearer(token)
    answer = stage.world.get(f"/v1/sessions/{session}/deliveries", headers=headers)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    return found
