"""A started sandbox: its process 1, a shell, and the pipes to it. `r1_trl.verifiers.sandbox` says what for."""

from __future__ import annotations

import contextlib
import math
import os
import platform
import re
import select
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

from r1_trl.verifiers import bubblewrap
from r1_trl.verifiers.seccomp import filter_program

if TYPE_CHECKING:
    from r1_trl.verifiers.sandbox import Limits

START_SECONDS = 10.0  # a start takes some 10 ms
# A thread's stack has the size of the main one, so more would leave no room for threads.
_STACK_KB, _OPEN_FILES = 64 * 1024, 64
_PIPE_BYTES = 2**20  # more than what a user may let a pipe hold, at the kernel's default

# The shell's own input and output carry orders and reports. Each run opens its pipes anew, since a program that makes
# them non-blocking would do so for all. Nothing here but the command starts a process.
_SCRIPT = """
ulimit -c 0 && ulimit -t {cpu} && ulimit -v {memory} && ulimit -f {blocks} && ulimit -n {files} || exit
{{ ulimit -s {stack}; }} 2>/dev/null
{processes}
echo ready
while read -r _; do
  "$@" </proc/self/fd/{stdin} >/proc/self/fd/{stdout} 2>/proc/self/fd/2
  code=$? left=
  kill -0 -1 2>/dev/null && left=process
  for file in /tmp/* /tmp/.[!.]* /tmp/..?*; do
    if [ -e "$file" ] || [ -L "$file" ]; then left=file; fi
  done
  echo "$code $left"
done
"""


