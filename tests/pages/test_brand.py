"""The sign-in page of an organization has its colour and its logo; what cannot be read is refused."""

import re
import struct
import zlib
from typing import Any

import httpx2
import pytest

from iam.directory.brands import LARGEST_LOGO, check_colour, contrast, tokens
from tests.support.surfer import Surfer
from tests.support.world import World

HERE = "/console/organizations/acme"


def _chunk(kind: bytes, body: bytes) -> bytes:
    checksum = zlib.crc32(kind + body)
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", checksum)


def _png(width: int = 64, height: int = 32, extra: bytes = b"") -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = b"".join(b"\0" + b"\x2c\x53\xc9" * width for _ in range(height))
    return (
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", header)
        + extra
        + _chunk(b"IDAT", zlib.compress(rows))
        + _chunk(b"IEND", b"")
    )


def _upload(boss: Surfer, content: bytes, path: str = f"{HERE}/logo", csrf: str = "") -> Any:
    edge = "a-line-between"
    body = (
        f'--{edge}\r\nContent-Disposition: form-data; name="csrf"\r\n\r\n{csrf or boss.csrf}\r\n'
        f'--{edge}\r\nContent-Disposition: form-data; name="logo"; filename="logo.png"\r\n'
        "Content-Type: image/png\r\n\r\n"
    ).encode()
    body += content + f"\r\n--{edge}--\r\n".encode()
    headers = {"content-type": f"multipart/form-data; boundary={edge}"}
    return boss.send("POST", path, content=body, headers=headers)


@pytest.fixture
def boss(alice: Surfer) -> Surfer:
    alice.get(HERE)
    return alice


def _file(surfer: Surfer, pattern: str) -> httpx2.Response:
    """The file that the sign-in page of acme links to."""
    page = surfer.get("/sign-in/acme").text
    found = re.search(rf'"(/brand/acme/{pattern}[^"]*)"', page)
    assert found is not None, page
    return surfer.get(found[1])


def test_the_colour_is_on_the_sign_in_page_by_day_and_in_the_dark(
    world: World, boss: Surfer
) -> None:
    answer = boss.submit(f"{HERE}/brand", colour="#0B6E4F")
    assert answer.headers["location"] == f"{HERE}?notice=brand"
    stranger = Surfer(world)
    style = _file(stranger, "colour.css")
    assert style.headers["content-type"].startswith("text/css")
    assert "--accent: #0b6e4f;" in style.text
    assert "prefers-color-scheme: dark" in style.text
    assert "/brand/" not in stranger.get("/sign-in/globex").text
    boss.get(HERE)
    boss.submit(f"{HERE}/brand", colour="")
    assert "/brand/" not in stranger.get("/sign-in/acme").text


def test_the_logo_is_there_as_it_was_uploaded_and_can_do_nothing(
    world: World, boss: Surfer
) -> None:
    assert _upload(boss, _png()).headers["location"] == f"{HERE}?notice=brand"
    logo = _file(Surfer(world), "logo.png")
    assert logo.content == _png()
    assert logo.headers["content-type"] == "image/png"
    assert logo.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in logo.headers["content-security-policy"]
    told = world.get("/v1/events?type=organization.updated", headers=world.admin).json()["items"]
    assert [one["data"] for one in told] == [{"changed": ["logo"]}]
    boss.get(HERE)
    boss.submit(f"{HERE}/brand", no_logo="1")
    assert "/brand/" not in Surfer(world).get("/sign-in/acme").text


@pytest.mark.parametrize(
    "colour", ["#ffffff", "#ffff00", "#8aa2ff", "red", "#12", "#12345g", "url(x)"]
)
def test_a_colour_on_which_nothing_can_be_read_is_refused(boss: Surfer, colour: str) -> None:
    assert boss.submit(f"{HERE}/brand", colour=colour).status_code == 422


@pytest.mark.parametrize(
    "colour", ["#2c53c9", "#0b6e4f", "#000000", "#7a1f5c", "#b00020", "#00007f"]
)
def test_words_can_be_read_in_every_colour_that_is_taken(colour: str) -> None:
    check_colour(colour)
    dark_ground, white = (0x16, 0x19, 0x1F), (255, 255, 255)

    def parsed(text: str) -> tuple[int, int, int]:
        return int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16)

    light, dark = ({name: parsed(one) for name, one in each.items()} for each in tokens(colour))
    for each in (light, dark):
        assert contrast(each["accent"], white) >= 4.5
        assert contrast(each["accent-hover"], white) >= 4.5
        assert contrast(each["accent-text"], each["accent-soft"]) >= 4.5
    assert contrast(dark["accent-text"], dark_ground) >= 4.5
    assert contrast(dark["accent"], dark_ground) >= 3


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<svg xmlns='http://www.w3.org/2000/svg'><script/></svg>",
        b"GIF89a" + b"\0" * 100,
        _png()[:-4],
        _png() + b"<script>",
        _png(2000, 20),
        _png(20, 600),
        _png(8, 8),
        _png().replace(b"IDAT", b"IDAX"),
        b"\x89PNG\r\n\x1a\n" + _chunk(b"IEND", b""),
        _png(extra=_chunk(b"tEXt", b"x" * LARGEST_LOGO)),
        b"x" * (4 * LARGEST_LOGO),
    ],
    ids=lambda content: f"{content[:12]!r} {len(content)}",
)
def test_what_is_no_picture_of_ours_is_refused_and_kept_nowhere(
    world: World, boss: Surfer, content: bytes
) -> None:
    assert _upload(boss, content).status_code == 422
    assert "/brand/" not in Surfer(world).get("/sign-in/acme").text


def test_nobody_else_may(world: World, boss: Surfer) -> None:
    eve = Surfer(world)
    eve.sign_in("globex", "eve")
    eve.get("/console/organizations/globex")
    assert _upload(eve, _png()).status_code == 404
    eve.get("/console/organizations/globex")
    assert eve.submit(f"{HERE}/brand", colour="#0b6e4f").status_code == 404
    assert _upload(boss, _png(), csrf="forged").status_code == 403
    assert "/brand/" not in Surfer(world).get("/sign-in/acme").text


def test_there_is_no_brand_of_what_there_is_not(surfer: Surfer) -> None:
    for name in ("acme", "nowhere", "..%2f..", "x" * 300):
        assert surfer.get(f"/brand/{name}/logo.png").status_code == 404
        assert surfer.get(f"/brand/{name}/colour.css").status_code == 404
