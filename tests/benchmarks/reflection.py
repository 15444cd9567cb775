"""`python -m tests.benchmarks.reflection`: CPU time of the reflection metrics a step, and their share of one.

Two steps: 512 completions of 6,500 characters alone, the paper's 32 x 16 at the length of a small run, and a real step
of the miniature's GRPO (256 completions), with the time of all that is logged there beside TRL's own metrics.
"""

from __future__ import annotations

import json
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from r1_trl.tracking.reflection import ReflectionWords, changed_answer, count_words

ROUNDS = 5
CHARACTERS = 6500
SENTENCE = "so we add the two numbers and get the sum of both which gives 47 then 12 + 35 = 47 . wait but check"
CHINESE = "我们来计算这两个数的和，得到四十七。等等，重新检查一下。"


def completions(number: int, seed: int = 0) -> list[str]:
    """Reasoning of 6,500 characters, every fourth in Chinese, with reflective words and stated answers."""
    rng = random.Random(seed)
    texts = []
    for i in range(number):
        if i % 4 == 3:
            text = "".join(rng.choices(CHINESE, k=CHARACTERS)) + "答案是47。等等，不对。"
        else:
            text = " ".join(rng.choices(SENTENCE.split(), k=CHARACTERS // 4)) + " the answer is 47 . wait , check ."
        texts.append(text[-CHARACTERS:])
    return texts


def milliseconds() -> float:
    words = ReflectionWords()
    rounds = []
    for seed in range(ROUNDS):
        texts = completions(512, seed)
        started = time.process_time()  # one thread; others on the machine do not count
        for text in texts:
            count_words(text)
            changed_answer(text, "48", words.find(text))
        rounds.append(1000 * (time.process_time() - started))
    return statistics.median(rounds)


MINIATURE = """
import sys, time
from r1_trl.cli import main
from r1_trl.grpo.metrics import RolloutMetrics
spent = 0.0
original = RolloutMetrics._observe
def observe(self, *args):
    global spent
    started = time.perf_counter()
    original(self, *args)
    spent += time.perf_counter() - started
RolloutMetrics._observe = observe
code = main(sys.argv[1:])
print("spent", spent)
sys.exit(code)
"""


def miniature(steps: int) -> dict[str, float]:
    """A real run of the recipe: its median step, and what is spent on pass@1, reflection and columns in one."""
    with tempfile.TemporaryDirectory() as folder:
        flags = ["--output_dir", folder, "--model_name_or_path", "miniature:base", "--max_steps", str(steps)]
        flags += ["--report_to", "none", "--eval_strategy", "no", "--eval_on_start", "false", "--logging_steps", "1"]
        flags += ["--save_strategy", "no"]
        command = ["grpo", "--config", "recipes/miniature_cpu/grpo.yaml", *flags]
        done = subprocess.run([sys.executable, "-c", MINIATURE, *command], capture_output=True, text=True, check=True)
        logs = json.loads((Path(folder) / "trainer_state.json").read_text())["log_history"]
    step = statistics.median(log["step_time"] for log in logs if "step_time" in log)
    spent = float(done.stdout.rpartition("spent ")[2]) / steps
    return {"step_seconds": step, "metrics_seconds": spent, "share": spent / step}


def main() -> None:
    result = {
        "512 completions of 6,500 characters": {"milliseconds": milliseconds()},
        "miniature, 256 completions": miniature(steps=10),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
    }
    print(json.dumps(result, indent=2))
    Path(__file__).with_suffix(".json").write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
