"""Logouts that a service provider asks for, and what is answered."""

from typing import Any

import httpx2

from tests.saml.conftest import KeyPair, Stage


def enter(stage: Stage, browser: dict[str, str], application: str) -> Any:
    return stage.enter(
        browser,
        issuer=f"https://{application}.acme.test/saml",
        AssertionConsumerServiceURL=f"https://{application}.acme.test/acs",
    )


def statuses(root: Any) -> list[str]:
    return [str(one).rpartition(":")[2] for one in root.xpath("//@Value")]


def send(
    stage: Stage, reply: Any, *indexes: str, key: KeyPair | None = None, **more: Any
) -> httpx2.Response:
    text = stage.logout(reply.name_id, *indexes, **more)
    return stage.redirect(text, key=key or stage.key, path="/saml/slo", RelayState="back here")
