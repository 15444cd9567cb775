"""The benchmarks of the paper that can be graded by rules: where they lie, how they ask, and who judges.

Source: DeepSeek-R1 arXiv v2, appendix D.1 (k for each); v1, section 3 (the months of LiveCodeBench, and that GPQA is
asked as simple-evals does). The instruction for mathematics is the one that R1's model card recommends. Revisions are
pinned, so that the same command asks the same questions in a year.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from r1_trl.errors import InputError, did_you_mean
from r1_trl.tasks.benchmark_rows import choice_row, code_row, math_row


@dataclass(frozen=True)
class Benchmark:
    """One benchmark.

    Args:
        path (`str`): Its id on the Hub.
        revision (`str`): Commit there.
        split (`str`): The split that it is.
        num_generations (`int`): The paper's k.
        verifier (`str`): Who judges.
        columns (`dict[str, str]`): What `make_row` needs -> the column that holds it.
        make_row (`Callable`): From these to `question`, `solution` and more; raises `BadRowError` for a damaged row.
        optional (`dict[str, str]`): Columns that are kept where they are there, likewise.
        config (`str`, *optional*): Configuration on the Hub.
        files (`tuple[str, ...]`): The files to read, where a loader or other sets lie beside them.
        local_files (`str`): The pattern for them in a local folder.
        months (`tuple[str, str]`, *optional*): First and last month of the column `date`.
    """

    path: str
    revision: str
    split: str
    num_generations: int
    verifier: str
    columns: dict[str, str]
    make_row: Callable[[Mapping[str, Any]], dict[str, Any]]
    optional: dict[str, str] = field(default_factory=dict)
    config: str | None = None
    files: tuple[str, ...] = ()
    local_files: str = ""
    months: tuple[str, str] | None = None


_PROBLEMS = {"question": "problem", "solution": "answer"}

BENCHMARKS = {
    "aime_2024": Benchmark(
        path="HuggingFaceH4/aime_2024",
        revision="2fe88a2f1091d5048c0f36abc874fb997b3dd99a",
        split="train",
        num_generations=64,
        verifier="math",
        columns=_PROBLEMS,
        make_row=math_row,
    ),
    "aime_2025": Benchmark(
        path="math-ai/aime25",
        revision="563bb8404243c5f09de6ec262f2db674fe5bce9b",
        split="test",
        num_generations=64,
        verifier="math",
        columns=_PROBLEMS,
        make_row=math_row,
    ),
    "math_500": Benchmark(
        path="HuggingFaceH4/MATH-500",
        revision="6e4ed1a2a79af7d8630a6b768ec859cb5af4d3be",
        split="test",
        num_generations=16,
        verifier="math",
        columns=_PROBLEMS,
        make_row=math_row,
        optional={"difficulty": "level", "subject": "subject"},
    ),
    "gpqa_diamond": Benchmark(
        path="Idavidrein/gpqa",
        revision="633f5ee89ab8ad4522a9f850766b73f62147ffdd",
        split="train",
        num_generations=64,
        verifier="choice",
        columns={
            "question": "Question",
            "right": "Correct Answer",
            **{f"wrong_{number}": f"Incorrect Answer {number}" for number in (1, 2, 3)},
        },
        make_row=choice_row,
        optional={"subject": "High-level domain"},
        config="gpqa_diamond",
        local_files="gpqa_diamond*.*",
    ),
    "livecodebench": Benchmark(
        path="livecodebench/code_generation_lite",
        revision="0fe84c3912ea0c4d4a78037083943e8f0c4dd505",
        split="train",
        num_generations=8,
        verifier="code",
        columns={
            "question": "question_content",
            "starter_code": "starter_code",
            "public_tests": "public_test_cases",
            "private_tests": "private_test_cases",
            "metadata": "metadata",
            "date": "contest_date",
        },
        make_row=code_row,
        optional={"difficulty": "difficulty", "subject": "platform"},
        files=("test4.jsonl", "test5.jsonl"),  # contests until September 2024, and until January 2025
        local_files="test*.jsonl",
        months=("2024-08", "2025-01"),
    ),
}


def find_benchmark(name: str) -> Benchmark:
    """The benchmark behind a name.

    Raises:
        [`~r1_trl.errors.InputError`]: There is none.

    >>> find_benchmark("aime24")
    Traceback (most recent call last):
    r1_trl.errors.InputError: `benchmark: aime24` is none of aime_2024, aime_2025, math_500, gpqa_diamond, \
livecodebench; did you mean `aime_2024`?
    """
    if name not in BENCHMARKS:
        hint = did_you_mean(name, BENCHMARKS, "`")
        raise InputError(f"`benchmark: {name}` is none of {', '.join(BENCHMARKS)}{hint}")
    return BENCHMARKS[name]
