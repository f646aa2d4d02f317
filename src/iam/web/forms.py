"""Forms and queries as the pages take them: text without traps."""

from starlette.requests import Request

from iam.kernel.errors import Invalid

_FORM = "application/x-www-form-urlencoded"


class FormInvalid(Invalid):
    """What was sent is not what a form of ours sends."""

    code = "form_invalid"
    title = "This form cannot be understood."


async def read_form(request: Request) -> dict[str, str]:
    """The fields of a posted form; of a field that comes twice the first counts.

    Raises:
        FormInvalid: another content type (an upload), or a NUL character, which no database takes.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
        raise FormInvalid(f"Send it as {_FORM}.")
    form = await request.form(max_fields=50)
    fields: dict[str, str] = {}
    for name, value in form.multi_items():
        if not isinstance(value, str) or "\x00" in value:
            raise FormInvalid(f"The field {name[:40]!r} holds what no form of ours sends.")
        fields.setdefault(name, value)
    return fields


def query_text(request: Request, name: str, longest: int = 255) -> str:
    """A query parameter, without surrounding space; empty if absent, too long or with a NUL."""
    value = request.query_params.get(name, "").strip()
    return value if len(value) <= longest and "\x00" not in value else ""
