"""The worker pool's thread: hands tasks to the workers, collects verdicts, ends what is overdue."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Sequence
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from typing import cast

from r1_trl.verifiers.pool.processes import WorkerProcesses
from r1_trl.verifiers.pool.task import Outcome, Task

_START_SECONDS = 60.0
_MAX_FAILURES = 3  # starts without a verdict in between


class _DoNotStartError(RuntimeError):
    pass


class Batch:
    """The tasks of one call, and the event that its thread waits for."""

    def __init__(self, tasks: Sequence[Task]) -> None:
        self.tasks = tasks
        self.outcomes: list[Outcome | None] = [None] * len(tasks)
        self.error: str | None = None
        self.done = threading.Event()
        self.tried_again: set[int] = set()
        self._missing = len(tasks)

    def put(self, index: int, outcome: Outcome) -> None:
        """One outcome; the last ends the wait."""
        self.outcomes[index] = outcome
        self._missing -= 1
        if not self._missing:
            self.done.set()

    def fail(self, error: str) -> None:
        """Ends the wait, unless it has ended."""
        if not self.done.is_set():
            self.error = error
            self.done.set()


Job = tuple[Batch, int]  # a batch and the index of one of its tasks


class Worker:
    """One process, and the job that it has."""

    def __init__(self, slot: int, connection: Connection) -> None:
        self.slot = slot
        self.connection = connection
        self.ready = False
        self.job: Job | None = None
        self.overdue_at = time.monotonic() + _START_SECONDS


class Dispatcher(threading.Thread):
    """Owns the processes, from its start to its end.

    Args:
        workers (`int`): Number of processes.
        deadline (`float`): Seconds for each task that brings no deadline of its own.
        memory_mb (`int`): Address space of each worker in MiB.
    """

    def __init__(self, workers: int, deadline: float, memory_mb: int) -> None:
        super().__init__(name="r1-trl verifiers", daemon=True)
        self._deadline = deadline
        self._memory_mb = memory_mb
        self._lock = threading.Lock()
        self._queue: deque[Job] = deque()
        self._closed = False
        self._woken, self._wake = Pipe(duplex=False)
        self._slots = range(workers)
        self._workers: dict[int, Worker] = {}
        self._preload: set[str] = set()
        self._failures = 0
        self._processes: WorkerProcesses | None = None

    def submit(self, batch: Batch) -> bool:
        """Takes a batch; `False` when this thread has come to its end."""
        with self._lock:
            if not self._closed:
                self._queue.extend((batch, index) for index in range(len(batch.tasks)))
                # A dotted path is the user's: it may lie in a directory that only the worker will stand in.
                self._preload |= {task.verifier for task in batch.tasks if "." not in task.verifier}
                self._wake.send_bytes(b"work")
            return not self._closed

    def close(self) -> None:
        """Ends the processes and this thread. Whoever still waits gets an error."""
        with self._lock:
            if not self._closed:
                self._wake.send_bytes(b"close")
        self.join()

    def run(self) -> None:
        """The thread."""
        why = "the worker pool was closed"
        try:
            # Made here: on Linux the processes end with the thread that made them.
            self._processes = WorkerProcesses(self._memory_mb)
            while self._serve():
                pass
        except _DoNotStartError as error:
            why = str(error)
        except BaseException:  # noqa: BLE001  # raised where its result is waited for
            why = traceback.format_exc()
        finally:  # nobody waits forever
            with self._lock:
                self._closed = True
                left = [*self._queue, *(worker.job for worker in self._workers.values() if worker.job)]
            for batch, _ in left:
                batch.fail(why)
            if self._processes is not None:
                self._processes.close()
            for connection in (self._woken, self._wake, *(worker.connection for worker in self._workers.values())):
                connection.close()

    def _serve(self) -> bool:
        """One round: hand out, wait for verdicts or the next deadline, take what has come; `False` at the end."""
        self._hand_out()
        busy = {worker.connection: worker for worker in self._workers.values() if worker.job}
        first = min((worker.overdue_at for worker in busy.values()), default=None)
        seconds = None if first is None else max(0.0, first - time.monotonic())
        for ready in wait([self._woken, *busy], seconds):
            if ready is self._woken:
                if self._woken.recv_bytes() == b"close":
                    return False
            else:
                self._receive(busy[cast(Connection, ready)])
        for worker in busy.values():
            # A verdict that came while this thread did not run is in time.
            if worker.job and time.monotonic() > worker.overdue_at and not worker.connection.poll():
                self._end(worker, Outcome(False, "no verdict in time", "timed out"))
        return True

    def _hand_out(self) -> None:
        """One job to each idle worker. More at once would let a few overdue ones queue up in one worker."""
        for slot in self._slots:
            worker = self._workers.get(slot)
            if not self._queue or (worker is not None and worker.job):
                continue
            if worker is None or _is_gone(worker):
                worker = self._start(slot)
            worker.job = self._next_job()
            if worker.job:
                self._set_deadline(worker)
                batch, index = worker.job
                path = [entry for entry in sys.path if isinstance(entry, str)]
                message = {"directory": os.getcwd(), "path": path, "task": batch.tasks[index][:4]}
                with contextlib.suppress(OSError):  # it has died: its socket tells
                    worker.connection.send_bytes(json.dumps(message).encode())

    def _next_job(self) -> Job | None:
        with self._lock:
            while self._queue:
                job = self._queue.popleft()
                if not job[0].done.is_set():  # else it has failed, or its caller has gone
                    return job
        return None

    def _receive(self, worker: Worker) -> None:
        try:
            answer = json.loads(worker.connection.recv_bytes())
        except (EOFError, OSError):
            self._end(worker, Outcome(False, "the verifier's process died", "died"))
            return
        if "ready" in answer:
            worker.ready = True
            self._set_deadline(worker)
            return
        self._failures = 0
        (batch, index), worker.job = cast(Job, worker.job), None
        if "error" in answer:
            batch.fail(f"verifier {batch.tasks[index].verifier!r} failed; its error:\n{answer['error']}")
        else:
            batch.put(index, Outcome(answer["verdict"], answer["reason"]))

    def _set_deadline(self, worker: Worker) -> None:
        if worker.ready and worker.job:
            batch, index = worker.job
            seconds = batch.tasks[index].seconds
            worker.overdue_at = time.monotonic() + (self._deadline if seconds is None else seconds)

    def _end(self, worker: Worker, outcome: Outcome) -> None:
        """Kills a worker, and starts another in its place. Its job has this outcome, or another try."""
        worker.connection.close()
        (batch, index), worker.job = cast(Job, worker.job), None
        if worker.ready and (outcome.end == "timed out" or index in batch.tried_again):
            batch.put(index, outcome)
        else:
            if worker.ready:  # something else may have ended the process, such as a lack of memory
                batch.tried_again.add(index)
            with self._lock:
                self._queue.appendleft((batch, index))
            if not worker.ready:  # the job is not to blame
                self._count_failed_start()
        self._start(worker.slot)

    def _count_failed_start(self) -> None:
        self._failures += 1
        if self._failures > _MAX_FAILURES:
            raise _DoNotStartError("the verifiers' processes do not start; what they say is on standard error")

    def _start(self, slot: int) -> Worker:
        with self._lock:
            preload = sorted(self._preload)
        processes = cast(WorkerProcesses, self._processes)
        while True:
            try:
                connection = processes.start(slot, preload)
                break
            except OSError:  # the forking process has ended, and the workers with it
                processes.close()
                self._count_failed_start()
                self._processes = processes = WorkerProcesses(self._memory_mb)
        self._workers[slot] = Worker(slot, connection)
        return self._workers[slot]


def _is_gone(worker: Worker) -> bool:
    """Whether an idle worker has died."""
    try:
        while worker.connection.poll():
            worker.connection.recv_bytes()  # that it is ready
            worker.ready = True
    except (EOFError, OSError):
        worker.connection.close()
        return True
    return False
