"""The sandbox as bubblewrap builds it, or one line that says why it cannot be had here.

Bubblewrap is what Flatpak runs applications in: new namespaces for users, processes, mounts, network, IPC and host
name, without privileges of its own. What is mounted here is all that code inside can see: shared libraries, the
interpreter, the packages asked for, and an empty folder.
"""

import importlib.util
import json
import os
import platform
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from sandbox import inside
from sandbox.seccomp import ARCHITECTURES, step_filter
from sandbox.settings import SandboxSettings
from settings import UserError

INSTALL = "install bubblewrap 0.6 or newer (apt-get install bubblewrap, or your system's package of that name)"
ALLOW = (
    "allow unprivileged user namespaces (sysctl -w user.max_user_namespaces=10000; on Ubuntu also sysctl -w "
    "kernel.apparmor_restrict_unprivileged_userns=0; in a container, run it with --security-opt seccomp=unconfined)"
)
NAMESPACES = ("ipc", "mnt", "net", "pid", "uts")
NOBODY = "65534"
PYTHON = "/python"
PROGRAM = "/inside.py"
MIB = 1 << 20


def find_bubblewrap() -> str:
    """The path of `bwrap`. Raises UserError where this machine cannot isolate, with what to install."""
    if sys.platform != "linux" or platform.machine() not in ARCHITECTURES:
        raise UserError(
            "the sandbox for model-written Python needs Linux on x86-64 or ARM64, "
            f"this is {platform.system()} on {platform.machine()}: run it in such a virtual machine"
        )
    found = shutil.which("bwrap")
    if found is None:
        raise UserError(f"the sandbox for model-written Python needs bwrap, which is not installed: {INSTALL}")
    return found


def refusal(words: str) -> UserError:
    """The complaint where bubblewrap is there and isolation is not; `words` say what failed."""
    return UserError(f"the sandbox for model-written Python cannot be set up here ({words}): {ALLOW}")


def check_namespaces(info: bytes) -> None:
    """Hold what bubblewrap reports of a sandbox (`--info-fd`) against our own namespaces; raises UserError."""
    try:
        told = json.loads(info)
    except ValueError:
        raise refusal("bwrap told nothing of its namespaces") from None
    shared = [
        name for name in NAMESPACES if told.get(f"{name}-namespace") in (None, os.stat(f"/proc/self/ns/{name}").st_ino)
    ]
    if shared:
        raise refusal(f"namespaces shared with the host: {', '.join(shared)}")


def command(bubblewrap: str, settings: SandboxSettings, *, filter_from: int, info_to: int) -> list[str]:
    """The command line of one worker in its sandbox.

    Args:
        bubblewrap: the path of `bwrap`.
        settings: limits, and the packages that must be importable.
        filter_from: descriptor that gives the worker's system call filter.
        info_to: descriptor that takes what `check_namespaces` reads.

    Raises:
        UserError: a package is not installed.
    """
    options = [
        ["--unshare-all", "--unshare-user", "--uid", NOBODY, "--gid", NOBODY, "--hostname", "sandbox"],
        ["--die-with-parent", "--new-session", "--cap-drop", "ALL", "--clearenv"],
        ["--seccomp", str(filter_from), "--info-fd", str(info_to)],
        *_libraries(),
        *_interpreter(),
        *_packages(settings.modules),
        ["--ro-bind", inside.__file__, PROGRAM],
        # Two devices, and no /proc: a step needs neither more nor that.
        ["--dev-bind", "/dev/null", "/dev/null", "--dev-bind", "/dev/urandom", "/dev/urandom"],
        ["--size", str(settings.file_mb * MIB), "--tmpfs", inside.FOLDER, "--chdir", inside.FOLDER],
        ["--remount-ro", "/"],
        [f"{PYTHON}/bin/python3", "-s", "-S", "-B", "-P", PROGRAM, _limits(settings)],
    ]
    return [bubblewrap, *(word for option in options for word in option)]


def _libraries() -> Iterator[list[str]]:
    """Shared libraries where the loader looks for them, with the links that merged systems have."""
    for path in (f"{root}/{name}" for root in ("/usr", "") for name in ("lib", "lib32", "lib64", "libx32")):
        if os.path.islink(path):
            yield ["--symlink", os.readlink(path), path]
        elif os.path.isdir(path):
            yield ["--ro-bind", path, path]
    yield ["--ro-bind-try", "/etc/ld.so.cache", "/etc/ld.so.cache"]


def _interpreter() -> Iterator[list[str]]:
    """Our own Python, moved to a path that tells nothing of this machine, and told where it is."""
    yield ["--ro-bind", str(Path(sys.executable).resolve()), f"{PYTHON}/bin/python3"]
    for name in ("lib", "lib64"):
        path = Path(sys.base_prefix, name).resolve()
        if path.is_dir():
            yield ["--ro-bind", str(path), f"{PYTHON}/{name}"]
    yield ["--setenv", "PYTHONHOME", PYTHON, "--setenv", "LD_LIBRARY_PATH", f"{PYTHON}/lib"]
    yield ["--setenv", "PYTHONHASHSEED", "0", "--setenv", "PYTHONUTF8", "1"]  # the same in every worker
    yield ["--setenv", "OMP_NUM_THREADS", "1", "--setenv", "OPENBLAS_NUM_THREADS", "1"]  # no thread may start


def _packages(names: tuple[str, ...]) -> Iterator[list[str]]:
    for name in names:
        found = importlib.util.find_spec(name)
        if found is None or found.origin is None:
            raise UserError(f"sandbox.modules: {name} is not installed: pip install {name}, or leave it out")
        path = Path(found.origin)
        if found.submodule_search_locations is None:
            yield ["--ro-bind", str(path), f"{inside.PACKAGES}/{path.name}"]
            continue
        yield ["--ro-bind", str(path.parent), f"{inside.PACKAGES}/{name}"]
        libraries = path.parent.with_name(f"{name}.libs")  # where wheels keep the libraries that they bring
        if libraries.is_dir():
            yield ["--ro-bind", str(libraries), f"{inside.PACKAGES}/{libraries.name}"]


def output_bytes(settings: SandboxSettings) -> int:
    """The most bytes of output that a worker hands out: one character more than is kept, four bytes each."""
    return 4 * (settings.output_chars + 1)


def _limits(settings: SandboxSettings) -> str:
    """What `inside.Limits` reads."""
    return json.dumps(
        {
            "memory": settings.memory_mb * MIB,
            "cpu": settings.cpu_seconds,
            "wall": settings.wall_seconds,
            "file": settings.file_mb * MIB,
            "output": output_bytes(settings),
            "modules": settings.modules,
            "filter": step_filter(platform.machine()).hex(),
        }
    )
