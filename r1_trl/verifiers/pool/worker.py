"""The processes that judge: one that has imported everything and forks, and the workers that it forks.

`WorkerPool` starts the first by `subprocess`, so that it inherits no start method of multiprocessing, no `__main__`
and no lock of a threaded trainer. A replaced worker is a fork, ready in milliseconds instead of the half second that
the imports take. Nothing but JSON travels: in comes a task, out goes a verdict.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import signal
import sys
import traceback
from multiprocessing import reduction
from multiprocessing.connection import Connection
from typing import Any

from r1_trl.verifiers import get_verifier
from r1_trl.verifiers.pool.task import read_args
from r1_trl.verifiers.reason import take_reason

_PR_SET_PDEATHSIG = 1


def main(control_fd: int, parent: int) -> None:
    """Forks one worker for each order that comes in, until the parent goes away.

    Args:
        control_fd (`int`): A socket to the pool. An order is a JSON object, followed by the worker's own socket.
        parent (`int`): Process id of the pool.
    """
    _die_with(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    workers: dict[int, int] = {}  # slot -> process id
    control = Connection(control_fd)
    while True:
        try:
            order = json.loads(control.recv_bytes())
            fd = reduction.recv_handle(control)
        except (EOFError, OSError):
            break
        _end(workers.pop(order["slot"], None))
        for name in order["preload"]:
            with contextlib.suppress(ImportError):  # the worker tries again, and tells
                get_verifier(name)
        forking = os.getpid()
        pid = os.fork()
        if pid == 0:
            control.close()
            _die_with(forking)
            _work(Connection(fd), order["memory_bytes"])
            os._exit(0)
        workers[order["slot"]] = pid
        os.close(fd)
    for pid in workers.values():
        _end(pid)


def _die_with(parent: int) -> None:
    """Has the kernel end this process with its parent, whatever either is doing. Elsewhere than on Linux, an idle
    process notices that its socket is closed, and a busy one when it is done."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)


def _end(pid: int | None) -> None:
    # Only this process reaps its workers, so the number cannot belong to a stranger.
    if pid is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _work(connection: Connection, memory_bytes: int) -> None:
    # The soft limit: what a verifier starts may set its own, up to the hard one.
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, resource.getrlimit(resource.RLIMIT_AS)[1]))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(EOFError, OSError):  # the pool has closed
        connection.send_bytes(b'{"ready": true}')
        while True:
            message = json.loads(connection.recv_bytes())
            _follow(message["directory"], message["path"])
            connection.send_bytes(json.dumps(_judge(*message["task"])).encode())


def _follow(directory: str, path: list[str]) -> None:
    """Stands where the trainer stands, so that a dotted path means the same here."""
    if sys.path != path:
        sys.path[:] = path
    if os.getcwd() != directory:
        os.chdir(directory)


def _judge(name: str, answer: str, solution: str, args_json: str | None) -> dict[str, Any]:
    """One verdict and its reason, or the traceback of a bug."""
    try:
        args = read_args(args_json)
    except ValueError as error:
        return {"verdict": None, "reason": str(error)}
    try:
        verify = get_verifier(name)
        take_reason()
        try:
            verdict = _checked(verify(answer, solution, args), name)
        except MemoryError:
            return {"verdict": False, "reason": "out of memory"}
        except RecursionError:
            return {"verdict": False, "reason": "nested too deeply"}
    except Exception:  # noqa: BLE001  # a bug: the pool raises it in the caller's thread
        return {"error": traceback.format_exc()}
    return {"verdict": verdict, "reason": take_reason()}


def _checked(verdict: Any, name: str) -> bool | float | None:
    """The verdict as JSON knows it. numpy's numbers and truth values count."""
    if verdict is None or isinstance(verdict, bool):
        return verdict
    if type(verdict).__name__ in ("bool", "bool_"):
        return bool(verdict)
    try:
        share = float(verdict)
    except (TypeError, ValueError):
        share = -1.0
    if isinstance(verdict, str) or not 0 <= share <= 1:
        raise TypeError(f"verifier {name!r} must return True, False, None or a share from 0 to 1, got {verdict!r}")
    return share
