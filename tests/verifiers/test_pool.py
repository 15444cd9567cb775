"""The worker pool: order, deadlines, memory, bugs, threads, forks, and no process left behind."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

from r1_trl.verifiers import pool as pool_module
from r1_trl.verifiers.pool import WorkerPool
from r1_trl.verifiers.pool.processes import WorkerProcesses
from r1_trl.verifiers.pool.task import Outcome, Task


def task(answer, seconds=None):
    return Task("tests.verifiers.misbehaving.verify", answer, "gold", None, seconds)


@pytest.fixture(scope="module")
def pool():
    with WorkerPool(workers=2, deadline=1.0) as workers:
        workers.map([task("right")])
        yield workers


def test_outcomes_keep_their_order(pool):
    answers = ["after 0.3", "right", "wrong", "after 0.1"] + ["right", "wrong"] * 40
    assert [outcome.verdict for outcome in pool.map([task(answer) for answer in answers])] == [
        answer != "wrong" for answer in answers
    ]
    assert pool.map([]) == []


@pytest.mark.parametrize(
    ("answer", "reason", "end"),
    [
        ("sleep", "no verdict in time", "timed out"),
        ("stuck in C", "no verdict in time", "timed out"),
        ("memory", "out of memory", "judged"),
        ("deep", "nested too deeply", "judged"),
        ("crash", "the verifier's process died", "died"),
        ("leave", "the verifier's process died", "died"),
    ],
)
def test_what_an_answer_does_to_its_worker_is_its_own_fault(pool, answer, reason, end):
    answers = ["right"] * 10 + [answer] + ["wrong"] * 10
    start = time.monotonic()
    outcomes = pool.map([task(answer) for answer in answers])
    assert outcomes[10] == Outcome(False, reason, end)
    assert [outcome.verdict for outcome in outcomes[:10] + outcomes[11:]] == [True] * 10 + [False] * 10
    assert time.monotonic() - start < 2


def test_an_overdue_worker_costs_its_deadline_and_little_more(pool):
    start = time.monotonic()
    outcomes = pool.map([task("stuck in C")] * 4 + [task("right")] * 8)
    assert [outcome.end for outcome in outcomes] == ["timed out"] * 4 + ["judged"] * 8
    assert 2.0 <= time.monotonic() - start < 2.8  # 4 of one second on 2 workers


def test_a_task_may_bring_its_own_deadline(pool):
    assert pool.map([task("after 1.5", seconds=5)])[0].verdict is True
    assert pool.map([task("after 0.9", seconds=0.3)])[0].end == "timed out"


@pytest.mark.parametrize(
    ("answer", "message"), [("bug", "ZeroDivisionError"), ("odd verdict", "must return True, False, None .* 'yes'")]
)
def test_a_bug_keeps_its_traceback(pool, answer, message):
    with pytest.raises(RuntimeError, match=f"(?s)misbehaving.verify' failed.*Traceback.*{message}"):
        pool.map([task("right"), task(answer), *[task("after 0.1")] * 20])
    assert pool.map([task("right")]) == [Outcome(True)]


def test_what_a_verifier_prints_stays_out_of_the_way(pool, capfd):
    assert pool.map([task("print")] * 3) == [Outcome(True)] * 3
    assert capfd.readouterr() == ("", "")


def test_several_threads_at_once(pool):
    results = {}

    def work(name):
        answers = [["right", "wrong", "after 0.01"][(name + i) % 3] for i in range(60)]
        results[name] = [outcome.verdict for outcome in pool.map([task(answer) for answer in answers])] == [
            answer != "wrong" for answer in answers
        ]

    threads = [threading.Thread(target=work, args=(name,)) for name in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert results == dict.fromkeys(range(6), True)


def test_the_forking_process_is_replaced_too(pool):
    pool._dispatcher._processes._process.kill()
    time.sleep(0.3)
    assert pool.map([task("right")] * 40) == [Outcome(True)] * 40  # nobody pays for it


def test_a_worker_that_dies_while_it_is_overdue_costs_its_own_answer_only():
    with WorkerPool(workers=1, deadline=0.3) as pool:
        pool.map([task("right")])
        serve = pool._dispatcher._hand_out
        pool._dispatcher._hand_out = lambda: time.sleep(0.5) or serve()  # as if the trainer held the thread back
        outcomes = pool.map([task("leave"), task("right")])
    assert outcomes == [Outcome(False, "the verifier's process died", "died"), Outcome(True)]


def test_no_process_at_all(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with WorkerPool(workers=1) as pool, pytest.raises(RuntimeError, match="/nowhere/python"):
        pool.map([task("right")])


def test_whoever_waits_is_told_that_the_pool_is_closed():
    pool = WorkerPool(workers=1)
    errors = []

    def wait():
        try:
            pool.map([task("sleep"), task("right")])
        except RuntimeError as error:
            errors.append(str(error))

    thread = threading.Thread(target=wait)
    thread.start()
    time.sleep(1.0)
    pool.close()
    thread.join(10)
    assert errors == ["the worker pool was closed"]
    assert pool.map([task("right")]) == [Outcome(True)]  # starts anew
    pool.close()


@pytest.mark.parametrize("dead_before_the_order", [False, True])
def test_a_pool_that_cannot_start_says_so(monkeypatch, dead_before_the_order):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    if dead_before_the_order:
        start = WorkerProcesses.start

        def start_late(self, *order):
            self._process.wait()
            return start(self, *order)

        monkeypatch.setattr(WorkerProcesses, "start", start_late)
    with WorkerPool(workers=1) as pool, pytest.raises(RuntimeError, match="do not start"):
        pool.map([task("right")])


def test_ctrl_c_gives_up_the_batch(pool):
    threading.Timer(0.3, signal.raise_signal, [signal.SIGINT]).start()
    with pytest.raises(KeyboardInterrupt):
        pool.map([task("after 0.2")] * 100)
    start = time.monotonic()
    assert pool.map([task("right")]) == [Outcome(True)]
    assert time.monotonic() - start < 1  # what was handed out ends first, what was queued does not run


def test_workers_are_shared_among_the_ranks_of_a_machine(monkeypatch):
    cores = len(os.sched_getaffinity(0))
    assert WorkerPool().workers == cores
    monkeypatch.setenv("LOCAL_WORLD_SIZE", str(cores))
    assert WorkerPool().workers == 1
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "1000")
    assert pool_module._available_workers() == 1


def grade_in_child(pool, queue):
    queue.put([outcome.verdict for outcome in pool.map([task("right"), task("wrong")])])


def test_in_a_forked_process(pool):
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=grade_in_child, args=(pool, queue))
    child.start()
    assert queue.get(timeout=30) == [True, False]
    child.join(10)
    assert pool.map([task("right")]) == [Outcome(True)]  # the parent's workers are its own


_GRADE = """
    from r1_trl.rewards import accuracy_reward
    print(accuracy_reward(["<answer>4</answer>", "<answer>5</answer>"], ["4", "4"]), flush=True)
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_script_without_a_main_guard_runs_once(tmp_path, method):
    script = tmp_path / "train.py"
    script.write_text(
        f"import multiprocessing; multiprocessing.set_start_method({method!r})\n{textwrap.dedent(_GRADE)}"
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.returncode) == ("[1.0, 0.0]\n", 0), done.stderr


