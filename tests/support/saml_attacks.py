"""What a hostile sender sends, and what it must leave: nothing."""

from collections.abc import Callable

from tests.saml.conftest import Stage

KEPT = ("saml_message", "session", "session_record", "saml_session", "event")


def refused(stage: Stage, send: Callable[[], object], code: str, *statuses: int) -> None:
    """What is sent is answered by a page with this code, and changes nothing."""
    before = stage.rows(*KEPT)
    answer: object = send()
    assert answer.status_code in (statuses or (422, 403)), answer  # type: ignore[attr-defined]  # an HTTP answer
    assert f"<code>{code}</code>" in answer.text, answer.text  # type: ignore[attr-defined]  # the same
    assert stage.rows(*KEPT) == before
