"""The sentences that the scripts in `static` say; pages carry them in the reader's language."""

from iam.languages import ENGLISH, N_, gettext, reader

_SENTENCES = (
    N_("Caps Lock is on"),
    N_("Hide password"),
    N_("Show password"),
    N_("Cancel"),
    N_("Copied"),
)


def script_words() -> dict[str, str]:
    """Each sentence with its translation; nothing where that is what the script says by itself."""
    if reader().language == ENGLISH:
        return {}
    return {sentence: gettext(sentence) for sentence in _SENTENCES}
