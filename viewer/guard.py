"""Who may ask: only a browser that was given the token, at the address that was bound, from a page of ours.

The token comes in the printed link and goes into a cookie at the first visit. `Host` is compared against DNS rebinding,
`Origin` against forms and scripts of other sites. The policy sent with every page forbids scripts, styles and
connections that are not ours, so that even markup that slipped through could neither run nor call home.
"""

import secrets
from collections.abc import Iterable
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
HTTP_READS = ("GET", "HEAD")


class Guard:
    """Stands before the application; what it refuses is answered with 403 and one line."""

    def __init__(self, app: ASGIApp, *, token: str, hosts: Iterable[str]) -> None:
        self.app = app
        self.token = token
        self.hosts = frozenset(hosts)
        """`127.0.0.1:PORT` and `localhost:PORT`."""
        self.cookie = f"retrace_{min(self.hosts).rpartition(':')[2]}"
        """Cookies do not know ports, so the name does."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        answer = self._answer(scope)

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
            await send(message)

        await (answer or self.app)(scope, receive, send_guarded)

    def _answer(self, scope: Scope) -> Response | None:
        """What is said instead of the page; None where the page may be shown."""
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if host not in self.hosts:
            return _refused("This address is not served; use the link that `run.py view` printed.")
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        given = next((value for key, value in query if key == "token"), None)
        if given is not None and scope["method"] in HTTP_READS:
            return self._welcomed(scope, query) if self._is_token(given) else _refused("This token is not valid.")
        if not self._is_token(_cookie(headers.get("cookie", ""), self.cookie)):
            return _refused("No token: open the link that `run.py view` printed.")
        if scope["method"] not in HTTP_READS and headers.get("origin") != f"http://{host}":
            return _refused("Asked from another site.")
        return None

    def _welcomed(self, scope: Scope, query: list[tuple[str, str]]) -> Response:
        """Put the token into a cookie and take it out of the address."""
        rest = urlencode([(key, value) for key, value in query if key != "token"])
        path = "/" + scope.get("raw_path", scope["path"].encode()).decode("latin-1").split("?")[0].lstrip("/\\")
        answer = RedirectResponse(path + (f"?{rest}" if rest else ""), status_code=303)
        answer.set_cookie(self.cookie, self.token, httponly=True, samesite="lax", path="/")
        return answer

    def _is_token(self, given: str) -> bool:
        return secrets.compare_digest(given.encode(), self.token.encode())


def _refused(why: str) -> Response:
    return PlainTextResponse(why + "\n", status_code=403)


def _cookie(header: str, name: str) -> str:
    try:
        found = SimpleCookie(header).get(name)
    except CookieError:
        return ""
    return found.value if found else ""
