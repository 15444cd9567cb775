"""The worker pool: verdicts from processes that can be killed.

Stands between the rewards and the verifiers. A verifier hands a stranger's text to large libraries, and no time-out
inside a process ends what C code does: only a kill does, and only the kernel caps memory.

What the standard library and others give, and where they stop: `concurrent.futures` and loky cannot end one overdue
task; pebble can, but after every kill its worker imports again what it needs (half a second for sympy), under `spawn`
it imports the caller's `__main__` as well (a training script without a guard would train again), and it outlives a
parent that is killed. So the processes here are our own; framing, waiting and the handing over of sockets are
multiprocessing's.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence

from r1_trl.verifiers.pool.dispatcher import Batch, Dispatcher
from r1_trl.verifiers.pool.task import Outcome, Task


class WorkerPool:
    """Judges batches of tasks in processes that are killed when they are overdue.

    Any number of threads may call [`WorkerPool.map`] at once. The processes start with the first call, and end with
    this process even when that is killed. In a process that is forked from this one, new ones start.

    Args:
        workers (`int`, *optional*):
            Number of processes. Defaults to the CPU cores that this process may use, divided among the ranks of this
            machine.
        deadline (`float`, *optional*, defaults to `5.0`):
            Seconds for each task that brings no deadline of its own.
        memory_mb (`int`, *optional*, defaults to `2048`):
            Address space of each worker in MiB. A task that wants more is `False`.

    >>> with WorkerPool(workers=1) as pool:
    ...     [outcome.verdict for outcome in pool.map([Task("math", "4", "4"), Task("math", "5", "4")])]
    [True, False]
    """

    def __init__(self, workers: int | None = None, deadline: float = 5.0, memory_mb: int = 2048) -> None:
        self.workers = _available_workers() if workers is None else workers
        self.deadline = deadline
        self.memory_mb = memory_mb
        self._forget()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forget)

    def _forget(self) -> None:
        self._lock = threading.Lock()
        self._dispatcher: Dispatcher | None = None

    def __enter__(self) -> WorkerPool:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def map(self, tasks: Sequence[Task]) -> list[Outcome]:
        """Judges tasks; the outcomes have their order.

        Raises:
            `RuntimeError`: A verifier raised an error; its traceback is in the message. Or no process can be started.
        """
        batch = Batch(tasks)
        if tasks:
            self._submit(batch)
            try:
                batch.done.wait()
            except BaseException:
                batch.fail("the caller has gone")  # what is left of it is skipped
                raise
        if batch.error is not None:
            raise RuntimeError(batch.error)
        return [outcome for outcome in batch.outcomes if outcome is not None]

    def _submit(self, batch: Batch) -> None:
        with self._lock:
            if self._dispatcher is None or not self._dispatcher.submit(batch):
                self._dispatcher = Dispatcher(self.workers, self.deadline, self.memory_mb)
                self._dispatcher.start()
                self._dispatcher.submit(batch)

    def close(self) -> None:
        """Ends the processes; whoever still waits gets an error. A later [`WorkerPool.map`] starts new ones."""
        with self._lock:
            dispatcher, self._dispatcher = self._dispatcher, None
        if dispatcher is not None:
            dispatcher.close()


def _available_workers() -> int:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))
