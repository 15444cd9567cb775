"""The sandbox: what tries to get out, and fails; what the limits end; what is said where it cannot start."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import secrets
import signal
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

from r1_trl.errors import InputError
from r1_trl.verifiers import bubblewrap, seccomp
from r1_trl.verifiers.program import PYTHON
from r1_trl.verifiers.sandbox import Limits, Run, Sandbox, check_sandbox


def _why_not() -> str:
    try:
        check_sandbox()
    except InputError as error:
        return str(error)
    return ""


_WHY_NOT = "" if os.environ.get("CI") == "true" else _why_not()  # on CI, a sandbox that does not start is a failure
needs_sandbox = pytest.mark.skipif(bool(_WHY_NOT), reason=_WHY_NOT)


def limits_for(outcome: str) -> Limits:
    """Short where time is to run out, and long where it is not, whatever else the machine does."""
    return Limits(seconds=0.5 if outcome == "time limit" else 10)


def run_python(source: str, stdin: bytes = b"", limits: Limits | None = None, unsafe: bool = False) -> Run:
    command = [*PYTHON, "../program/program.py"]
    with Sandbox(command, {"program.py": source.encode()}, limits, unsafe) as sandbox:
        return sandbox.run(stdin)


def processes_with(marker: str) -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            line = path.read_bytes()
            if marker.encode() in line:
                found.append(line.replace(b"\0", b" ").decode()[:200])
    return found


def none_left(marker: str) -> bool:
    """Whether all are gone within two seconds, counted in looks, since a machine may stand still between two looks."""
    for _ in range(200):
        if not processes_with(marker):
            return True
        time.sleep(0.01)
    return False


@pytest.fixture
def marker() -> str:
    return f"r1-trl-marker-{secrets.token_hex(8)}"


# --- files


@pytest.fixture
def canaries(tmp_path, marker):
    """A file in a folder of the user's and one in the home folder, with a secret in both."""
    paths = [tmp_path / "canary", Path.home() / f".{marker}"]
    for path in paths:
        path.write_text("secret-" + marker)
        path.chmod(0o644)
    yield paths
    paths[1].unlink()


_READ = """
import os, sys
for path in sys.stdin.read().split("\\n"):
    for start in ("", "/proc/self/root", "/proc/1/root", "/proc/1/cwd/../..", "../program/../..", "/tmp/../.."):
        try:
            print(start + path, os.listdir(start + path) if os.path.isdir(start + path) else open(start + path).read())
        except OSError as error:
            print("refused", error.errno)
"""


@needs_sandbox
def test_the_users_files_are_out_of_sight(canaries, marker):
    wanted = (
        [str(path) for path in canaries] + [str(path.parent) for path in canaries] + ["/etc/passwd", str(Path.cwd())]
    )
    run = run_python(_READ, "\n".join(wanted).encode())
    assert run.outcome == "ok", run
    assert b"secret" not in run.stdout
    assert marker.encode() + b"'" not in run.stdout  # as a name in a listing
    assert run.stdout.count(b"refused") >= 6 * 3  # both canaries and /etc/passwd, by any path


@needs_sandbox
def test_a_symlink_leads_nowhere(canaries, marker):
    source = """
import os, sys
for number, path in enumerate(sys.stdin.read().split("\\n")):
    os.symlink(path, f"link{number}")
    os.symlink("/proc/1/root" + path, f"root{number}")
    for name in (f"link{number}", f"root{number}"):
        try:
            print(open(name).read())
        except OSError:
            print("refused")
        try:
            open(name, "w").write("changed")
        except OSError:
            print("refused")
"""
    run = run_python(source, "\n".join(map(str, canaries)).encode())
    assert run.stdout.split() == [b"refused"] * 8, run
    assert [path.read_text() for path in canaries] == ["secret-" + marker] * 2


