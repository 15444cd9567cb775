"""Starts and ends the worker processes; the side of the trainer. The other side is `r1_trl.verifiers.pool.worker`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from multiprocessing import Pipe, reduction
from multiprocessing.connection import Connection

_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


class WorkerProcesses:
    """One process that forks workers on demand, each with a socket to here.

    To be used by one thread, and made by it: on Linux the processes end with the thread that made them.

    Args:
        memory_mb (`int`): Address space of each worker in MiB.

    >>> processes = WorkerProcesses(memory_mb=2048)
    >>> connection = processes.start(0, ["math"])
    >>> processes.close()
    """

    def __init__(self, memory_mb: int) -> None:
        self.memory_mb = memory_mb
        self.control, theirs = Pipe()
        code = (
            f"import sys; sys.path[:] = {[entry for entry in sys.path if isinstance(entry, str)]!r}; "
            f"from r1_trl.verifiers.pool.worker import main; main({theirs.fileno()}, {os.getpid()})"
        )
        self._process = subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,  # verifiers print; stderr stays, for their warnings
            pass_fds=[theirs.fileno()],
            env={**os.environ, **_ONE_THREAD},
            start_new_session=True,  # Ctrl-C is for the trainer
        )
        theirs.close()

    def start(self, slot: int, preload: Sequence[str]) -> Connection:
        """Starts the worker of a slot; the one that was there is killed.

        Args:
            slot (`int`): Any number.
            preload (`Sequence[str]`): Names of verifiers that the worker is to have imported.

        Raises:
            `OSError`: The forking process has ended.
        """
        ours, theirs = Pipe()
        order = {"slot": slot, "preload": preload, "memory_bytes": self.memory_mb * 2**20}
        try:
            self.control.send_bytes(json.dumps(order).encode())
            reduction.send_handle(self.control, theirs.fileno(), self._process.pid)
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        return ours

    def close(self) -> None:
        """Ends all of them."""
        self.control.close()
        self._process.kill()
        self._process.wait()
