"""The few pages that visitors see: plain HTML without script, for any browser."""

from __future__ import annotations

from html import escape

from functions.edge.http import Answer

HTML = "text/html; charset=utf-8"
# No form-action: browsers would hold the redirect that answers the form to it as well.
HEADERS = {
    "content-security-policy": (
        "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-robots-tag": "noindex",
}
_STYLE = (
    "body{font:1.1rem/1.5 system-ui,sans-serif;max-width:34rem;margin:15vh auto;padding:0 1rem;"
    "color-scheme:light dark}code{overflow-wrap:anywhere}input,button{font:inherit;padding:.4rem}"
)


def _page(title: str, content: str, status: int = 200) -> Answer:
    text = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style>'
        f"<main><h1>{escape(title)}</h1>{content}</main></html>"
    )
    return Answer(status, text, HEADERS, media=HTML)


def ask(wrong: bool = False) -> Answer:
    """Asks for a link's password; 403 after a wrong one."""
    hint = '<p role="alert">This was not the password.</p>' if wrong else ""
    form = (
        '<form method="post"><label>Password <input name="password" type="password" required '
        'autofocus autocomplete="off"></label> <button>Go on</button></form>'
    )
    return _page("This link asks for a password", hint + form, 403 if wrong else 200)


def people_only() -> Answer:
    """What a machine gets of a link that only people may follow."""
    return _page("This link is for people", "<p>Open it in a browser.</p>")


def warning(url: str | None, more: bool) -> Answer:
    """In the place of a redirect, while a link is looked at; None where nobody is to know where it
    leads. `more`: for some visitors it leads elsewhere."""
    if url is None:
        return _page("Be careful with this link", "<p>It was reported and is being looked at.</p>")
    return _page(
        "Be careful with this link",
        f"<p>It was reported and is being looked at. It leads to:</p><p><code>{escape(url)}</code>"
        f"</p>{_elsewhere(more)}<p>If you do not know this site, leave it alone.</p>",
    )


def preview(url: str, more: bool) -> Answer:
    """Where a link leads, without going there. `more`: for some visitors it leads elsewhere."""
    return _page(
        "Where this link leads",
        f'<p><a rel="noreferrer nofollow" href="{escape(url)}"><code>{escape(url)}</code></a></p>'
        + _elsewhere(more),
    )


def _elsewhere(more: bool) -> str:
    return "<p>Some visitors are led elsewhere.</p>" if more else ""


def preview_hidden() -> Answer:
    """The preview of a link with a password."""
    return _page("Where this link leads", "<p>Only who knows its password may see that.</p>")
