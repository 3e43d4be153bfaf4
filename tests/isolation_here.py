"""Whether bubblewrap can isolate here, asked of it directly: a fault of ours must not look like its absence."""

import functools
import platform
import shutil
import subprocess
import sys


@functools.cache
def lacking() -> str:
    """Why there is no isolation here; empty where there is."""
    if sys.platform != "linux" or platform.machine() not in ("x86_64", "aarch64"):
        return "the sandbox needs Linux on x86-64 or ARM64"
    if shutil.which("bwrap") is None:
        return "no bwrap on this machine"
    namespaces = ["--unshare-all", "--unshare-user", "--clearenv"]
    bare = ["bwrap", *namespaces, "--ro-bind", "/", "/", "--size", "4096", "--tmpfs", "/tmp", "/bin/true"]
    tried = subprocess.run(bare, capture_output=True, text=True, timeout=60)
    return f"bwrap cannot isolate here: {tried.stderr.strip()}" if tried.returncode else ""
