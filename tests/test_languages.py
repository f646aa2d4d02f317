"""The catalogs: nothing is left untranslated, and no translation loses what its sentence holds."""

import re
from collections.abc import Iterator

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.pofile import read_po

from iam.languages import ENGLISH, LANGUAGES, _, n_, reader, speaking, times
from iam.web.engine import in_hash_pool
from scripts import languages
from tests.support.world import World

OTHERS = [tag for tag in LANGUAGES if tag != ENGLISH]
_PLACE = re.compile(r"%\(\w+\)s|%%")
_TAG = re.compile(r"</?\w+[^>]*>")


@pytest.fixture(scope="module")
def template() -> Catalog:
    return languages.collect()


def _texts(message: Message) -> tuple[str, list[str]]:
    """The English that holds every place, and each form of the translation."""
    english = message.id if isinstance(message.id, str) else message.id[-1]
    said = message.string
    return english, [said] if isinstance(said, str) else list(said or [])


def _messages(catalog: Catalog) -> Iterator[Message]:
    return (message for message in catalog if message.id)


@pytest.mark.parametrize("language", OTHERS)
def test_every_sentence_of_the_code_is_translated(language: str, template: Catalog) -> None:
    catalog = languages.in_step(language, template)
    assert languages.untranslated(catalog) == [], "run scripts/languages.py, and translate"


@pytest.mark.parametrize("language", OTHERS)
def test_the_catalog_holds_no_more_than_the_code_says(language: str, template: Catalog) -> None:
    path = languages.CATALOGS / f"{language}.po"
    with path.open("rb") as file:
        there = read_po(file, locale=language)
    assert {(m.context, m.id) for m in there} == {(m.context, m.id) for m in template}


@pytest.mark.parametrize("language", OTHERS)
def test_a_translation_has_the_places_and_the_markup_of_its_sentence(
    language: str, template: Catalog
) -> None:
    wrong = []
    for message in _messages(languages.in_step(language, template)):
        english, forms = _texts(message)
        places, tags = set(_PLACE.findall(english)), sorted(_TAG.findall(english))
        for form in forms:
            # Where it is one, a language may say so in words.
            one = places - {"%(number)s"} if len(forms) > 1 else places
            if not one <= set(_PLACE.findall(form)) <= places or sorted(_TAG.findall(form)) != tags:
                wrong.append((english, form))
    assert wrong == []


@pytest.mark.parametrize("language", OTHERS)
def test_a_translation_can_be_filled_in(language: str, template: Catalog) -> None:
    for message in _messages(languages.in_step(language, template)):
        english, forms = _texts(message)
        if "%" not in english:
            continue
        values = dict.fromkeys(re.findall(r"%\((\w+)\)s", english), "x")
        for form in forms:
            assert "%(" not in form % values


@pytest.mark.parametrize(
    ("language", "one", "many"),
    [
        (ENGLISH, "1 session", "1,312 sessions"),
        ("de", "1 Sitzung", "1.312 Sitzungen"),
        ("fr", "1 session", "1\u202f312 sessions"),
    ],
)
def test_numbers_have_the_form_and_the_separators_of_the_language(
    language: str, one: str, many: str
) -> None:
    with speaking(language):
        said = [n_("%(number)s session", "%(number)s sessions", number) for number in (1, 1312)]
    assert said == [one, many]


def test_a_sentence_without_a_translation_is_said_in_english() -> None:
    with speaking("de"):
        assert _("A sentence that nobody wrote for %(name)s", name="Bob").endswith("for Bob")


def test_pages_and_titles_are_in_the_language(world: World) -> None:
    page = world.get("/sign-in/built-in", headers={"accept-language": "de"}).text
    assert ">Passwort<" in page
    assert ">Password<" not in page
    assert times.length(60) == "1 minute"
    with speaking("de"):
        assert times.length(120) == "2 Minuten"


def test_what_is_said_while_a_password_is_hashed_is_in_the_language(world: World) -> None:
    async def said() -> str:
        with speaking("de"):
            return await in_hash_pool(world.engine, lambda: reader().language)

    assert world.portal.call(said) == "de"


def test_templates_translate_nothing_but_sentences_of_ours() -> None:
    """In a template a sentence is markup with places: what came in an address must never be taken for one."""
    called = re.compile(r"(?<![\w.])(?:_|gettext|pgettext)\(\s*(?![\s\"'])([^)]*)")
    templates = languages.SOURCE / "iam/web/templates"
    found = {
        (path.name, argument)
        for path in templates.glob("*.html")
        for argument in called.findall(path.read_text())
    }
    # By a table of ours, whose sentences are marked.
    assert {argument for _name, argument in found} == {"known[code]"}, sorted(found)
