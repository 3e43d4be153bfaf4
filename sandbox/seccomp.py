"""Two filters for system calls, assembled by hand as classic BPF: no library is needed for a few dozen lines.

`step_filter` is for model-written code and lists what is allowed: what a calculation in Python needs, and nothing that
starts a process, a thread or a connection, or signals anyone. `worker_filter` is for our own program around it and
lists what is forbidden, since what an interpreter's start needs changes from one C library to the next.

Numbers from the kernel's asm/unistd_64.h (x86-64) and asm-generic/unistd.h (ARM64); the program's form from seccomp(2).
"""

import errno
import struct
from collections.abc import Iterable

ALLOW = 0x7FFF0000
KILL_PROCESS = 0x80000000
REFUSE = 0x00050000 | errno.EPERM
UNKNOWN = 0x00050000 | errno.ENOSYS
NOT_A_TERMINAL = 0x00050000 | errno.ENOTTY

ARCHITECTURES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}
"""By `platform.machine()`: the kernel's AUDIT_ARCH and the column of the tables below."""

NEWEST = 451
"""Later system calls are answered as an old kernel would; C libraries then take another way."""

NEW_NAMESPACES = 0x7E020000
"""Every CLONE_NEW* flag that clone(2) knows."""

Numbers = tuple[int | None, int | None]
"""A system call on x86-64 and on ARM64; None where there is no such call."""


def _table(text: str) -> dict[str, Numbers]:
    words = [word for line in text.splitlines() if not line.strip().startswith("#") for word in line.split()]
    named = [word.replace("=", "/").split("/") for word in words]
    return {name: (int(left), None if right == "-" else int(right)) for name, left, right in named}


ALLOWED = _table("""
    # Open files, and files under the run's own folder.
    read=0/63 write=1/64 readv=19/65 writev=20/66 pread64=17/67 pwrite64=18/68 lseek=8/62 close=3/57
    close_range=436/436 dup=32/23 dup2=33/- dup3=292/24 open=2/- openat=257/56 access=21/- faccessat=269/48
    faccessat2=439/439 stat=4/- lstat=6/- fstat=5/80 newfstatat=262/79 statx=332/291 statfs=137/43
    fstatfs=138/44 getdents64=217/61 readlink=89/- readlinkat=267/78 getcwd=79/17 chdir=80/49 mkdir=83/-
    mkdirat=258/34 rmdir=84/- unlink=87/- unlinkat=263/35 rename=82/- renameat=264/38 renameat2=316/276
    symlink=88/- symlinkat=266/36 link=86/- linkat=265/37 truncate=76/45 ftruncate=77/46 fsync=74/82
    fdatasync=75/83 umask=95/166
    # Memory, locks, and signals that the run gives itself.
    mmap=9/222 munmap=11/215 mremap=25/216 mprotect=10/226 madvise=28/233 brk=12/214 futex=202/98
    rt_sigaction=13/134 rt_sigprocmask=14/135 rt_sigreturn=15/139 sigaltstack=131/132 alarm=37/-
    setitimer=38/103 getitimer=36/102 restart_syscall=219/128
    # Time and chance.
    clock_gettime=228/113 clock_getres=229/114 clock_nanosleep=230/115 nanosleep=35/101 gettimeofday=96/169
    time=201/- times=100/153 getrandom=318/278 poll=7/- ppoll=271/73 select=23/- pselect6=270/72
    # What a process may know of itself.
    getpid=39/172 gettid=186/178 getppid=110/173 getuid=102/174 geteuid=107/175 getgid=104/176 getegid=108/177
    getrusage=98/165 uname=63/160 sysinfo=99/179 sched_yield=24/124 sched_getaffinity=204/123 getcpu=309/168
    exit=60/93 exit_group=231/94
""")

FORBIDDEN = _table("""
    # Other processes.
    ptrace=101/117 process_vm_readv=310/270 process_vm_writev=311/271 kcmp=312/272 pidfd_getfd=438/438
    pidfd_send_signal=424/424 process_madvise=440/440
    # Namespaces and mounts.
    unshare=272/97 setns=308/268 mount=165/40 umount2=166/39 chroot=161/51 pivot_root=155/41
    mount_setattr=442/442 open_tree=428/428 move_mount=429/429 fsopen=430/430 fsconfig=431/431 fsmount=432/432
    fspick=433/433 name_to_handle_at=303/264 open_by_handle_at=304/265 quotactl=179/60 acct=163/89
    swapon=167/224 swapoff=168/225 fanotify_init=300/262
    # Connections, and memory that no limit of a process counts.
    socket=41/198 socketpair=53/199 memfd_create=319/279 memfd_secret=447/447 shmget=29/194 shmat=30/196
    semget=64/190 msgget=68/186 mq_open=240/180
    # The kernel itself: its keys, its clock, its modules, and the parts that most of its escapes went through.
    add_key=248/217 request_key=249/218 keyctl=250/219 bpf=321/280 perf_event_open=298/241 userfaultfd=323/282
    io_uring_setup=425/425 io_uring_enter=426/426 io_uring_register=427/427 personality=135/92
    kexec_load=246/104 kexec_file_load=320/294 init_module=175/105 finit_module=313/273 delete_module=176/106
    reboot=169/142 syslog=103/116 settimeofday=164/170 clock_settime=227/112 clock_adjtime=305/266
    adjtimex=159/171 sethostname=170/161 setdomainname=171/162 iopl=172/- ioperm=173/- modify_ldt=154/-
    uselib=134/- vhangup=153/58 mbind=237/235 set_mempolicy=238/237 migrate_pages=256/238 move_pages=279/239
    lookup_dcookie=212/18
""")

