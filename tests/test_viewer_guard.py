"""Only a browser that was given the link may look, and only this site's pages may change anything."""

import http.client
import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from generation_material import ROOT
from journey_material import mended, redraft
from viewer_material import problem, serving

import run
from journeys.store import Store
from settings import UserError
from viewer.folders import find_sources
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


def test_a_store_with_broken_pages_is_read_as_far_as_it_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One page of the file after another is overwritten: never a crash, always either journeys or a reason."""
    monkeypatch.setenv("RETRACE_CACHE", str(tmp_path / "cache"))
    whole = tmp_path / "whole"
    whole.mkdir()
    with Store(whole / "journeys.db") as store:
        for number in range(120):
            store.begin(redraft(mended(problem(number))))
            store.finish(mended(problem(number)))
    data = (whole / "journeys.db").read_bytes()
    pages = len(data) // 4096
    for place in range(1, pages, max(1, pages // 8)):
        hurt = tmp_path / "runs" / f"hurt{place}"
        hurt.mkdir(parents=True)
        broken = data[: place * 4096] + b"\xa5" * 4096 + data[(place + 1) * 4096 :]
        (hurt / "journeys.db").write_bytes(broken)
    with serving(tmp_path / "runs") as server:
        held = cookie(server)
        assert ask(server, "/", cookie=held)[0] == 200
        for hurt in sorted((tmp_path / "runs").iterdir()):
            status, _, text = ask(server, f"/see/{hurt.name}", cookie=held)
            assert status in (200, 422, 500), hurt.name
            assert 'class="row"' in text or "damaged" in text or "malformed" in text, hurt.name
            assert ask(server, f"/see/{hurt.name}/journey/sum-5%230", cookie=held)[0] in (200, 404, 422, 500)


def test_the_command_prints_a_link_that_opens_and_ends_quietly(folder: Path, tmp_path: Path) -> None:
    environment = os.environ | {"RETRACE_CACHE": str(tmp_path)}
    with subprocess.Popen(
        [sys.executable, "run.py", "view", str(folder), "--json"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        text=True,
    ) as process:
        assert process.stdout
        said = json.loads(process.stdout.readline())
        opened = urllib.request.build_opener(urllib.request.HTTPCookieProcessor()).open(said["link"], timeout=20)
        assert opened.status == 200
        assert "sum-0#0" in opened.read().decode()
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == 0
        assert process.stderr
        assert process.stderr.read() == ""


def test_what_cannot_be_looked_at_is_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for argv, named in (
        (["view", str(tmp_path)], "nothing to look at"),
        (["view", str(tmp_path / "no")], "no such folder"),
        (["report", str(tmp_path / "no")], "no such folder"),
        (["view", "--colour", "red"], "--colour"),
        (["view", str(tmp_path), "--port", "99999"], "--port 99999"),
    ):
        assert run.main(argv) == 2
        written = capsys.readouterr()
        assert written.out == ""
        assert len(written.err.splitlines()) == 1
        assert named in written.err


def test_without_a_place_the_usual_ones_are_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="generate"):
        find_sources([])
    (tmp_path / "outputs" / "sft").mkdir(parents=True)
    (tmp_path / "outputs" / "sft" / "training.json").write_text("{}")
    assert [source.kind for source in find_sources([])] == ["training"]
