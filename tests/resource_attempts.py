"""Bombs, floods, and attempts on the interpreter and the kernel; the form is `escape_attempts`'."""

from escape_attempts import Attempt, C, works_outside

from sandbox.seccomp import ARCHITECTURES, FORBIDDEN

NUMBERS = {
    machine: [call[column] for call in FORBIDDEN.values() if call[column] is not None]
    for machine, (_, column) in ARCHITECTURES.items()
}

BOMBS = {
    "large-memory": works_outside("x = bytearray(1 << 30)\nprint('ESCAPED')"),
    "shared-memory": works_outside("import mmap\nmmap.mmap(-1, 1 << 30)\nprint('ESCAPED')"),
    "growing-memory": Attempt("x = []\nwhile True: x.append(' ' * 1000000)", verdicts=("memory",)),
    "memory-file": works_outside("import os\nos.memfd_create('x')\nprint('ESCAPED')"),
    "system-v-memory": works_outside(
        C + "got = libc.shmget(0, 4096, 0o1600)\nif got >= 0:\n    libc.shmctl(got, 0, 0)\n    print('ESCAPED')"
    ),
    "large-file": works_outside(
        "import tempfile\nwith tempfile.TemporaryFile() as file:\n    for _ in range(32): file.write(bytes(1 << 20))\n"
        "print('ESCAPED')"
    ),
    "sparse-file": works_outside(
        "import tempfile\nwith tempfile.TemporaryFile() as file: file.truncate(1 << 30)\nprint('ESCAPED')"
    ),
    "many-files": works_outside(
        "import tempfile\nfiles = [tempfile.TemporaryFile() for _ in range(16)]\nfor file in files:\n"
        "    file.write(bytes(1 << 20))\n    file.flush()\nprint('ESCAPED')"
    ),
    "many-empty-files": Attempt(
        "for number in range(10 ** 6): open(f'/tmp/{number}', 'w').close()\nprint('ESCAPED')", verdicts=("killed",)
    ),
    "many-descriptors": works_outside("import os\nfor _ in range(200): os.dup(0)\nprint('ESCAPED')"),
    "endless-loop": Attempt("while True: pass", verdicts=("timeout",)),
    "endless-loop-in-c": Attempt("9 ** 9 ** 9", verdicts=("timeout", "memory")),
    "endless-match": Attempt("import re\nre.match('(a+)+$$', 'a' * 60 + 'b')", verdicts=("timeout",)),
    "endless-sleep": Attempt("import time\ntime.sleep(10 ** 6)", verdicts=("timeout",)),
    "deaf-loop": Attempt(
        "import signal\nfor number in range(1, 32):\n    try: signal.signal(number, signal.SIG_IGN)\n"
        "    except OSError: pass\nwhile True: pass",
        verdicts=("timeout",),
    ),
    "raising-its-limits": works_outside(
        "import resource\nlimits = [resource.RLIMIT_AS, resource.RLIMIT_CPU, resource.RLIMIT_FSIZE]\n"
        "for limit in limits: resource.setrlimit(limit, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))\n"
        "print('ESCAPED')"
    ),
    "output-flood": Attempt("while True: print('x' * 100000)", verdicts=("timeout",)),
    "error-flood": Attempt("raise ValueError('x' * 10 ** 8)", verdicts=("error", "memory", "killed")),
    "deep-recursion": Attempt(
        "import sys\nsys.setrecursionlimit(10 ** 9)\ndef f(x): return f((x,))\nf(0)",
        verdicts=("memory", "killed", "timeout"),
    ),
    "deep-source": Attempt("eval('-' * 10 ** 6 + '1')", verdicts=("error", "memory", "killed")),
}

INTERPRETER = {
    "subclass-walk": works_outside(
        "import os\nfor c in ().__class__.__base__.__subclasses__():\n    if c.__name__ == '_wrap_close':\n"
        "        c.__init__.__globals__['system']('echo ESCAPED')"
    ),
    "pickle": works_outside(
        "import os, pickle\nclass Evil:\n    def __reduce__(self): return os.system, ('echo ESCAPED',)\n"
        "pickle.loads(pickle.dumps(Evil()))"
    ),
    "null-pointer": Attempt("import ctypes\nctypes.string_at(0)", verdicts=("killed",)),
    "wrong-pointer": Attempt("import ctypes\nctypes.memset(id(int), 255, 4096)\nint('1')", verdicts=("killed",)),
    "leaving-early": Attempt("import os\nos._exit(0)", verdicts=("killed",)),
    "closing-everything": Attempt("import os\nos.closerange(0, 1024)\nwhile True: pass", verdicts=("timeout",)),
    "writing-everywhere": Attempt(
        "import os\nforged = $forged\nfor number in range(1024):\n    try: os.write(number, forged * 3)\n"
        "    except OSError: pass\nos._exit(0)"
    ),
    "changing-the-report": Attempt("import os\nos.write = lambda *args: 1 / 0\nos._exit = print", verdicts=("killed",)),
    "loop-in-an-error": Attempt(
        "class E(BaseException):\n    def __str__(self):\n        while True: pass\nraise E", verdicts=("timeout",)
    ),
    "error-in-an-error": Attempt(
        "class E(BaseException):\n    def __str__(self): raise self\nraise E", verdicts=("killed",)
    ),
    "loop-at-the-end": Attempt("import atexit\ndef f():\n    while True: pass\natexit.register(f)", verdicts=("ok",)),
    "null-byte": Attempt("print('ESC' + 'APED')\0", verdicts=("error",)),
    "lone-surrogate": Attempt("print('\ud800')", verdicts=("error",)),
}

KERNEL = {
    "forbidden-calls": Attempt(
        C + "import platform\nfor number in $numbers[platform.machine()]:\n    ctypes.set_errno(0)\n"
        "    libc.syscall(number, -1, -1, -1, -1, -1, -1)\n"
        "    if ctypes.get_errno() != 1: print('ESCAPED', number)"
    ),
    "calls-of-the-future": Attempt(
        C + "for number in (452, 500, 1 << 30 | 39):\n    libc.syscall(number, 0, 0, 0)\n"
        "    if ctypes.get_errno() != 38: print('ESCAPED', number)"
    ),
    "calls-of-another-architecture": Attempt(
        "import ctypes, mmap, platform\nif platform.machine() != 'x86_64': raise SystemExit\n"
        "page = mmap.mmap(-1, 4096, prot=7)\npage.write(bytes.fromhex('b814000000cd80c3'))\n"  # getpid of i386
        "ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))()\nprint('ESCAPED')"
    ),
    "terminal-input": Attempt(
        "import fcntl\nfor number in range(3):\n    try:\n        fcntl.ioctl(number, 0x5412, b'x')\n"
        "        print('ESCAPED')\n    except OSError: pass"
    ),
    "host-name": Attempt("import socket\nsocket.sethostname('x')\nprint('ESCAPED')"),
    "clock": Attempt("import time\ntime.clock_settime(time.CLOCK_REALTIME, 0)\nprint('ESCAPED')"),
    "becoming-root": Attempt("import os\nos.setuid(0)\nprint('ESCAPED')"),
    "priority": Attempt("import os\nos.setpriority(os.PRIO_PROCESS, 0, -20)\nprint('ESCAPED')"),
}
