"""What goes wrong on these paths, beyond what goes wrong everywhere: by a sentence of `messages`."""

from iam.kernel.errors import Conflict, Invalid, Missing, Unauthenticated


class Refused(Invalid):
    """What was sent cannot be done; `detail` says why, in English."""

    code = "hanzo_refused"
    title = "This request cannot be done."


class Told(Refused):
    """What people are shown, and not only whoever writes the client: a sentence of `messages`, in the
    language that is asked for."""

    def __init__(self, sentence: str, **values: object) -> None:
        super().__init__()
        self.sentence = sentence
        self.values = values


class MalformedBody(Invalid):
    """The body is no JSON object and no form."""

    code = "hanzo_malformed_body"
    title = "The body must be a JSON object."


class CredentialsRefused(Unauthenticated):
    """The credentials that were shown are not good; `sentence` names the reason."""

    code = "hanzo_credentials_refused"
    title = "These credentials are not right."

    def __init__(self, sentence: str) -> None:
        super().__init__()
        self.sentence = sentence


class CurrentSession(Conflict):
    """Nobody deletes the session that they call with: that is a sign-out."""

    code = "hanzo_current_session"
    title = "This is the current session and cannot be deleted."

    def __init__(self, session_id: str) -> None:
        super().__init__(session_id=session_id)
        self.session_id = session_id


class SessionRowMissing(Missing):
    """This user has no session of this application, and nothing was added."""

    code = "hanzo_session_not_found"
    title = "session not found"


class ObjectMissing(Missing):
    """What is asked for is not there."""

    code = "hanzo_object_not_found"
    title = "There is no such object."
