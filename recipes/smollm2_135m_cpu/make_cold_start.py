"""Writes the cold-start rows: chain sums of reasoning-gym, answered at once or worked out, in R1's format.

    python recipes/smollm2_135m_cpu/make_cold_start.py

The questions are of the split `train`, which shares none with `test`. Seven of ten answers are given at once, as a
model does that has not learned to reason; the others go step by step, and a third of those check a step.
"""

import argparse
import json
import random
from pathlib import Path

import yaml

from r1_trl.tasks.generated import load_generated

RECIPE = Path(__file__).parent
SHARES = {"at_once": 0.7, "worked": 0.2, "checked": 0.1}
SEED = 1_000_000  # far from those of the questions that GRPO trains on


def think(expression: str, kind: str, random_: random.Random) -> str:
    """The reasoning that leads to the value of a chain of additions and subtractions.

    >>> print(think("12 + 30 - 2", "worked", random.Random(0)))
    12 + 30 = 42
    42 - 2 = 40
    >>> think("12 + 30 - 2", "at_once", random.Random(0))
    'It is 40.'
    """
    first, *rest = expression.split()
    total, lines = int(first), []
    steps = list(zip(rest[::2], map(int, rest[1::2]), strict=True))
    checked = random_.randrange(len(steps)) if kind == "checked" else None
    for place, (sign, number) in enumerate(steps):
        result = total + number if sign == "+" else total - number
        if place == checked:
            wrong = result + random_.choice([-10, -1, 1, 10])
            lines += [f"{total} {sign} {number} = {wrong}", "Wait, check that again."]
        lines.append(f"{total} {sign} {number} = {result}")
        total = result
    return f"It is {total}." if kind == "at_once" else "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("runs/smollm2_135m_cpu/cold_start.jsonl"))
    parser.add_argument("--rows", type=int, default=1024)
    args = parser.parse_args()
    source = yaml.safe_load((RECIPE / "grpo.yaml").read_text())["datasets"][0]
    questions = load_generated(source["path"], "train", {**source["reasoning_gym"], "seed": SEED, "size": args.rows})
    random_ = random.Random(0)
    args.output.parent.mkdir(parents=True, exist_ok=True)
    with args.output.open("w", encoding="utf-8") as file:
        for row in questions:
            [kind] = random_.choices(list(SHARES), weights=list(SHARES.values()))
            expression = json.loads(row["verifier_args"])["metadata"]["expression"]
            text = f"<think>\n{think(expression, kind, random_)}\n</think>\n<answer>{row['solution']}</answer>"
            completion = [{"role": "assistant", "content": text}]
            file.write(json.dumps({"prompt": row["prompt"], "completion": completion, "kind": kind}) + "\n")
    print(f"{args.output}: {args.rows} rows")


if __name__ == "__main__":
    main()
