"""Compares a newly trained base or student with the one in the package, or puts it there.

`make miniature-base` and `make miniature-student` call this at their end. It fails when the new model's pass@1 lies
outside the 95% interval of the shipped evaluation.
"""

import argparse
import json
import shutil
import sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from r1_trl.miniature import resolve_model_path


def ship(trained: Path, evaluation: Path, shipped: Path) -> None:
    """Replaces the shipped model: bfloat16 weights, tokenizer and evaluation."""
    AutoModelForCausalLM.from_pretrained(trained).to(torch.bfloat16).save_pretrained(shipped)
    AutoTokenizer.from_pretrained(trained).save_pretrained(shipped)
    shutil.copy(evaluation, shipped / "evaluation.json")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="with `trained` and `evaluation` in it")
    parser.add_argument("--model", choices=("base", "student"), default="base", help="default: %(default)s")
    parser.add_argument("--ship", action="store_true", help="put the new one into the package")
    args = parser.parse_args()
    folder = Path(resolve_model_path(f"miniature:{args.model}"))
    evaluation = args.folder / "evaluation" / "stage.json"
    if args.ship:
        ship(args.folder / "trained", evaluation, folder)
    new = json.loads(evaluation.read_text())["metrics"]
    shipped = json.loads((folder / "evaluation.json").read_text())["metrics"]
    (low, high), (new_low, new_high) = shipped["pass@1_ci95"], new["pass@1_ci95"]
    print(f"pass@1: shipped {shipped['pass@1']:.3f} ({low:.3f} to {high:.3f}), ", end="")
    print(f"new {new['pass@1']:.3f} ({new_low:.3f} to {new_high:.3f})")
    if not low <= new["pass@1"] <= high:
        sys.exit(f"the new {args.model} is another one: its pass@1 is outside the shipped evaluation's interval")


if __name__ == "__main__":
    main()