@needs_sandbox
def test_nothing_outside_can_be_written(marker):
    folders = ["/", "/usr", "/usr/bin", "/usr/lib", "/dev", "/dev/shm", "/proc", "/program", "/proc/self", "/home"]
    folders += [
        str(Path.home()),
        str(Path.cwd()),
        "/etc",
        "/var/tmp",
        "/run",
        os.path.dirname(bubblewrap.python_path()),
    ]
    source = f"""
import os
for folder in {folders!r}:
    try:
        open(os.path.join(folder, {marker!r}), "w")
        print("written", folder)
    except OSError:
        pass
for path in ("/program/program.py", "/proc/sys/kernel/hostname", "/proc/sysrq-trigger", "/usr/bin/env", {PYTHON[0]!r}):
    for attempt in (lambda: open(path, "r+"), lambda: os.chmod(path, 0o777), lambda: os.unlink(path)):
        try:
            attempt()
            print("changed", path)
        except OSError:
            pass
"""
    run = run_python(source)
    assert (run.stdout, run.outcome) == (b"", "ok"), run
    assert [folder for folder in folders if os.path.exists(os.path.join(folder, marker))] == []


# --- processes, environment, network


@needs_sandbox
def test_the_environment_is_empty(monkeypatch, marker):
    monkeypatch.setenv("R1_TRL_SECRET", marker)
    source = """
import glob, json, os
print(json.dumps(dict(os.environ)))
for path in glob.glob("/proc/[0-9]*/environ") + glob.glob("/proc/[0-9]*/cmdline"):
    try:
        print(path, open(path, "rb").read())
    except OSError as error:
        print(path, error)
"""
    run = run_python(source)
    assert marker.encode() not in run.stdout
    found = json.loads(run.stdout.splitlines()[0])
    assert found.keys() <= {"PATH", "HOME", "LANG", "PWD", "SHLVL", "_"}  # the last two are bash's
    assert (found["PATH"], found["HOME"]) == (bubblewrap.PATH, "/tmp")


@needs_sandbox
def test_processes_of_the_host_are_out_of_reach():
    with subprocess.Popen(["sleep", "60"]) as bystander:
        source = f"""
import os, signal
print(sorted(int(name) for name in os.listdir("/proc") if name.isdigit())[2:])
for pid in ({bystander.pid}, {os.getpid()}, {os.getppid()}):
    try:
        os.kill(pid, signal.SIGKILL)
        print("killed", pid)
    except OSError:
        pass
try:
    os.kill(1, signal.SIGKILL)  # a shell that the kernel lets nobody inside kill
except OSError:
    pass
try:
    os.kill(-1, signal.SIGKILL)
except OSError:
    pass
print("alive")
"""
        run = run_python(source)
        assert (run.stdout, run.outcome) == (b"[]\nalive\n", "ok"), run
        assert bystander.poll() is None
        bystander.kill()


@needs_sandbox
def test_there_is_no_network(marker):
    abstract = "\0" + marker
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_UNIX) as local:
        local.bind(abstract)
        local.listen()
        source = f"""
import socket
for family, address in (
    (socket.AF_INET, ("127.0.0.1", {server.getsockname()[1]})),
    (socket.AF_INET, ("1.1.1.1", 53)),
    (socket.AF_UNIX, {abstract!r}),
    (40, (2, 1024)),  # AF_VSOCK, the host of a virtual machine
    (16, (0, 0)),  # AF_NETLINK
    (38, ("hash", "sha256")),  # AF_ALG
):
    try:
        with socket.socket(family) as client:
            client.settimeout(1)
            client.connect(address)
            print("connected", address)
    except OSError as error:
        print(error.errno)
"""
        run = run_python(source)
    refused, unreachable = errno.ECONNREFUSED, errno.ENETUNREACH
    expected = [refused, unreachable, refused, errno.EPERM, errno.EPERM, errno.EPERM]
    assert run.stdout.split() == [str(number).encode() for number in expected], run


