"""Writes the cold-start rows: sums of reasoning-gym, answered at once or worked out, in R1's format.

    python recipes/smollm2_135m_cpu/make_cold_start.py

The questions are of the split `train`, which shares none with `test`. Six of ten answers are given at once, as a model
does that has not learned to reason; the others go step by step.
"""

import argparse
import json
import random
import re
from pathlib import Path

import yaml

from r1_trl.tasks.generated import load_generated

RECIPE = Path(__file__).parent
SHARES = {"at_once": 0.6, "worked": 0.4}
SEED = 1_000_000  # far from those of the questions that GRPO trains on


def think(question: str, kind: str) -> str:
    """The reasoning that leads to a sum.

    >>> print(think("Calculate 12 + 30 + 2.", "worked"))
    12 + 30 = 42
    42 + 2 = 44
    >>> think("Calculate 12 + 30 + 2.", "at_once")
    'It is 44.'
    """
    total, *rest = map(int, re.findall(r"\d+", question))
    lines = []
    for number in rest:
        lines.append(f"{total} + {number} = {total + number}")
        total += number
    return f"It is {total}." if kind == "at_once" else "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("runs/smollm2_135m_cpu/cold_start.jsonl"))
    parser.add_argument("--rows", type=int, default=768)
    args = parser.parse_args()
    source = yaml.safe_load((RECIPE / "grpo.yaml").read_text())["datasets"][0]
    questions = load_generated(source["path"], "train", {**source["reasoning_gym"], "seed": SEED, "size": args.rows})
    random_ = random.Random(0)
    args.output.parent.mkdir(parents=True, exist_ok=True)
    with args.output.open("w", encoding="utf-8") as file:
        for row in questions:
            [kind] = random_.choices(list(SHARES), weights=list(SHARES.values()))
            reasoning = think(row["prompt"][-1]["content"], kind)
            text = f"<think>\n{reasoning}\n</think>\n<answer>{row['solution']}</answer>"
            completion = [{"role": "assistant", "content": text}]
            file.write(json.dumps({"prompt": row["prompt"], "completion": completion, "kind": kind}) + "\n")
    print(f"{args.output}: {args.rows} rows")


if __name__ == "__main__":
    main()
