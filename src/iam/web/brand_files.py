"""`/brand/…`: the logo and the colour of an organization, as files that any browser may keep.

They are on the sign-in page, so everybody may have them. The colour is a style sheet of its own, because
pages allow no style within them.
"""

import re

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from iam.directory.brands import NO_BRAND, Brand, read_brand, read_logo, tokens
from iam.directory.names import NAME_PATTERN, OrganizationMissing
from iam.directory.organizations import find_organization
from iam.web.engine import Engine, engine_of, in_thread

PageBrand = dict[str, str | None]

_HEADERS = {
    # Their address has the hash of what they are.
    "cache-control": "public, max-age=31536000, immutable",
    "x-content-type-options": "nosniff",
    # Somebody uploaded it: opened by itself it can do nothing.
    "content-security-policy": "default-src 'none'; sandbox",
}
_NOTHING = {"cache-control": "no-store"}


def brand_context(organization: str | None, brand: Brand, name: str = "") -> PageBrand:
    """What a page's template needs of a brand: the addresses of its files, None where there is none, and the
    name that people read."""
    here = f"/brand/{organization}"
    return {
        "style": f"{here}/colour.css?v={brand.colour[1:]}" if brand.colour else None,
        "logo": f"{here}/logo.png?v={brand.logo_hash}" if brand.logo_hash else None,
        "name": name,
    }


def brand_of(connection: Connection, organization: str | None) -> PageBrand:
    """The brand of the pages between a sign-in and what comes after it: of the organization whose user is
    there, so that nobody is asked for a code or a consent by a page that looks like another's."""
    if organization is None:
        return brand_context(None, NO_BRAND)
    try:
        name = find_organization(connection, organization).display_name
    except OrganizationMissing:
        return brand_context(None, NO_BRAND)
    return brand_context(organization, read_brand(connection, organization), name)


async def brand_for(engine: Engine, organization: str | None) -> PageBrand:
    """The same, for whoever has no connection at hand."""
    return await in_thread(lambda: engine.database.read(lambda c: brand_of(c, organization)))


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