_CALLS = """
import ctypes, errno, os
libc = ctypes.CDLL(None, use_errno=True)
print(open("/proc/self/status").read().split("CapEff:")[1].split()[0])
print(open("/proc/self/status").read().split("NoNewPrivs:")[1].split()[0])
for call in (
    lambda: libc.unshare(0x10000000),  # CLONE_NEWUSER
    lambda: libc.unshare(0x00020000),  # CLONE_NEWNS
    lambda: libc.mount(b"none", b"/tmp", b"tmpfs", 0, None),
    lambda: libc.memfd_create(b"x", 0),
    lambda: libc.shmget(0, 4096, 0o1600),
    lambda: libc.msgget(0, 0o1600),
    lambda: libc.setuid(0),
    lambda: libc.chroot(b"/tmp"),
    lambda: libc.sethostname(b"x", 1),
):
    print(-1 if call() == -1 else "done", errno.errorcode[ctypes.get_errno()])
"""


@needs_sandbox
def test_privileges_and_uncounted_memory_are_refused():
    run = run_python(_CALLS)
    effective, no_new, *calls = run.stdout.decode().splitlines()
    assert (int(effective, 16), no_new) == (0, "1"), run
    assert len(calls) == 9, run
    assert {call.split()[0] for call in calls} == {"-1"}, run
    assert {call.split()[1] for call in calls} <= {"EPERM", "EINVAL"}, run


# --- limits


@needs_sandbox
def test_a_fork_bomb_stops_early(marker):
    source = f"""
import os, sys, time
forked = 0
for _ in range(2_000):
    try:
        if os.fork() == 0:
            os.execvp("sleep", [{marker!r}, "60"])
        forked += 1
    except OSError:
        break
print(forked)
"""
    run = run_python(source, limits=Limits(processes=8))
    assert run.stdout == b"7\n", run  # the eighth is the program itself
    assert none_left(marker)


@needs_sandbox
def test_sandboxes_do_not_count_each_others_processes():
    source = "import os, time\n[os.fork() or time.sleep(1) for _ in range(1)]\nprint('ok')"
    with contextlib.ExitStack() as stack:
        running = [
            stack.enter_context(
                subprocess.Popen(
                    [
                        sys.executable,
                        "-c",
                        "from tests.verifiers.test_sandbox import *\n"
                        f"print(run_python({source!r}, limits=Limits(processes=2)).outcome)",
                    ],
                    stdout=subprocess.PIPE,
                    env={**os.environ, "CI": "true"},
                )
            )
            for _ in range(2)
        ]
        assert [process.communicate()[0] for process in running] == [b"ok\n", b"ok\n"]


# (what it does, program, outcome)
LIMITED = [
    ("8 GiB of memory", "bytearray(8 << 30)", "memory limit"),
    ("memory bit by bit", "kept = []\nwhile True: kept.append(bytearray(1 << 20))", "memory limit"),
    ("1 GiB of output", "for _ in range(1 << 10): print('x' * (1 << 20))", "output limit"),
    (
        "1 GiB of errors",
        "import sys\nfor _ in range(1 << 10): print('x' * (1 << 20), file=sys.stderr)",
        "output limit",
    ),
    ("an endless loop", "while True: pass", "time limit"),
    ("sleep", "import time; time.sleep(60)", "time limit"),
    (
        "deaf to signals",
        "import signal, time\nfor number in (1, 2, 3, 15, 24): signal.signal(number, signal.SIG_IGN)\ntime.sleep(60)",
        "time limit",
    ),
    ("a stopped process", "import os; os.kill(os.getpid(), 19)", "time limit"),
    ("a crash", "import ctypes; ctypes.string_at(0)", "crashed"),
    ("an exit code", "raise SystemExit(3)", "crashed"),
    (
        "a file of 1 GiB",
        "with open('big', 'wb') as file:\n  for _ in range(1 << 10): file.write(bytes(1 << 20))",
        "crashed",
    ),
    ("a hole of 1 GiB", "open('big', 'wb').truncate(1 << 30)", "crashed"),
    (
        "1 GiB in files",
        "for number in range(1 << 10): open(f'{number}', 'wb').write(bytes(1 << 20))",
        "crashed",
    ),
    ("100 open files", "kept = [open('/dev/null') for _ in range(100)]", "crashed"),
]


