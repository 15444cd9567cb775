"""Local copies of the benchmarks with invented rows: the columns, files and types are those of the real ones."""

import base64
import json
import pickle
import zlib
from pathlib import Path

import pandas as pd

AIME_2024 = [
    {
        "id": 7,
        "problem": "How many sides has a square?",
        "solution": "Count them.",
        "answer": "004",
        "url": "-",
        "year": "2024",
    },
    {
        "id": 8,
        "problem": "What is $5 \\cdot 5$?",
        "solution": "So it is $25$.",
        "answer": "025",
        "url": "-",
        "year": "2024",
    },
]
AIME_2025 = [{"problem": "What is $2^{6}$?", "answer": "64", "id": "0"}]
MATH_500 = [
    {
        "problem": "Expand $(x+1)^2$.",
        "solution": "We get $\\boxed{x^2+2x+1}$.",
        "answer": "x^2+2x+1",
        "subject": "Algebra",
        "level": 2,
        "unique_id": "test/algebra/1.json",
    },
    {
        "problem": "What is a half of $1$?",
        "solution": "It is $\\boxed{\\frac{1}{2}}$.",
        "answer": "\\frac{1}{2}",
        "subject": "Prealgebra",
        "level": 1,
        "unique_id": "test/prealgebra/2.json",
    },
]
GPQA = [
    {
        "Record ID": f"rec{number}",
        "Question": f"Which of these is number {number}?\n",
        "Correct Answer": f"number {number}",
        "Incorrect Answer 1": "\nnone",
        "Incorrect Answer 2": "all",
        "Incorrect Answer 3": "some",
        "High-level domain": "Physics",
        "Explanation": "It says so.",
    }
    for number in range(20)
]


def packed(tests):
    """As in the field `private_test_cases`."""
    return base64.b64encode(zlib.compress(pickle.dumps(json.dumps(tests)))).decode()


def code_question(**changes):
    """A question of LiveCodeBench: print the double of a number."""
    tests = [{"input": f"{number}\n", "output": f"{2 * number}\n", "testtype": "stdin"} for number in (2, 5)]
    return {
        "question_title": "Double",
        "question_content": "Print the double of a number.",
        "platform": "atcoder",
        "question_id": "double_a",
        "contest_id": "double",
        "contest_date": "2024-08-03T00:00:00",
        "starter_code": "",
        "difficulty": "easy",
        "public_test_cases": json.dumps(tests[:1]),
        "private_test_cases": packed(tests[1:]),
        "metadata": "{}",
        **changes,
    }


_CALL = {"input": "[1, 2]\n3", "output": "6", "testtype": "functional"}
LIVECODEBENCH = [
    code_question(),
    code_question(
        question_content="Add a number to a sum.",
        contest_date="2025-01-31T23:00:00",
        platform="leetcode",
        difficulty="hard",
        starter_code="class Solution:\n    def total(self, numbers: List[int], more: int) -> int:\n        ",
        public_test_cases=json.dumps([_CALL]),
        private_test_cases=packed([{**_CALL, "input": "[]\n0", "output": "0"}]),
        metadata='{"func_name": "total"}',
    ),
    code_question(question_id="too_early", contest_date="2024-07-31T00:00:00"),
    code_question(question_id="too_late", contest_date="2025-02-01T00:00:00"),
]


def lines(path: Path, rows) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")


def write_copies(folder: Path) -> dict[str, Path]:
    """Folders as a download of the Hub leaves them, by the benchmark's name."""
    folders = {name: folder / name for name in ("aime_2024", "aime_2025", "math_500", "gpqa_diamond", "livecodebench")}
    (folders["aime_2024"] / "data").mkdir(parents=True)
    pd.DataFrame(AIME_2024).to_parquet(folders["aime_2024"] / "data" / "train-00000-of-00001.parquet")
    lines(folders["aime_2025"] / "test.jsonl", AIME_2025)
    lines(folders["math_500"] / "test.jsonl", MATH_500)
    folders["gpqa_diamond"].mkdir()
    pd.DataFrame(GPQA).to_csv(folders["gpqa_diamond"] / "gpqa_diamond.csv", index=False)
    for other in ("gpqa_main", "gpqa_experts"):
        pd.DataFrame([{"Question": "not of this set"}]).to_csv(folders["gpqa_diamond"] / f"{other}.csv", index=False)
    lines(folders["livecodebench"] / "test.jsonl", LIVECODEBENCH[2:])
    lines(folders["livecodebench"] / "test5.jsonl", LIVECODEBENCH[:2])
    (folders["livecodebench"] / "code_generation_lite.py").write_text("raise SystemExit('a loader is never run')")
    return folders
