"""`/brand/…`: the logo and the colour of an organization, as files that any browser may keep.

They are on the sign-in page, so everybody may have them. The colour is a style sheet of its own, because
pages allow no style within them.
"""

import re

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from iam.directory.brands import Brand, read_brand, read_logo, tokens
from iam.directory.names import NAME_PATTERN
from iam.web.engine import engine_of, in_thread

_HEADERS = {
    # Their address has the hash of what they are.
    "cache-control": "public, max-age=31536000, immutable",
    "x-content-type-options": "nosniff",
    # Somebody uploaded it: opened by itself it can do nothing.
    "content-security-policy": "default-src 'none'; sandbox",
}
_NOTHING = {"cache-control": "no-store"}


def brand_context(organization: str | None, brand: Brand) -> dict[str, str | None]:
    """What a page's template needs of a brand: the addresses of its files, None where there is none."""
    here = f"/brand/{organization}"
    return {
        "style": f"{here}/colour.css?v={brand.colour[1:]}" if brand.colour else None,
        "logo": f"{here}/logo.png?v={brand.logo_hash}" if brand.logo_hash else None,
    }


async def show_logo(request: Request) -> Response:
    """GET: the logo."""
    engine, name = engine_of(request), _named(request)
    logo = None
    if name is not None:
        logo = await in_thread(lambda: engine.database.read(lambda c: read_logo(c, name)))
    if logo is None:
        return Response(status_code=404, headers=_NOTHING)
    return Response(logo, media_type="image/png", headers=_HEADERS)


async def show_colour(request: Request) -> Response:
    """GET: the style sheet of the colour."""
    engine, name = engine_of(request), _named(request)
    colour = None
    if name is not None:
        brand = await in_thread(lambda: engine.database.read(lambda c: read_brand(c, name)))
        colour = brand.colour
    if colour is None:
        return Response(status_code=404, headers=_NOTHING)
    light, dark = tokens(colour)
    text = (
        f":root {{ {_rules(light)} }}\n"
        f"@media (prefers-color-scheme: dark) {{ :root {{ {_rules(dark)} }} }}\n"
    )
    return Response(text, media_type="text/css", headers=_HEADERS)


def routes() -> list[BaseRoute]:
    """The routes of these files."""
    return [
        Route("/brand/{organization}/logo.png", show_logo),
        Route("/brand/{organization}/colour.css", show_colour),
    ]


def _rules(values: dict[str, str]) -> str:
    return " ".join(f"--{name}: {value};" for name, value in values.items())


def _named(request: Request) -> str | None:
    name = str(request.path_params["organization"])
    return name if re.fullmatch(NAME_PATTERN, name, re.ASCII) else None
