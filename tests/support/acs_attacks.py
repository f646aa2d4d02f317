"""An identity provider's answer, bent, and what it must leave: nothing."""

from typing import Any

from tests.saml.conftest import NS, SAML, Stage
from tests.support.saml_idp import Idp
from tests.support.surfer import Surfer

KEPT = ("session", "session_record", "user_account", "provider_link", "federated_session")
ASSERTION = f"{{{SAML}}}Assertion"
EVIL = "evil-there"


def refused(idp: Idp, data: bytes, *codes: str, surfer: Surfer | None = None) -> None:
    """What a provider's page posts is answered by a page with one of these codes, and changes nothing."""
    before = Stage(idp.world, idp.key).rows(*KEPT)
    answer = idp.bring(surfer or Surfer(idp.world), data)
    assert 400 <= answer.status_code < 500, (answer.status_code, answer.headers)
    assert any(f"<code>{code}</code>" in answer.text for code in codes), (
        codes,
        answer.text,
    )
    assert "set-cookie" not in answer.headers or "iam=" not in answer.headers["set-cookie"]
    assert Stage(idp.world, idp.key).rows(*KEPT) == before


def changed_name(idp: Idp, root: Any) -> Any:
    root.find(f"{ASSERTION}//saml:NameID", NS).text = EVIL
    return root
