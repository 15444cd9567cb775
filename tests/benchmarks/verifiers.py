"""`make benchmark`: seconds of the accuracy reward beside those of `trl.rewards.accuracy_reward`, in the same run."""

from __future__ import annotations

import json
import math
import os
import platform
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from pathlib import Path

from trl.rewards import accuracy_reward as trl_accuracy_reward

from r1_trl.rewards import AccuracyReward
from r1_trl.verifiers.grading import get_grader
from r1_trl.verifiers.program import PYTHON
from tests.benchmarks.answers import batch, integer_question, symbolic_question

ROUNDS = 3
CASES = {
    # name: (question, questions, answers to each, least ratio)
    "integer, 32 × 16": (integer_question, 32, 16, 5.0),
    "symbolic, 32 × 16": (symbolic_question, 32, 16, 5.0),
    "symbolic, 512 distinct": (symbolic_question, 512, 1, 1.7),
}


def timed(function) -> tuple[float, list[float | None]]:
    start = time.perf_counter()
    result = function()
    return time.perf_counter() - start, result


def compare(make_question, questions: int, answers: int) -> dict[str, float]:
    """The seconds of several rounds of each, each round with answers of its own, after one that is not counted."""
    ours = theirs = 0.0
    for seed in range(ROUNDS + 1):
        completions, golds = batch(make_question, questions, answers, seed)
        messages = [[{"role": "assistant", "content": text}] for text in completions]
        dressed = [f"${gold}$" for gold in golds]
        seconds, expected = timed(partial(trl_accuracy_reward, messages, dressed))
        theirs += seconds if seed else 0.0
        seconds, scores = timed(partial(AccuracyReward(), completions, golds))
        ours += seconds if seed else 0.0
        different = [case for case in zip(completions, golds, scores, expected, strict=True) if case[2] != case[3]]
        assert not different, different
        assert 0.3 < sum(score or 0.0 for score in scores) / len(scores) < 0.7
    return {"r1_trl_seconds": ours, "trl_seconds": theirs, "ratio": theirs / ours}


PROGRAM = """
n = int(input())
seed = {seed}
total = 0
for i in range(1, n + 1):
    if n % i == 0:
        total += i * seed
print(total)
"""


def compare_code() -> dict[str, float]:
    """64 programs with 5 tests each: in the sandbox, and as plain processes of the same Python, as many at a time."""
    inputs = (60, 360, 1000, 5040, 9973)
    ours = plain = 0.0
    with ThreadPoolExecutor(get_grader(None, 5.0, 2048).pool.workers) as threads:
        for round_ in range(ROUNDS + 1):
            programs = [PROGRAM.format(seed=1000 * round_ + i) for i in range(64)]
            runs = [(program, f"{n}\n") for program in programs for n in inputs]
            seconds, outputs = timed(lambda: list(threads.map(run_plainly, *zip(*runs, strict=True))))  # noqa: B023
            plain += seconds if round_ else 0.0
            args = [
                json.dumps({"tests": [{"input": run[1], "output": output} for run, output in part]})
                for part in batched(zip(runs, outputs, strict=True), len(inputs))
            ]
            completions = [f"<think>r</think><answer>```python\n{program}```</answer>" for program in programs]
            seconds, scores = timed(partial(AccuracyReward(), completions, ["-"] * 64, "code", args))
            ours += seconds if round_ else 0.0
            assert scores == [1.0] * 64, scores
    return {"r1_trl_seconds": ours, "unconfined_seconds": plain, "ratio": ours / plain, "most": 1.5}


def run_plainly(program: str, text: str) -> str:
    command = [*PYTHON, "-c", program]  # the interpreter and the flags of the sandbox
    return subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout


def batched(items, size):
    """`itertools.batched` of Python 3.12."""
    items = iter(items)
    return iter(lambda: list(islice(items, size)), [])


def assert_fast(results: dict[str, dict[str, float]]) -> None:
    """The bounds that each case carries."""
    for name, result in results.items():
        assert result.get("least_ratio", 0.0) <= result["ratio"] <= result.get("most", math.inf), name


def main() -> None:
    AccuracyReward()(["<answer>$x+1$</answer>"] * 2, ["x+1", "x+2"])
    results = {}
    for name, (make_question, questions, answers, least) in CASES.items():
        results[name] = compare(make_question, questions, answers) | {"least_ratio": least}
        print(name, {key: round(value, 3) for key, value in results[name].items()}, flush=True)
    results["code, 64 × 5 tests"] = compare_code()
    print("code, 64 × 5 tests", {key: round(value, 3) for key, value in results["code, 64 × 5 tests"].items()})
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    found = {"machine": machine, "workers": get_grader(None, 5.0, 2048).pool.workers, "results": results}
    assert_fast(results)
    Path(__file__).with_suffix(".json").write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
