"""Runs a program that nobody has read: confined by bubblewrap, and within limits.

Stands below the code verifier. One sandbox serves one program and all its tests, because to start one costs as much as
a test does. Its process 1 is a shell that we wrote (`sandbox_shell.py`). For each run it starts the command as a fresh
process, reports how that ended, and looks whether a process or a file was left behind; if so, the next run gets a new
sandbox.

What enters the sandbox is the program, the input of a test, and nothing that the program must not know. What comes out
are pipes: a hostile program may forge the shell's reports, and gains an exit code by it.

Nothing touches the disk: files go in through memory. Nothing outlives this process: the kernel kills bubblewrap with
it (`--die-with-parent`), and the sandbox with bubblewrap. The program starts only when the shell has said that it is
ready and was then told to go on, so a kill while bubblewrap is still starting leaves no program behind.
"""

from __future__ import annotations

import contextlib
import math
import os
import re
import select
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

from r1_trl.errors import InputError
from r1_trl.verifiers import bubblewrap
from r1_trl.verifiers.sandbox_shell import START_SECONDS, SandboxShell, read_waiting

__all__ = ["START_SECONDS", "Limits", "Run", "Sandbox", "check_sandbox"]

Outcome = Literal["ok", "time limit", "memory limit", "output limit", "crashed"]
# Isolated from environment and user, without site-packages, so that a verdict depends on the standard library alone.
PYTHON_FLAGS = ("-I", "-S")
_CHUNK, _STDERR_BYTES, _REPORT_BYTES = 65536, 4096, 64
_OUT_OF_MEMORY = (b"MemoryError", b"std::bad_alloc", b"Cannot allocate memory", b"virtual memory exhausted")


@dataclass(frozen=True)
class Limits:
    """What one run may use.

    Args:
        seconds (`float`, *optional*, defaults to `4.0`): Wall-clock time; each process may compute a second longer.
        memory_mb (`int`, *optional*, defaults to `512`): Address space of each process in MiB.
        processes (`int`, *optional*, defaults to `8`): Processes and threads at a time.
        file_mb (`int`, *optional*, defaults to `16`): Size of a file, and of the whole of `/tmp`, in MiB.
        output_kb (`int`, *optional*, defaults to `1024`): What it may print in KiB, errors included.
    """

    seconds: float = 4.0
    memory_mb: int = 512
    processes: int = 8
    file_mb: int = 16
    output_kb: int = 1024


@dataclass(frozen=True)
class Run:
    """How a run ended.

    Args:
        stdout (`bytes`): What it printed.
        stderr (`bytes`): The last 4 KiB of its errors.
        exit_code (`int` or `None`): 128 + n after signal n; `None` where it was killed for a limit.
        seconds (`float`): Wall-clock time, without the start of the sandbox.
        outcome (`str`): `"ok"` after exit code 0, otherwise what went wrong, as far as it shows.
    """

    stdout: bytes
    stderr: bytes
    exit_code: int | None
    seconds: float
    outcome: Outcome


class Sandbox:
    """Runs one command any number of times, each time as if it were the first.

    The command finds its files in `../program`, read-only, and may write to its working directory, which is empty at
    first. It sees of the system what programs and compilers need; no user's files, no network, no other process, and
    of the environment PATH, HOME and LANG.

    Args:
        command (`Sequence[str]`):
            Program and arguments.
        files (`Mapping[str, bytes]`, *optional*):
            Names and contents of its files.
        limits (`Limits`, *optional*):
            What each run may use.
        unsafe (`bool`, *optional*, defaults to `False`):
            Without bubblewrap: the program may do whatever the user may. The limits hold, except for the number of
            processes and the total size of files. A process that it moves to another session stays.

    >>> with Sandbox(["cat", "-", "../program/end.txt"], {"end.txt": b"!"}) as sandbox:
    ...     sandbox.run(b"Hi").stdout, sandbox.run(b"Ho").stdout
    (b'Hi!', b'Ho!')
    """

    def __init__(
        self,
        command: Sequence[str],
        files: Mapping[str, bytes] | None = None,
        limits: Limits | None = None,
        unsafe: bool = False,
    ) -> None:
        self.command = list(command)
        self.files = dict(files or {})
        self.limits = limits or Limits()
        self.unsafe = unsafe
        self._shell: SandboxShell | None = None

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def run(self, stdin: bytes = b"") -> Run:
        """Runs the command once, with this as its input.

        Raises:
            [`~r1_trl.errors.InputError`]: No sandbox starts here.
        """
        if self._shell is None:
            self._shell = SandboxShell(self.command, self.files, self.limits, self.unsafe)
        watch = _Watch(self._shell, self.limits, stdin)
        try:
            run = watch.follow()
        except BaseException:
            self.close()
            raise
        if self.unsafe or not watch.clean:
            self.close()
        return run

    def close(self) -> None:
        """Kills whatever is left."""
        shell, self._shell = self._shell, None
        if shell is not None:
            shell.close()