CLONE: Numbers = (56, 220)
CLONE3: Numbers = (435, 435)
FCNTL: Numbers = (72, 25)
IOCTL: Numbers = (16, 29)
PRLIMIT: Numbers = (302, 261)

PLAIN_FCNTL = (0, 1, 2, 3, 4, 1030)
"""Copies of descriptors and their flags. F_SETOWN with F_SETSIG would send signals to other processes."""
TERMINAL_INPUT = (0x5412, 0x541C)
"""TIOCSTI and TIOCLINUX, which type into the terminal that started us."""


def step_filter(machine: str) -> bytes:
    """The allow list under which model-written code runs; everything else fails with EPERM.

    Args:
        machine: as `platform.machine()` says it, one of `ARCHITECTURES`.
    """
    column = ARCHITECTURES[machine][1]
    return _program(
        machine,
        _each(column, ALLOWED.values(), ALLOW),
        _by_argument(FCNTL[column], 1, PLAIN_FCNTL, ALLOW, REFUSE),
        _by_argument(PRLIMIT[column], 0, (0,), ALLOW, REFUSE),  # its own limits, which are hard ones already
        _each(column, [IOCTL], NOT_A_TERMINAL),
        _each(column, [CLONE3], UNKNOWN),
        last=REFUSE,
    )


def worker_filter(machine: str) -> bytes:
    """The deny list for everything in the sandbox, handed to bubblewrap; arguments as for `step_filter`."""
    column = ARCHITECTURES[machine][1]
    return _program(
        machine,
        _each(column, FORBIDDEN.values(), REFUSE),
        _by_flags(CLONE[column], 0, NEW_NAMESPACES, REFUSE, ALLOW),
        _by_argument(IOCTL[column], 1, TERMINAL_INPUT, REFUSE, ALLOW),
        _each(column, [CLONE3], UNKNOWN),  # its flags lie in memory, where a filter cannot look
        last=ALLOW,
    )


def _program(machine: str, *blocks: bytes, last: int) -> bytes:
    """The architecture is checked first: the same number is another call in another one."""
    audit_arch, _ = ARCHITECTURES[machine]
    return b"".join(
        [
            _load(4),
            _jump(0x15, audit_arch, 1, 0),
            _return(KILL_PROCESS),
            _load(0),
            _jump(0x35, NEWEST + 1, 0, 1),  # above it too: the 32-bit pointers' calls of x86-64, from 0x40000000
            _return(UNKNOWN),
            *blocks,
            _return(last),
        ]
    )


def _each(column: int, calls: Iterable[Numbers], action: int) -> bytes:
    numbers = [call[column] for call in calls]
    return b"".join(_jump(0x15, number, 0, 1) + _return(action) for number in numbers if number is not None)


def _by_argument(number: int | None, argument: int, values: Iterable[int], then: int, otherwise: int) -> bytes:
    """One call, decided by the lower half of an argument, which is all that the kernel reads of an int."""
    tests = b"".join(_jump(0x15, value, 0, 1) + _return(then) for value in values)
    return _block(number, _load(16 + 8 * argument) + tests + _return(otherwise))


def _by_flags(number: int | None, argument: int, mask: int, then: int, otherwise: int) -> bytes:
    tests = _jump(0x45, mask, 0, 1) + _return(then) + _return(otherwise)
    return _block(number, _load(16 + 8 * argument) + tests)


def _block(number: int | None, body: bytes) -> bytes:
    if number is None:
        return b""
    return _jump(0x15, number, 0, len(body) // 8) + body


def _load(offset: int) -> bytes:
    """A word of `struct seccomp_data`: the call's number at 0, the architecture at 4, arguments from 16."""
    return struct.pack("<HBBI", 0x20, 0, 0, offset)


def _jump(operation: int, value: int, if_true: int, if_false: int) -> bytes:
    """0x15 equal, 0x35 at least, 0x45 any bit in common; the jumps count instructions from the next one."""
    return struct.pack("<HBBI", operation, if_true, if_false, value)


def _return(action: int) -> bytes:
    return struct.pack("<HBBI", 0x06, 0, 0, action)
