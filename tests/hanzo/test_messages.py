"""What is said to people is said in every language, with the same values in it."""

import string

import pytest

from iam.hanzo.messages import SENTENCES


@pytest.mark.parametrize("key", SENTENCES)
def test_a_sentence_is_there_in_every_language_with_the_same_values(key: str) -> None:
    languages = SENTENCES[key]

    assert set(languages) == set(SENTENCES["denied"])
    values = {
        language: {name for _, name, _, _ in string.Formatter().parse(words) if name}
        for language, words in languages.items()
    }
    assert len({frozenset(names) for names in values.values()}) == 1, values
    assert len(set(languages.values())) == len(languages), "none is left untranslated"