class SandboxShell:
    """Starts the shell. Each order makes it run its command once.

    Args:
        command (`Sequence[str]`): Program and arguments.
        files (`Mapping[str, bytes]`): Names and contents of the files in `../program`.
        limits (`Limits`): Those that the kernel keeps are set here; time and output are the caller's to watch.
        unsafe (`bool`): Without bubblewrap.

    Raises:
        [`~r1_trl.errors.InputError`]: It does not start.
    """

    def __init__(self, command: Sequence[str], files: Mapping[str, bytes], limits: Limits, unsafe: bool) -> None:
        self._unsafe = unsafe
        with contextlib.ExitStack() as cleanup:
            self._stdin_inside, writing = _pipe()
            os.close(writing)  # `open_stdin` makes a new one for each run, whose program sees where its input ends
            cleanup.callback(os.close, self._stdin_inside)
            # Opened once more, since what is inside may be made to block there.
            self._stdin = os.open(f"/proc/self/fd/{self._stdin_inside}", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            cleanup.callback(os.close, self._stdin)
            self.stdout, self._stdout_inside = _pipe()
            cleanup.callback(os.close, self.stdout)
            cleanup.callback(os.close, self._stdout_inside)
            shell = ["sh", "-c", self._script(limits), "sh"]
            if unsafe:
                self._process = self._start_unconfined(shell, list(command), files, cleanup)
            else:
                self._process = self._start(shell, list(command), files, limits.file_mb * 2**20)
            cleanup.callback(self._kill)
            self.stderr, self.reports = self._ours(self._process.stderr), self._ours(self._process.stdout)
            os.fchmod(self.stderr, 0o666)
            self._await_ready()
            self._cleanup = cleanup.pop_all()

    def close(self) -> None:
        """Kills the sandbox and all in it."""
        self._cleanup.close()

    def order(self) -> None:
        """Has the command run. A line of its exit code, and of what it left behind, is the answer in `reports`."""
        os.write(self._ours(self._process.stdin), b"\n")

    def open_stdin(self) -> int:
        """A writing end of the command's input; before, what the last run left unread is thrown away."""
        read_waiting(self._stdin, _PIPE_BYTES)
        return os.open(f"/proc/self/fd/{self._stdin}", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)

    def _script(self, limits: Limits) -> str:
        # `ulimit -u` is bash's, `-p` dash's. Kernels before 5.14 count all the user's processes, in and out of here.
        counted = bubblewrap.is_real_root() or _kernel() >= (5, 14)
        number = limits.processes + (not bubblewrap.is_real_root())  # the user's shell is one of them
        processes = f"{{ ulimit -u {number} || ulimit -p {number} || exit; }} 2>/dev/null"
        return _SCRIPT.format(
            cpu=math.ceil(limits.seconds) + 1,
            memory=limits.memory_mb * 1024,
            blocks=limits.file_mb * 2048,
            files=_OPEN_FILES,
            stack=_STACK_KB,
            processes=processes if counted and not self._unsafe else "",
            stdin=self._stdin_inside,
            stdout=self._stdout_inside,
        )

    def _start(
        self, shell: list[str], command: list[str], files: Mapping[str, bytes], scratch_bytes: int
    ) -> subprocess.Popen[bytes]:
        system_calls = bubblewrap.system_call_filter(filter_program())
        with contextlib.ExitStack() as stack:
            fds = {name: _in_memory(content, stack) for name, content in files.items()}
            filter_fd = _in_memory(system_calls, stack)
            line = bubblewrap.confined([*shell, *bubblewrap.stranger(), *command], fds, filter_fd, scratch_bytes)
            return self._popen(line, "/", "/tmp", [filter_fd, *fds.values()])

    def _start_unconfined(
        self, shell: list[str], command: list[str], files: Mapping[str, bytes], cleanup: contextlib.ExitStack
    ) -> subprocess.Popen[bytes]:
        folder = Path(tempfile.mkdtemp(prefix="r1-trl-"))
        cleanup.callback(shutil.rmtree, folder, ignore_errors=True)
        for name in ("tmp", "program"):
            (folder / name).mkdir()
        for name, content in files.items():
            (folder / "program" / name).write_bytes(content)
            (folder / "program" / name).chmod(0o555)
        line = [*bubblewrap.END_WITH_PARENT, *shell, *bubblewrap.END_WITH_PARENT, *command]
        return self._popen(line, str(folder / "tmp"), str(folder / "tmp"), [])

    def _popen(self, line: list[str], directory: str, home: str, fds: list[int]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            line,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            pass_fds=[self._stdin_inside, self._stdout_inside, *fds],
            cwd=directory,
            env={"PATH": bubblewrap.PATH, "HOME": home, "LANG": "C.UTF-8"},
            start_new_session=True,
        )

    def _await_ready(self) -> None:
        """The program must not start before it is certain to end with this process; only then comes an order."""
        deadline = time.monotonic() + START_SECONDS
        report = b""
        poll = select.poll()
        poll.register(self.reports, select.POLLIN)
        while not report.endswith(b"\n"):
            in_time = poll.poll(max(0, deadline - time.monotonic()) * 1000)
            chunk = os.read(self.reports, 64) if in_time else b""
            if not chunk:
                late = "" if in_time else f"not ready after {START_SECONDS:g} seconds; "
                raise bubblewrap.explain(late + read_waiting(self.stderr, 4096).decode(errors="replace"))
            report += chunk

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            # not yet waited for, so the number is still its own
            os.killpg(self._process.pid, signal.SIGKILL) if self._unsafe else self._process.kill()
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            cast(IO[bytes], stream).close()
        self._process.wait()

    @staticmethod
    def _ours(stream: IO[bytes] | None) -> int:
        fd = cast(IO[bytes], stream).fileno()
        os.set_blocking(fd, False)
        return fd


def read_waiting(fd: int, limit: int) -> bytes:
    """What lies in a pipe, up to a limit or a little more."""
    found = b""
    with contextlib.suppress(BlockingIOError):
        while len(found) <= limit and (chunk := os.read(fd, 65536)):
            found += chunk
    return found


def _pipe() -> tuple[int, int]:
    # The program may be another user, and may open its own pipes by their names, such as /dev/stdin.
    pipe = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    os.fchmod(pipe[0], 0o666)
    return pipe


def _in_memory(content: bytes, stack: contextlib.ExitStack) -> int:
    fd = os.memfd_create("r1-trl", os.MFD_CLOEXEC)
    stack.callback(os.close, fd)
    with open(fd, "wb", closefd=False) as file:
        file.write(content)
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def _kernel() -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", platform.release())[:2])
