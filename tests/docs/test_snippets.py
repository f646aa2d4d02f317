"""What the console offers to paste is what the how-to guides say, which other tests run."""

import re
from pathlib import Path

import pytest

from iam.console.snippets import PROXIES, gate_snippets, openid_snippets

GUIDES = Path(__file__).parents[2] / "docs" / "how-to"


@pytest.mark.parametrize("proxy", [words for words, _ in PROXIES])
def test_a_proxys_configuration_is_that_of_its_guide(proxy: str) -> None:
    guide = (GUIDES / f"{proxy.lower()}.md").read_text()
    block = re.search(r"## 2\. .*?```\w+\n(.*?)```", guide, re.DOTALL)
    assert block is not None
    assert dict(gate_snippets("wiki.example.com"))[proxy] == block[1]


def test_the_host_is_the_applications() -> None:
    for words, text in gate_snippets("docs.acme.example"):
        assert "docs.acme.example" in text, words
        assert "wiki.example.com" not in text, words


@pytest.mark.parametrize("public", [False, True])
def test_libraries_get_the_applications_values_and_no_secret(public: bool) -> None:
    values = ("https://id.example", "app_1", "https://a.example/callback")
    found = openid_snippets(*values, public=public)
    assert len(found) == (2 if public else 3)  # Apache's module keeps a secret
    for words, text in found:
        for value in values:
            assert value in text, words
        assert not re.search(r"@\w+@", text), words
        assert ("secret" in text.lower()) is not public, words