@needs_sandbox
@pytest.mark.parametrize(("what", "source", "outcome"), LIMITED, ids=[case[0] for case in LIMITED])
def test_limits(what, source, outcome):
    start = time.monotonic()
    run = run_python(source, limits=limits_for(outcome))
    assert run.outcome == outcome, (what, run.stderr[-300:])
    assert outcome != "time limit" or time.monotonic() - start < 3
    assert len(run.stdout) < 2 << 20
    assert len(run.stderr) <= 4096


@needs_sandbox
def test_what_a_run_tells():
    run = run_python("import sys; print(input()); print('no', file=sys.stderr); sys.exit(7)", b"yes\n")
    assert (run.stdout, run.stderr, run.exit_code, run.outcome) == (b"yes\n", b"no\n", 7, "crashed")
    assert 0 < run.seconds < 2


@needs_sandbox
def test_large_input_and_output_do_not_wait_for_each_other():
    text = secrets.token_bytes(3 << 20)
    with Sandbox(["cat"], limits=Limits(output_kb=4 << 10)) as sandbox:
        assert sandbox.run(text).stdout == text
    with Sandbox(["true"]) as sandbox:
        assert sandbox.run(text).outcome == "ok"  # nobody reads it


# --- one run after another


# (what the first run leaves behind, its source)
LEFT_BEHIND = [
    ("a file", "open('left', 'w')"),
    ("a hidden file", "open('.left', 'w')"),
    ("a file of two dots", "open('..left', 'w')"),
    ("a link to nowhere", "import os; os.symlink('/nowhere', 'left')"),
    ("a folder that nobody may enter", "import os; os.mkdir('left', 0)"),
    ("input that it has not read", "pass"),
    ("pipes that do not block", "import os\nfor fd in (0, 1, 2): os.set_blocking(fd, False)"),
    (
        "a process that prints",
        "import os, time\nif os.fork() == 0:\n  os.setsid()\n  while True: os.write(1, b'late')",
    ),
    (
        "a process that eats input",
        "import os\nif os.fork() == 0:\n  os.setsid()\n  while True: os.read(0, 100)",
    ),
]


@needs_sandbox
@pytest.mark.parametrize(("what", "source"), LEFT_BEHIND, ids=[case[0] for case in LEFT_BEHIND])
def test_a_run_finds_nothing_of_the_run_before(what, source):
    program = f"""
import os, sys, time
line = sys.stdin.readline()
if line == "first\\n":
    {source.replace(chr(10), chr(10) + "    ")}
else:
    time.sleep(0.05)
    print(line[-100:], os.listdir("."), sum(name.isdigit() for name in os.listdir("/proc")), len(sys.stdin.read()))
"""
    with Sandbox([*PYTHON, "../program/program.py"], {"program.py": program.encode()}) as sandbox:
        sandbox.run(b"first\n" + b"x" * 100_000)
        run = sandbox.run(b"second\n" + b"y" * 100_000)
    assert (run.stdout, run.outcome) == (b"second\n [] 2 100000\n", "ok"), (what, run)


@needs_sandbox
def test_a_clean_run_leaves_the_sandbox_in_use():
    with Sandbox([*PYTHON, "-c", "import os; print(os.readlink('/proc/self/ns/pid'))"]) as sandbox:
        assert len({sandbox.run().stdout for _ in range(3)}) == 1


# --- nothing stays


