"""The web application and the server under it: one process, this machine only."""

import secrets
import socket
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from settings import UserError
from viewer.collection import Collection
from viewer.guard import Guard
from viewer.pages import browse, comparing, home, journey, judging, overview
from viewer.site import Site
from viewer.templating import HERE

ADDRESS = "127.0.0.1"
PAGES = {
    "/": home.home,
    "/see/{key}": browse.browse,
    "/see/{key}/journey/{id:path}": journey.journey,
    "/see/{key}/rows/{id:path}": journey.rows,
    "/see/{key}/search/{id:path}": journey.search,
    "/see/{key}/overview": overview.overview,
    "/see/{key}/judgements": judging.judgements,
    "/compare": comparing.compare,
    "/compare/problem": comparing.problem,
}
POSTS = {
    "/see/{key}/judge": judging.put,
    "/see/{key}/judgements": judging.write,
}


def application(collection: Collection) -> Starlette:
    """The pages, without the guard before them."""
    site = Site(collection)
    # A journey's id may hold slashes, and may be called `overview`: its route comes last of those that could match.
    routes: list[Route | Mount] = [Route(path, _posted(site, view), methods=["POST"]) for path, view in POSTS.items()]
    ordered = sorted(PAGES.items(), key=lambda item: ":path" in item[0])
    routes += [Route(path, site.guarded(partial(view, site))) for path, view in ordered]
    routes.append(Mount("/static", StaticFiles(directory=HERE / "static")))
    return Starlette(routes=routes)


def _posted(site: Site, view: Callable[[Site, Request, bytes], Response]) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        if int(request.headers.get("content-length") or 0) > judging.LARGEST:
            return PlainTextResponse("too long\n", status_code=413)
        body = await request.body()
        return await run_in_threadpool(site.guarded(lambda given: view(site, given, body)), request)

    return answer


class ViewServer:
    """Bound at once, so that the link can be printed; serves when told to."""

    def __init__(self, collection: Collection, *, port: int = 0, token: str | None = None) -> None:
        self.collection = collection
        self.token = token or secrets.token_urlsafe(24)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._socket.bind((ADDRESS, port))
            self._socket.listen(128)  # from now on the link can be opened; it is answered once we serve
        except OSError as error:
            self._socket.close()
            raise UserError(f"--port {port}: {error.strerror}; name another, or leave it out for a free one") from None
        self.port: int = self._socket.getsockname()[1]
        hosts = (f"{ADDRESS}:{self.port}", f"localhost:{self.port}")
        app = Guard(application(collection), token=self.token, hosts=hosts)
        settings: dict[str, Any] = {"log_level": "warning", "lifespan": "off", "ws": "none", "server_header": False}
        self._server = uvicorn.Server(uvicorn.Config(app, timeout_graceful_shutdown=2, **settings))

    def link(self, path: str = "/") -> str:
        """An address that opens, token included."""
        return f"http://{ADDRESS}:{self.port}{path}{'&' if '?' in path else '?'}token={self.token}"

    def serve(self) -> None:
        """Until it is interrupted or `stop` is called."""
        try:
            self._server.run(sockets=[self._socket])
        finally:
            self.collection.close()
            self._socket.close()

    def stop(self) -> None:
        self._server.should_exit = True
