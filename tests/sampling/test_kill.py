"""A run of sampling that is killed with -9 ends with the file of one that was left alone, byte for byte."""

import multiprocessing
import signal
import time

import pytest

from r1_trl.sampling.answer_file import read_answers
from tests.sampling import sampling_run


@pytest.fixture(scope="module")
def start():
    """Starts a run in a process that has done nothing before but its imports."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.sampling.sampling_run"])

    def start(file):
        process = context.Process(target=sampling_run.run, args=(str(file),))
        process.start()
        return process

    return start


def kill_at(running, file, size):
    """Kills a run once its file has so many bytes."""
    while running.is_alive():
        if file.exists() and file.stat().st_size > size:
            running.kill()
            break
        time.sleep(0.001)
    running.join()
    return running.exitcode


def test_killed_and_resumed(tmp_path, start):
    alone, killed = tmp_path / "alone.jsonl", tmp_path / "killed.jsonl"
    undisturbed = start(alone)
    undisturbed.join()
    assert undisturbed.exitcode == 0
    size = alone.stat().st_size
    for share in (0, 0.5):
        assert kill_at(start(killed), killed, int(share * size)) == -signal.SIGKILL
        assert killed.stat().st_size < size
    resumed = start(killed)
    resumed.join()
    assert resumed.exitcode == 0
    assert killed.read_bytes() == alone.read_bytes()
    assert len(read_answers(alone)[1]) == sampling_run.QUESTIONS * sampling_run.ANSWERS