@needs_sandbox
@pytest.mark.parametrize("detached", [False, True])
def test_no_background_process_is_left(detached, marker):
    source = f"""
import os, signal
if os.fork() == 0:
    if {detached}:
        os.setsid()
        os.fork() and os._exit(0)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    for fd in range(3):
        os.close(fd)
    os.execvp("sleep", [{marker!r}, "60"])
"""
    assert run_python(source).outcome == "ok"
    assert none_left(marker)


_WORKER = """
import sys
from r1_trl.verifiers.sandbox import Sandbox
while True:
    with Sandbox(["sh", "-c", f"sleep 60; : {sys.argv[1]}"]) as sandbox:
        sandbox.run()
"""


@needs_sandbox
def test_a_killed_worker_leaves_no_process(marker):
    with subprocess.Popen([sys.executable, "-c", _WORKER, marker]) as worker:
        deadline = time.monotonic() + 20
        while not any(line.startswith("sh -c sleep") for line in processes_with(marker)):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        worker.kill()
    assert none_left(marker), processes_with(marker)


@needs_sandbox
def test_a_worker_killed_while_the_sandbox_starts_leaves_no_process(marker):
    for attempt in range(20):
        with subprocess.Popen([sys.executable, "-c", _WORKER, marker]) as worker:
            deadline = time.monotonic() + 20
            while not any(line.startswith(bubblewrap.find_bubblewrap()) for line in processes_with(marker)):
                assert time.monotonic() < deadline
            time.sleep(attempt * 0.0005)
            worker.kill()
        assert none_left(marker), processes_with(marker)


@needs_sandbox
def test_an_error_in_the_middle_leaves_no_process(monkeypatch, marker):
    def interrupt(*args):
        raise KeyboardInterrupt

    sandbox = Sandbox(["sh", "-c", f"sleep 60; : {marker}"])
    monkeypatch.setattr("r1_trl.verifiers.sandbox._read", interrupt)
    signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    with pytest.raises(KeyboardInterrupt):
        sandbox.run()
    assert none_left(marker)


@needs_sandbox
def test_file_descriptors_are_given_back():
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        assert run_python("while True: pass", limits=Limits(seconds=0.1)).outcome == "time limit"
        assert run_python("print(1)").outcome == "ok"
    assert len(os.listdir("/proc/self/fd")) == before


# --- without a sandbox


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="it needs Linux as well")
def test_unsafe_runs_keep_the_limits(monkeypatch, marker, tmp_path):
    monkeypatch.setenv("R1_TRL_SECRET", marker)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for what, source, outcome in LIMITED:
        if what not in ("1 GiB in files", "a stopped process"):
            assert run_python(source, limits=limits_for(outcome), unsafe=True).outcome == outcome, what
    run = run_python("import os; print(os.environ, os.listdir('.'))", unsafe=True)
    assert marker.encode() not in run.stdout
    assert run.stdout.endswith(b" []\n")
    source = f"import os\nif os.fork() == 0: os.execvp('sleep', [{marker!r}, '60'])"
    assert run_python(source, unsafe=True).outcome == "ok"
    assert none_left(marker)
    assert list(tmp_path.iterdir()) == []


# --- where it does not start


@pytest.fixture
def fresh():
    """`check_sandbox` and what it remembers, for this test only."""
    remembered = (check_sandbox, bubblewrap.find_bubblewrap, bubblewrap.supports, bubblewrap._namespaces)
    for function in remembered:
        function.cache_clear()
    yield
    for function in remembered:
        function.cache_clear()


def test_without_bubblewrap(monkeypatch, fresh, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="no `bwrap` on the PATH: apt-get install bubblewrap"):
        check_sandbox()


def test_on_another_system(monkeypatch, fresh):
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(InputError, match=r"needs Linux.*darwin.*virtual machine with Linux"):
        check_sandbox()


def test_on_another_processor(monkeypatch, fresh, tmp_path):
    (tmp_path / "bwrap").write_text("#!/bin/sh\n")
    (tmp_path / "bwrap").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    with pytest.raises(InputError, match=r"x86_64 or aarch64, and this machine is riscv64"):
        check_sandbox()