def test_in_a_notebook(tmp_path):
    """A cell runs on the main thread, inside an event loop, in a `__main__` without a file."""
    cell = (
        f"import asyncio\nasync def cell():\n{textwrap.indent(textwrap.dedent(_GRADE), '    ')}\nasyncio.run(cell())"
    )
    done = subprocess.run([sys.executable], input=cell, capture_output=True, text=True, timeout=60, cwd=tmp_path)
    assert done.stdout == "[1.0, 0.0]\n", done.stderr


def _alive(marker):
    """Processes, apart from zombies, that carry this marker in their environment."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if marker.encode() in (process / "environ").read_bytes():
                found.append(int(process.name))
        except OSError:
            continue
    return found


@pytest.mark.parametrize("answers", [["stuck in C"] * 2, ["sleep"] * 2, ["right"] * 2], ids=lambda answers: answers[0])
def test_nothing_outlives_a_parent_that_is_killed(answers):
    marker = f"R1_TRL_TEST={os.getpid()}-{time.monotonic_ns()}"
    code = f"""
import threading
from r1_trl.verifiers.pool import WorkerPool
from r1_trl.verifiers.pool.task import Task
pool = WorkerPool(workers=2)
pool.map([Task("tests.verifiers.misbehaving.verify", "right", "gold")])
tasks = [Task("tests.verifiers.misbehaving.verify", answer, "gold") for answer in {answers!r}]
threading.Timer(0.5, print, ["busy"], dict(flush=True)).start()
pool.map(tasks)
threading.Event().wait()
"""
    name, value = marker.split("=")
    environment = {**os.environ, name: value}
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, env=environment)
    assert parent.stdout.readline() == b"busy\n"
    assert len(_alive(marker)) == 4  # the parent, the forking process and its two workers
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 2
    while _alive(marker) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert _alive(marker) == []
    parent.stdout.close()
