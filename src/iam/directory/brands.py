"""The brand of an organization: the colour and the logo of its sign-in page."""

import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from sqlalchemy import Connection, select
from sqlalchemy.dialects import postgresql, sqlite

from iam.db.brand_tables import brand as table
from iam.kernel.clock import Instant
from iam.kernel.errors import Invalid
from iam.languages import _

LARGEST_LOGO = 128 * 1024
"""Bytes of a logo."""
MOST_PIXELS = (1024, 512)
_LEAST_PIXELS = 16
CONTRAST = 4.5
"""WCAG 2.2 §1.4.3: what words need on their ground."""
_PNG = b"\x89PNG\r\n\x1a\n"
_COLOUR = re.compile(r"#[0-9a-f]{6}", re.ASCII)
_WHITE, _BLACK = (255, 255, 255), (0, 0, 0)
_DARK = (0x16, 0x19, 0x1F)
"""The ground of a card in the dark (`--surface`)."""
Colour = tuple[int, int, int]


class BrandRefused(Invalid):
    """Nobody could read this, or it is no picture that is taken."""

    code = "brand_refused"
    title = "This cannot be the brand of an organization."


@dataclass(frozen=True, slots=True, kw_only=True)
class Brand:
    """What a page needs to know of it. None: as the server has it."""

    colour: str | None = None
    logo_hash: str | None = None


NO_BRAND = Brand()


def read_brand(connection: Connection, organization: str) -> Brand:
    """The brand of an organization; `NO_BRAND` if it has none."""
    query = select(table.c.colour, table.c.logo_hash).where(table.c.organization == organization)
    row = connection.execute(query).one_or_none()
    return NO_BRAND if row is None else Brand(colour=row.colour, logo_hash=row.logo_hash)


def read_logo(connection: Connection, organization: str) -> bytes | None:
    """The logo, a PNG."""
    query = select(table.c.logo).where(table.c.organization == organization)
    found: bytes | None = connection.execute(query).scalar_one_or_none()
    return found


def set_colour(connection: Connection, organization: str, colour: str | None, now: Instant) -> None:
    """Give the organization a colour; None takes it away.

    Raises:
        BrandRefused: it is none, or words on it could not be read.
    """
    if colour is not None:
        check_colour(colour)
    _set(connection, organization, {"colour": colour}, now)


def set_logo(connection: Connection, organization: str, logo: bytes | None, now: Instant) -> None:
    """Give the organization a logo; None takes it away.

    Raises:
        BrandRefused: it is no PNG that is taken.
    """
    if logo is not None:
        check_png(logo)
    digest = sha256(logo).hexdigest()[:16] if logo is not None else None
    _set(connection, organization, {"logo": logo, "logo_hash": digest}, now)


def check_colour(colour: str) -> None:
    """Refuse what white words cannot be read on, and what cannot be read itself on white.

    Raises:
        BrandRefused: it is no colour, or its contrast is too low.
    """
    if not _COLOUR.fullmatch(colour):
        raise BrandRefused(_("Write the colour as #2c53c9."))
    value = _parsed(colour)
    soft = _mixed(value, _WHITE, 0.1)
    ratio = min(contrast(value, _WHITE), contrast(value, soft))
    if ratio < CONTRAST:
        raise BrandRefused(
            _(
                "It is too pale: its contrast is %(contrast)s, and words need %(needed)s. Take a darker one.",
                contrast=round(ratio, 1),
                needed=CONTRAST,
            )
        )


def check_png(data: bytes) -> None:
    """Refuse what is not exactly one PNG of bounded size: nothing may be hidden behind or within it.

    Raises:
        BrandRefused: it is not.
    """
    if len(data) > LARGEST_LOGO:
        raise BrandRefused(_("The logo may have %(number)s KiB.", number=LARGEST_LOGO // 1024))
    if not data.startswith(_PNG):
        raise BrandRefused(_("The logo must be a PNG."))
    place = len(_PNG)
    kinds: list[bytes] = []
    while place + 12 <= len(data):
        length = int.from_bytes(data[place : place + 4], "big")
        kind, end = data[place + 4 : place + 8], place + 12 + length
        body = data[place + 4 : place + 8 + length]
        if end > len(data) or zlib.crc32(body) != int.from_bytes(data[end - 4 : end], "big"):
            raise BrandRefused(_("This PNG is damaged."))
        if not kinds:
            _check_header(kind, body[4:])
        kinds.append(kind)
        place = end
        if kind == b"IEND":
            break
    if not kinds or kinds[-1] != b"IEND" or b"IDAT" not in kinds or place != len(data):
        raise BrandRefused(_("This is not one whole PNG."))


def _check_header(kind: bytes, body: bytes) -> None:
    if kind != b"IHDR" or len(body) != 13:
        raise BrandRefused(_("This PNG is damaged."))
    width, height = (int.from_bytes(body[at : at + 4], "big") for at in (0, 4))
    most_wide, most_high = MOST_PIXELS
    if not (_LEAST_PIXELS <= width <= most_wide and _LEAST_PIXELS <= height <= most_high):
        raise BrandRefused(
            _(
                "It is %(width)s × %(height)s pixels large: give one of at most "
                "%(most_wide)s × %(most_high)s, and at least %(least)s each way.",
                width=width,
                height=height,
                most_wide=most_wide,
                most_high=most_high,
                least=_LEAST_PIXELS,
            )
        )


def contrast(one: Colour, other: Colour) -> float:
    """The contrast of two colours, 1 to 21 (WCAG 2.2, "contrast ratio")."""
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def tokens(colour: str) -> tuple[dict[str, str], dict[str, str]]:
    """What the accent of a page is by this colour: by day, and in the dark."""
    value = _parsed(colour)
    light = {
        "accent": colour,
        "accent-text": colour,
        "accent-hover": _written(_mixed(_BLACK, value, 0.12)),
        "accent-soft": _written(_mixed(value, _WHITE, 0.1)),
    }
    # A button has to stand out from the dark (3:1) and still carry white words.
    button = _lightened(value, 3)
    dark = {
        "accent": _written(button),
        "accent-text": _written(_lightened(value, 7)),
        "accent-hover": _written(_mixed(_BLACK, button, 0.08)),
        "accent-soft": _written(_mixed(value, _DARK, 0.25)),
    }
    return light, dark


def _lightened(value: Colour, ratio: float) -> Colour:
    """The first of ever lighter ones that has this contrast with the dark."""
    for step in range(101):
        lighter = _mixed(_WHITE, value, step / 100)
        if contrast(lighter, _DARK) >= ratio:
            return lighter
    return _WHITE


def _mixed(one: Colour, other: Colour, share: float) -> Colour:
    """`share` of one colour in the other."""
    red, green, blue = (round(a * share + b * (1 - share)) for a, b in zip(one, other, strict=True))
    return red, green, blue


def _parsed(colour: str) -> Colour:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def _written(colour: Colour) -> str:
    return "#" + "".join(f"{one:02x}" for one in colour)


def _luminance(colour: Sequence[int]) -> float:
    red, green, blue = (
        one / 255 / 12.92 if one / 255 <= 0.04045 else ((one / 255 + 0.055) / 1.055) ** 2.4
        for one in colour
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _set(
    connection: Connection, organization: str, values: dict[str, object], now: Instant
) -> None:
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    values = {**values, "updated_at": now}
    connection.execute(
        insert(table)
        .values(organization=organization, **values)
        .on_conflict_do_update(index_elements=[table.c.organization], set_=values)
    )
