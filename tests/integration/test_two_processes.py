"""Two processes take the same first step as one, from the same completions, and replace the reference alike."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
import torch

SCRIPT = Path(__file__).with_name("two_processes.py")


def launch(folder, kind, processes):
    port = str(random.randint(20_000, 60_000))
    several = ["-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2", "--main_process_port", port]
    command = [sys.executable, *(several if processes == 2 else []), str(SCRIPT), str(folder), kind, str(processes)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=200)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.parametrize("kind", ["full", "lora", "skip"])
def test_gradient_is_that_of_one_process(tmp_path, kind):
    launch(tmp_path, kind, 1)
    launch(tmp_path, kind, 2)
    alone, first, second = (torch.load(tmp_path / f"gradient_{name}.pt") for name in ("1_0", "2_0", "2_1"))
    assert alone.keys() == first.keys() == second.keys()
    assert all(first[name].equal(second[name]) for name in first)  # the ranks agree
    difference = sum((first[name] - alone[name]).square().sum() for name in alone).sqrt()
    norm = sum(alone[name].square().sum() for name in alone).sqrt()
    assert norm > 0
    assert difference <= 1e-5 * norm
    if kind != "skip":
        pairs = [torch.load(tmp_path / f"reference_2_{rank}.pt") for rank in (0, 1)]
        assert all(policy.equal(reference) for policy, reference in pairs[0])  # replaced at the last step
        assert all(a.equal(b) for (_, a), (_, b) in zip(*pairs, strict=True))  # on both ranks alike
    else:
        logs = torch.load(tmp_path / "logs_2.pt")
        assert all(entry["skipped_completions"] > 0.2 for entry in logs)
