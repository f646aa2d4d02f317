"""The gate's own few pages. They are seen on applications' hosts, where `/static` is not ours."""

from html import escape

from starlette.responses import HTMLResponse, Response

from iam.languages import _, reader
from iam.settings import Settings

_PAGE = """<!doctype html>
<html lang="{language}">
<head>
  <meta charset="utf-8">
  <title>{title} · Hanzo IAM</title>
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <meta name="color-scheme" content="light dark">
  <meta name="robots" content="noindex, nofollow">
  <link rel="stylesheet" href="{issuer}/static/iam.css">
</head>
<body class="card-page">
  <main id="main">
    <div class="card">
      <h1>{title}</h1>
      <p class="card-lead">{text}</p>
      {form}{links}{code}
    </div>
  </main>
</body>
</html>
"""


def gate_page(
    settings: Settings,
    status: int,
    title: str,
    text: str,
    *,
    button: str = "",
    links: tuple[tuple[str, str], ...] = (),
    code: str = "",
) -> Response:
    """A page. `button` posts the page's own address; `links` are (address, words)."""
    form = (
        '<form class="stack" method="post"><button class="button button-primary button-wide">'
        f"{escape(button)}</button></form>"
    )
    html = _PAGE.format(
        language=reader().language,
        title=escape(title),
        text=escape(text),
        issuer=escape(settings.issuer),
        form=form if button else "",
        links="".join(
            f'<a class="button button-wide" href="{escape(href)}">{escape(words)}</a>'
            for href, words in links
        ),
        code=f'<p class="card-code">{escape(_("Error %(status)s", status=status))}'
        f" · <code>{escape(code)}</code></p>"
        if code
        else "",
    )
    return HTMLResponse(
        html,
        status,
        headers={
            "content-security-policy": (
                f"default-src 'none'; style-src {settings.issuer}; form-action 'self'; "
                "frame-ancestors 'none'; base-uri 'none'"
            ),
            "cache-control": "no-store",
            "referrer-policy": "same-origin",
            "x-content-type-options": "nosniff",
            "x-frame-options": "DENY",
        },
    )
