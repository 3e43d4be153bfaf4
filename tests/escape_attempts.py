"""Ways out of a sandbox, each a program that prints ESCAPED (or reads it from a file) where it found one.

`$names` are filled in by the test: a file and an environment variable that hold the word, a file to be written, ports
and sockets that listen, a process to be harmed. Where `outside` is true the test shows that the same program does
succeed without a sandbox, so that its failure inside means something.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Attempt:
    code: str
    outside: bool = False
    verdicts: tuple[str, ...] = ()
    """How the run must end; empty: anyhow."""


def works_outside(code: str) -> Attempt:
    return Attempt(code, outside=True)


C = "import ctypes, os\nlibc = ctypes.CDLL(None, use_errno=True)\n"

NETWORK = {
    "tcp": works_outside("import socket\nsocket.create_connection(('127.0.0.1', $port), 2)\nprint('ESCAPED')"),
    "udp": works_outside(
        "import socket\nsocket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', $port))\n"
        "print('ESCAPED')"
    ),
    "abstract-unix-socket": works_outside(
        "import socket\nsocket.socket(socket.AF_UNIX).connect($unix)\nprint('ESCAPED')"
    ),
    "listening": works_outside("import socket\nsocket.create_server(('127.0.0.1', 0))\nprint('ESCAPED')"),
    "netlink": works_outside("import socket\nsocket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)\nprint('ESCAPED')"),
    "socketpair": works_outside("import socket\nsocket.socketpair()\nprint('ESCAPED')"),
    "socket-from-c": works_outside(C + "if libc.socket(2, 1, 0) >= 0: print('ESCAPED')"),
    "http": works_outside(
        "import urllib.request as web\nopener = web.build_opener(web.ProxyHandler({}))\n"
        "print(opener.open('http://127.0.0.1:$port/', timeout=2).read().decode())"
    ),
}

READING = {
    "file-by-path": works_outside("print(open($file).read())"),
    "file-by-dots": works_outside("print(open('../' * 20 + $file.lstrip('/')).read())"),
    "file-by-descriptor": works_outside(
        "import os\nroot = os.open('/', os.O_RDONLY)\nprint(os.read(os.open($file[1:], os.O_RDONLY, dir_fd=root), 99))"
    ),
    "file-by-symlink": works_outside(
        "import os, tempfile\nlink = tempfile.mkdtemp() + '/link'\nos.symlink($file, link)\nprint(open(link).read())"
    ),
    "folder-by-symlink": works_outside(
        "import os, tempfile\nlink = tempfile.mkdtemp() + '/link'\nos.symlink($folder, link)\n"
        "for name in os.listdir(link): print(open(os.path.join(link, name)).read())"
    ),
    "home": works_outside(
        "import os\nfor name in os.listdir($folder): print(open(os.path.join($folder, name)).read())"
    ),
    "environment": works_outside("import os\nprint(dict(os.environ))"),
    "environment-from-c": works_outside(C + "libc.getenv.restype = ctypes.c_char_p\nprint(libc.getenv(b'$variable'))"),
    "own-source": works_outside("open($source).read()\nprint('ESCAPED')"),
    "users": works_outside("if 'root' in open('/etc/passwd').read(): print('ESCAPED')"),
    "other-packages": works_outside("import sys\nsys.path.append($packages)\nimport pydantic\nprint('ESCAPED')"),
    "walk": Attempt("import os\nfor _, _, files in os.walk('/'):\n    if 'secret.txt' in files: print('ESCAPED')"),
    "inherited-descriptors": Attempt(
        "import os\nfor number in range(3, 1024):\n    try:\n        os.set_blocking(number, False)\n"
        "        if os.read(number, 99): print('ESCAPED')\n    except OSError: pass"
    ),
}

PROC = {
    "proc-environ": works_outside("print(open('/proc/self/environ').read())"),
    "proc-root": works_outside("print(open('/proc/self/root' + $file).read())"),
    "proc-others": works_outside("if open('/proc/$victim/cmdline').read(): print('ESCAPED')"),
    "proc-descriptors": works_outside("import os\nif os.listdir('/proc/self/fd'): print('ESCAPED')"),
    "sys": works_outside("import os\nif os.listdir('/sys'): print('ESCAPED')"),
    "mounting-proc": Attempt(C + "if libc.mount(b'proc', b'/tmp', b'proc', 0, 0) == 0: print('ESCAPED')"),
}

WRITING = {
    "file-outside": works_outside("open($outside, 'w').write('x')\nprint('ESCAPED')"),
    "file-outside-by-symlink": works_outside(
        "import os, tempfile\nlink = tempfile.mkdtemp() + '/link'\nos.symlink($outside, link)\n"
        "open(link, 'w').write('x')\nprint('ESCAPED')"
    ),
    "root-folder": Attempt("open('/x', 'w')\nprint('ESCAPED')"),
    "standard-library": Attempt("import os\nopen(os.__file__, 'a')\nprint('ESCAPED')"),
    "the-program-inside": Attempt("open('/inside.py', 'a')\nprint('ESCAPED')"),
    "devices": Attempt("open('/dev/x', 'w')\nprint('ESCAPED')"),
    "making-a-device": Attempt(
        "import os, stat\nos.mknod('/tmp/disk', stat.S_IFBLK | 0o600, os.makedev(8, 0))\nprint('ESCAPED')"
    ),
    "remounting": Attempt(C + "if libc.mount(0, b'/', 0, 32 | 4096, 0) == 0: print('ESCAPED')"),
    "hard-link": Attempt("import os\nos.link('/inside.py', '/tmp/x')\nprint('ESCAPED')"),
    "chroot": Attempt("import os\nos.chroot('/tmp')\nprint('ESCAPED')"),
}

PROCESSES = {
    "fork": works_outside("import os\nif os.fork(): print('ESCAPED')"),
    "fork-from-c": works_outside(C + "if libc.fork() > 0: print('ESCAPED')"),
    "subprocess": works_outside(
        "import subprocess, sys\nprint(subprocess.check_output([sys.executable, '-c', 'print(\"ESCAPED\")']))"
    ),
    "shell": works_outside("import os\nos.system('echo ESCAPED')"),
    "exec": works_outside(
        "import os, sys\nos.execv(sys.executable, [sys.executable, '-S', '-c', 'print(\"ESCAPED\")'])"
    ),
    "posix-spawn": works_outside(
        "import os, sys\nos.waitpid(os.posix_spawn(sys.executable, [sys.executable, '-c', ''], {}), 0)\n"
        "print('ESCAPED')"
    ),
    "multiprocessing": works_outside(
        "import multiprocessing\nmultiprocessing.get_context('fork').Process(target=print).start()\nprint('ESCAPED')"
    ),
    "thread": works_outside("import threading\nthreading.Thread(target=print, args=['ESCAPED']).start()"),
    "fork-bomb": Attempt(
        "import os\nwhile True:\n    try:\n        os.fork()\n        print('ESCAPED')\n    except OSError: pass",
        verdicts=("timeout",),
    ),
    "thread-bomb": Attempt(
        "import threading, time\nwhile True:\n    try: threading.Thread(target=print, args=['ESCAPED']).start()\n"
        "    except RuntimeError: pass",
        verdicts=("timeout",),
    ),
    "own-namespace": Attempt(C + "if libc.unshare(0x10000000) == 0: print('ESCAPED')"),
}

SIGNALS = {
    "asking-after-a-process": works_outside("import os\nos.kill($victim, 0)\nprint('ESCAPED')"),
    "killing-a-process": Attempt("import os\nos.kill($victim, 9)\nprint('ESCAPED')"),
    "killing-the-parent": Attempt("import os\nos.kill(os.getppid(), 9)\nprint('ESCAPED')"),
    "killing-the-parent-from-c": Attempt(C + "if libc.kill(os.getppid(), 9) == 0: print('ESCAPED')"),
    "killing-everybody": Attempt(C + "for who in (1, 2, 0, -1):\n    if libc.kill(who, 9) == 0: print('ESCAPED')"),
    "stopping-the-parent": Attempt("import os, signal\nos.kill(os.getppid(), signal.SIGSTOP)\nprint('ESCAPED')"),
    "signals-by-fcntl": works_outside(
        "import fcntl, os, tempfile\nfcntl.fcntl(tempfile.TemporaryFile(), fcntl.F_SETOWN, os.getppid())\n"
        "print('ESCAPED')"
    ),
    "handle-on-the-parent": works_outside("import os\nos.pidfd_open(os.getppid())\nprint('ESCAPED')"),
    "limits-of-the-parent": works_outside(
        "import os, resource\nresource.prlimit(os.getppid(), resource.RLIMIT_NOFILE)\nprint('ESCAPED')"
    ),
    "tracing-the-parent": Attempt(C + "if libc.ptrace(16, os.getppid(), 0, 0) == 0: print('ESCAPED')"),
    "stopping-itself": Attempt("import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)\nprint('ESCAPED')"),
}
