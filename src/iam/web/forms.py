"""Forms and queries as the pages take them: text without traps."""

from starlette.requests import Request

from iam.kernel.errors import Invalid
from iam.languages import _, written

_FORM = "application/x-www-form-urlencoded"

_CHOICES = 300
_AROUND = 16 * 1024
"""Bytes of an upload that are not its file."""


class FormInvalid(Invalid):
    """What was sent is not what a form of ours sends."""

    code = "form_invalid"
    title = "This form cannot be understood."


async def read_form(request: Request) -> dict[str, str]:
    """The fields of a posted form; of a field that comes twice the first counts.

    Raises:
        FormInvalid: another content type (an upload), or a NUL character, which no database takes.
    """
    _check_type(request)
    form = await request.form(max_fields=50)
    fields: dict[str, str] = {}
    for name, value in form.multi_items():
        if not isinstance(value, str) or "\x00" in value:
            raise FormInvalid(_field_wrong(name))
        fields.setdefault(name, value)
    return fields


def _check_type(request: Request) -> None:
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
        raise FormInvalid(_("Send it as %(type)s.", type=_FORM))


def query_text(request: Request, name: str, longest: int = 255) -> str:
    """A query parameter, without surrounding space; empty if absent, too long or with a NUL."""
    value = request.query_params.get(name, "").strip()
    return value if len(value) <= longest and "\x00" not in value else ""


async def read_choices(request: Request, name: str) -> tuple[dict[str, str], tuple[str, ...]]:
    """The fields of a posted form in which `name` stands as often as something was chosen, and those.

    Raises:
        FormInvalid: as `read_form` does.
    """
    _check_type(request)
    # Read here, with room for them; `read_form` finds it read.
    await request.form(max_fields=_CHOICES)
    fields = await read_form(request)
    form = await request.form()
    return fields, tuple(str(value) for value in form.getlist(name))


async def read_upload(request: Request, name: str, largest: int) -> tuple[dict[str, str], bytes]:
    """The fields of a form with one file, and what is in that; empty if none was chosen.

    Raises:
        FormInvalid: it is no such form, or larger than a file of `largest` bytes makes it.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    declared = request.headers.get("content-length", "")
    # Looked at first: what is not read cannot fill the disk.
    if kind != "multipart/form-data" or not declared.isdigit() or len(declared) > 12:
        raise FormInvalid(_("Send it as the page does."))
    if int(declared) > largest + _AROUND:
        raise _too_large(largest)
    fields: dict[str, str] = {}
    content = b""
    async with request.form(max_files=1, max_fields=10, max_part_size=_AROUND) as form:
        for key, value in form.multi_items():
            if isinstance(value, str):
                if "\x00" in value:
                    raise FormInvalid(_field_wrong(key))
                fields.setdefault(key, value)
            elif key == name:
                content = await value.read(largest + 1)
    if len(content) > largest:
        raise _too_large(largest)
    return fields, content


def _field_wrong(name: str) -> str:
    return _("The field %(name)s holds what no form of ours sends.", name=repr(name[:40]))


def _too_large(largest: int) -> FormInvalid:
    return FormInvalid(_("The file may have %(number)s KiB.", number=written(largest // 1024)))
