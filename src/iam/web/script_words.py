"""The sentences that the scripts in `static` say; pages carry them in the reader's language."""

from iam.languages import ENGLISH, N_, gettext, reader

_SENTENCES = (
    N_("Caps Lock is on"),
    N_("Hide password"),
    N_("Show password"),
    N_("Cancel"),
    N_("Copied"),
    N_("This browser goes on as %(user)s now. This page is from before."),
    N_("Switch account"),
    N_("Reload"),
    N_("Another account is in use"),
    N_("Signed out"),
    N_("By the user"),
    N_("By an administrator"),
    N_("Idle"),
    N_("Lifetime over"),
    N_("Newer sign-in"),
    N_("Limit"),
    N_("Browser session ended"),
    N_("User disabled"),
    N_("Password changed"),
    N_("Application disabled"),
    N_("Policy"),
    N_("Refresh token reused"),
    N_("%(session)s: ended"),
    N_("A session has ended"),
    N_("Not live"),
    N_("Reconnecting"),
    N_("Paused"),
    N_("%(number)s selected"),
    N_("Select"),
    N_("Are you still there?"),
    N_("Nothing was done here for a while. You will be signed out in %(left)s."),
    N_("Stay signed in"),
    N_("Sign out"),
    N_("You will be signed out soon"),
    N_(
        "This session reaches its longest time in %(left)s minutes. Sign in again to go on after that."
    ),
    N_("All right"),
    N_("You are signed out"),
    N_("Sign in again"),
)


def script_words() -> dict[str, str]:
    """Each sentence with its translation; nothing where that is what the script says by itself."""
    if reader().language == ENGLISH:
        return {}
    return {sentence: gettext(sentence) for sentence in _SENTENCES}