_APPARMOR = "kernel/apparmor_restrict_unprivileged_userns"
# (what bubblewrap says, settings of the kernel, user id, what to do)
REFUSED = [
    ("bwrap: setting up uid map: Permission denied", {_APPARMOR: "1"}, 1000, "AppArmor"),
    ("bwrap: loopback: Failed RTM_NEWADDR: Operation not permitted", {_APPARMOR: "1"}, 1000, "AppArmor"),
    ("bwrap: No permissions to create new namespace", {"kernel/unprivileged_userns_clone": "0"}, 1000, "sysctl"),
    ("bwrap: Creating new namespace failed", {"user/max_user_namespaces": "0"}, 1000, "max_user_namespaces=15000"),
    ("bwrap: Can't mount proc on /newroot/proc: Operation not permitted", {}, 1000, "systempaths=unconfined"),
    ("bwrap: Creating new namespace failed: Operation not permitted", {_APPARMOR: "1"}, 0, "--cap-add SYS_ADMIN"),
    ("bwrap: Unknown option --perms", {}, 1000, "too old"),
]


@pytest.mark.parametrize(("said", "settings", "uid", "remedy"), REFUSED)
def test_where_bubblewrap_is_not_permitted(monkeypatch, fresh, tmp_path, said, settings, uid, remedy):
    """A bubblewrap that fails as the real one does there."""
    (tmp_path / "bwrap").write_text(f'#!/bin/sh\necho "{said}" >&2\nexit 1\n')
    (tmp_path / "bwrap").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(bubblewrap, "_setting", lambda name: settings.get(name, ""))
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    with pytest.raises(InputError) as refused:
        check_sandbox()
    assert f'"{said}"' in str(refused.value)
    assert remedy in str(refused.value)


# --- the filter, of which only one architecture can run here


def _verdict(program: bytes, architecture: int, number: int, argument: int = 0) -> int:
    """What the kernel would make of a system call."""
    steps = list(struct.iter_unpack("<HBBI", program))
    at, value = 0, 0
    while True:
        code, if_so, if_not, operand = steps[at]
        if code == seccomp._RETURN:
            return operand
        if code == seccomp._LOAD:
            value, skip = {0: number, 4: architecture, 16: argument}[operand], 0
        else:
            holds = {
                seccomp._EQUAL: value == operand,
                seccomp._AT_LEAST: value >= operand,
                seccomp._ANY_BIT: bool(value & operand),
            }
            skip = if_so if holds[code] else if_not
        at += 1 + skip


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_the_filter(machine):
    program = seccomp.filter_program(machine)
    column, own = list(seccomp._ARCHITECTURES).index(machine), seccomp._ARCHITECTURES[machine]
    refuse, missing = seccomp._ERRNO | errno.EPERM, seccomp._ERRNO | errno.ENOSYS
    clone, socket_call = seccomp._CLONE[column], seccomp._SOCKET[column]
    assert {_verdict(program, own, numbers[column]) for numbers in seccomp._REFUSED.values()} == {refuse}
    named = {numbers[column] for numbers in seccomp._REFUSED.values()} | {clone, socket_call, 435}
    assert {_verdict(program, own, number) for number in set(range(470)) - named} == {seccomp._ALLOW}
    assert _verdict(program, own, clone, signal.SIGCHLD) == seccomp._ALLOW
    assert {_verdict(program, own, clone, 1 << bit) for bit in (17, 25, 26, 27, 28, 29, 30)} == {refuse}
    assert _verdict(program, own, 435) == missing
    families = {family for family in range(50) if _verdict(program, own, socket_call, family) == seccomp._ALLOW}
    assert families == {socket.AF_UNIX, socket.AF_INET, socket.AF_INET6}
    assert _verdict(program, 0x40000003, 1) == _verdict(program, own, 0x40000000 + 1) == seccomp._KILL
