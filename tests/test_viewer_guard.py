"""Only a browser that was given the link may look, and only this site's pages may change anything."""

import http.client
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from journey_material import mended, redraft
from viewer_material import problem, serving

from journeys.store import Store
from viewer.judgements import Judgements
from viewer.server import ViewServer


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("guarded") / "run"
    folder.mkdir()
    with Store(folder / "journeys.db") as store:
        store.begin(redraft(mended(problem(0))))
        store.finish(mended(problem(0)))
    return folder


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[ViewServer]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RETRACE_CACHE", str(folder.parent / "cache"))
        with serving(folder) as served:
            yield served


def ask(
    server: ViewServer, path: str, *, method: str = "GET", body: str | None = None, **headers: str
) -> tuple[int, dict[str, str], str]:
    """Status, headers and text of an answer; `host` and `cookie` are headers like others."""
    link = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    link.request(method, path, body, {"host": f"127.0.0.1:{server.port}", **given})
    answer = link.getresponse()
    text = answer.read().decode()
    link.close()
    return answer.status, {name.lower(): value for name, value in answer.getheaders()}, text


def cookie(server: ViewServer) -> str:
    status, headers, _ = ask(server, f"/?token={server.token}")
    assert status == 303
    assert headers["location"] == "/", "the token is taken out of the address"
    assert "HttpOnly" in headers["set-cookie"]
    return headers["set-cookie"].partition(";")[0]


def test_without_the_token_nothing_is_shown(server: ViewServer) -> None:
    for path in ("/", "/see/run", "/static/app.js", "/?token=wrong", "/see/run/journey/sum-0%230"):
        assert ask(server, path)[0] == 403
    assert ask(server, "/", cookie=f"retrace_{server.port}=guess")[0] == 403
    assert ask(server, "/", cookie=cookie(server))[0] == 200


def test_another_name_for_this_machine_is_refused(server: ViewServer) -> None:
    held = cookie(server)
    for host in ("evil.example", f"evil.example:{server.port}", "127.0.0.1", "127.0.0.1:1"):
        assert ask(server, "/", cookie=held, host=host)[0] == 403
    assert ask(server, "/", cookie=held, host=f"localhost:{server.port}")[0] == 200


def test_another_site_can_judge_nothing(server: ViewServer, folder: Path) -> None:
    held, body = cookie(server), json.dumps({"journey_id": "sum-0#0", "turn": 0, "mark": "bad"})
    ours = f"http://127.0.0.1:{server.port}"
    for origin in (
        {},
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": f"https://127.0.0.1:{server.port}"},
    ):
        assert ask(server, "/see/run/judge", method="POST", body=body, cookie=held, **origin)[0] == 403
    assert ask(server, f"/see/run/judge?token={server.token}", method="POST", body=body, origin=ours)[0] == 403
    assert Judgements(folder).all() == []
    assert ask(server, "/see/run/judge", method="POST", body=body, cookie=held, origin=ours)[0] == 200
    assert [one.mark for one in Judgements(folder).all()] == ["bad"]


def test_a_judgement_must_be_one(server: ViewServer) -> None:
    held, ours = cookie(server), f"http://127.0.0.1:{server.port}"

    def judged(**said: object) -> int:
        return ask(server, "/see/run/judge", method="POST", body=json.dumps(said), cookie=held, origin=ours)[0]

    assert judged(journey_id="sum-0#0", mark="lovely") == 422
    assert judged(journey_id="sum-0#0", turn=-2) == 422
    assert judged(journey_id="nobody", mark="good") == 404
    assert judged(journey_id="sum-0#0", mark="good", note="x" * 5000) == 422
    assert judged(journey_id="sum-0#0", mark="good", note="x" * 50_000) == 413


def test_every_answer_forbids_what_is_not_ours(server: ViewServer) -> None:
    for held in ("", cookie(server)):
        headers = ask(server, "/", cookie=held)[1]
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self';" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert "access-control-allow-origin" not in headers


def test_no_file_but_our_own_is_served(server: ViewServer) -> None:
    held = cookie(server)
    for path in ("/static/../server.py", "/static/%2e%2e/server.py", "/static/..%2f..%2frun.py", "/see/..%2f..%2fetc"):
        status, _, text = ask(server, path, cookie=held)
        assert status == 404
        assert "import" not in text


def test_the_welcome_sends_nobody_elsewhere(server: ViewServer) -> None:
    for path in ("//evil.example/", "/%2f%2fevil.example", "/\\evil.example"):
        _, headers, _ = ask(server, f"{path}?token={server.token}&a=1")
        assert not headers["location"].startswith(("//", "/\\", "http"))
        assert server.token not in headers["location"]
