"""What every page has at hand: the collection, the templates, and the answer to a request."""

import logging
import sqlite3
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, TemplateError
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from settings import UserError
from viewer.collection import Collection
from viewer.folders import Source
from viewer.templating import environment, render

logger = logging.getLogger(__name__)
View = Callable[[Request], Response]


class Missing(Exception):
    """There is no such thing to look at."""


class Site:
    """Shared by all pages of one server."""

    def __init__(self, collection: Collection) -> None:
        self.collection = collection
        self.templates: Environment = environment()
        self.templates.globals |= {"link": link}

    def page(self, name: str, *, status: int = 200, **context: Any) -> Response:
        """A template as an answer."""
        context.setdefault("source", None)
        context.setdefault("here", "")
        return HTMLResponse(render(self.templates, name, context), status_code=status)

    def source(self, request: Request, *, kinds: tuple[str, ...] = ("run", "evaluation", "training")) -> Source:
        """The source that the address names. Raises Missing."""
        key = request.path_params["key"]
        source = self.collection.source(key)
        if source is None or source.kind not in kinds:
            raise Missing(f"There is no {' or '.join(kinds)} called {key!r} here.")
        return source

    def guarded(self, view: View) -> View:
        """The view, with what it cannot show said on a page."""

        def answer(request: Request) -> Response:
            try:
                return view(request)
            except Missing as error:
                return self.page("error.html", status=404, title="Not here", message=str(error))
            except UserError as error:
                return self.page("error.html", status=422, title="This cannot be shown", message=str(error))
            except (OSError, sqlite3.Error) as error:
                return self.page("error.html", status=500, title="This cannot be read", message=str(error))
            except (LookupError, TypeError, ValueError, TemplateError) as error:
                logger.exception("%s", request.url.path)
                said = f"{type(error).__name__}: {error}; was it written by another version?"[:400]
                return self.page("error.html", status=500, title="This cannot be shown", message=said)

        return answer


def link(*parts: object, query: str = "") -> str:
    """A path of this site, each part quoted."""
    path = "/" + "/".join(quote(str(part), safe="") for part in parts)
    return f"{path}?{query}" if query else path