class _Watch:
    """Follows one run: feeds it, reads it, and ends it at the limits that the kernel does not keep."""

    def __init__(self, shell: SandboxShell, limits: Limits, stdin: bytes) -> None:
        self.shell = shell
        self.limits = limits
        self.unfed = memoryview(stdin)
        self.stdout, self.stderr, self.report = bytearray(), bytearray(), bytearray()
        self.printed = 0
        self.clean = False  # whether the sandbox can serve once more

    def follow(self) -> Run:
        start = time.monotonic()
        stopped = self._until_it_ends(start + self.limits.seconds)
        seconds = time.monotonic() - start
        if stopped is None:
            for fd in (self.shell.stdout, self.shell.stderr):
                self._take(fd, read_waiting(fd, self.limits.output_kb * 1024))
            if self._printed_too_much():
                stopped = "output limit"
        report = re.fullmatch(rb"(\d{1,3}) (\w*)\n", self.report)
        code = int(report[1]) if report and stopped is None else None
        self.clean = code is not None and report is not None and not report[2]
        return Run(bytes(self.stdout), bytes(self.stderr), code, seconds, stopped or self._outcome(code))

    def _until_it_ends(self, deadline: float) -> Outcome | None:
        """Returns why it must be killed; `None` when it has ended by itself."""
        feed = self.shell.open_stdin()
        poll = select.poll()
        try:
            for fd in (self.shell.stdout, self.shell.stderr, self.shell.reports):
                poll.register(fd, select.POLLIN)
            poll.register(feed, select.POLLOUT)
            self.shell.order()
            while not self.report.endswith(b"\n"):
                if (left := deadline - time.monotonic()) <= 0:
                    return "time limit"
                for fd, _ in poll.poll(math.ceil(left * 1000)):
                    if fd == feed:
                        if self._feed(fd):
                            poll.unregister(fd)
                            os.close(fd)
                            feed = -1
                    elif (chunk := _read(fd)) is not None and not self._take(fd, chunk):
                        poll.unregister(fd)
                        if fd == self.shell.reports:
                            return "crashed"
                if self._printed_too_much():
                    return "output limit"
            return None
        except (BrokenPipeError, BlockingIOError):  # the shell takes no order
            return "crashed"
        finally:
            if feed >= 0:
                os.close(feed)

    def _feed(self, fd: int) -> bool:
        """Writes as much as fits. Returns whether all is written."""
        with contextlib.suppress(BlockingIOError):  # the program itself has filled it since the poll
            self.unfed = self.unfed[os.write(fd, self.unfed[:_CHUNK]) :] if self.unfed else self.unfed
        return not self.unfed

    def _take(self, fd: int, chunk: bytes) -> bool:
        if fd == self.shell.reports:
            self.report += chunk
            del self.report[_REPORT_BYTES:]
            return bool(chunk) and len(self.report) < _REPORT_BYTES
        self.printed += len(chunk)
        if fd == self.shell.stdout:
            self.stdout += chunk
        else:
            self.stderr = (self.stderr + chunk)[-_STDERR_BYTES:]
        return bool(chunk)

    def _printed_too_much(self) -> bool:
        return self.printed > self.limits.output_kb * 1024

    def _outcome(self, code: int | None) -> Outcome:
        if code == 0:
            return "ok"
        return "memory limit" if any(sign in self.stderr for sign in _OUT_OF_MEMORY) else "crashed"


def _read(fd: int) -> bytes | None:
    """What is there; `None` if the program has read it itself since the poll."""
    try:
        return os.read(fd, _CHUNK)
    except BlockingIOError:
        return None


@cache
def check_sandbox() -> None:
    """Tries the sandbox once.

    Raises:
        [`~r1_trl.errors.InputError`]: It does not start here; the message says what to do.
    """
    python = [bubblewrap.python_path(), *PYTHON_FLAGS, "-c", "print(6 * 7)"]
    with Sandbox(python) as sandbox:
        run = sandbox.run()
    if run.stdout != b"42\n":
        raise InputError(
            f"the Python of this environment, {python[0]}, does not run in the sandbox ({run.outcome}): "
            f"{run.stderr.decode(errors='replace').strip()}"
        )
