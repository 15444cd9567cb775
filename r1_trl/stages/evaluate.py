"""`r1-trl evaluate`: the paper's protocol on held-out questions, or on one of its benchmarks.

Temperature 0.6, top-p 0.95, k answers to each question [DeepSeek-R1 arXiv v2, D.1]; never greedy, which repeats itself
and varies from checkpoint to checkpoint.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from datasets import Dataset
from trl import ScriptArguments

from r1_trl.completion import parse_completion
from r1_trl.errors import InputError
from r1_trl.evaluation.summary import summarise
from r1_trl.evaluation.table import format_metrics
from r1_trl.files import write_parquet
from r1_trl.rewards import (
    LanguageConsistencyReward,
    accuracy_reward,
    format_reward,
    think_only_format_reward,
)
from r1_trl.sampling.answer_file import remove_answers, sampled_seconds
from r1_trl.sampling.config import SamplingConfig, require_at_least
from r1_trl.sampling.sampler import Sample
from r1_trl.stages.arguments import StageParser, arguments_as_dict
from r1_trl.stages.benchmark import benchmark_name, benchmark_questions, settle_benchmark
from r1_trl.stages.data import check_languages
from r1_trl.stages.models import given_settings
from r1_trl.stages.questions import load_questions, questions_name
from r1_trl.stages.record import hash_rows, write_stage_record
from r1_trl.stages.sampled_cost import sampled_cost
from r1_trl.stages.sampling import (
    SampledModelConfig,
    check_sampling,
    require_one_process,
    sample_questions,
    sampled_model,
)
from r1_trl.tasks.benchmarks import BENCHMARKS, find_benchmark
from r1_trl.tasks.config import R1DatasetMixtureConfig
from r1_trl.tracking.config import TrackingConfig
from r1_trl.tracking.wandb import log_evaluation

ANSWERS = "samples.jsonl"  # while the run lasts
TRACKERS = ("none", "wandb")
LONGEST_ARGS = 10_000  # signs of `verifier_args` that the table of samples keeps; the tests of a program have millions


@dataclass
class EvaluationConfig(SamplingConfig):
    """
    Settings of an evaluation: those of the sampling ([`~sampling.config.SamplingConfig`]), and these.

    Parameters:
        output_dir (`str`, *optional*, defaults to `"runs/evaluation"`): Where `stage.json` and the samples go.
        num_questions (`int`, *optional*): The first so many rows, of a mixture each source's share of them; all by
            default.
        languages (`list[str]`, *optional*): Languages that may occur, see [`~rewards.LanguageConsistencyReward`].
        answer_tags (`bool`, *optional*, defaults to `True`): Whether a well-formed answer has `<answer>` tags; `False`
            for models that write `<think>…</think>` and then text.
        benchmark (`str`, *optional*): `aime_2024`, `aime_2025`, `math_500`, `gpqa_diamond` or `livecodebench`, with
            the paper's k as `num_generations`. `dataset_name` may name a local copy.
        report_to (`str`, *optional*, defaults to `"none"`): `wandb`: the evaluation is a run there, with its metrics
            as summary and its samples as a table.
    """

    output_dir: str = field(default="runs/evaluation", metadata={"help": "Where stage.json and the samples go."})
    num_questions: int | None = field(default=None, metadata={"help": "So many questions; all by default."})
    languages: list[str] | None = field(default=None, metadata={"help": "Languages that may occur; all by default."})
    answer_tags: bool = field(default=True, metadata={"help": "Well-formed answers have <answer> tags."})
    benchmark: str | None = field(
        default=None, metadata={"help": f"A benchmark with the paper's k: {', '.join(BENCHMARKS)}."}
    )
    report_to: str = field(default="none", metadata={"help": "A tracker: none or wandb."})

    def __post_init__(self) -> None:
        super().__post_init__()
        require_at_least(self, 1, "num_questions")
        if self.benchmark is not None:
            find_benchmark(self.benchmark)
        if self.report_to not in TRACKERS:
            raise InputError(f"`report_to: {self.report_to}` must be {' or '.join(TRACKERS)}")


def make_parser() -> StageParser:
    """The parser of `r1-trl evaluate`."""
    summary = "pass@1, cons@k, length, format and language on held-out questions"
    types = [EvaluationConfig, ScriptArguments, SampledModelConfig, R1DatasetMixtureConfig, TrackingConfig]
    return StageParser("evaluate", summary, types)


def main(argv: list[str]) -> None:
    """Runs the stage. Killed at any moment and called again, it goes on; the answers are the same.

    Args:
        argv (`list[str]`): The words after `r1-trl evaluate`.

    Raises:
        InputError: Before any model loads.
    """
    started = time.monotonic()
    require_one_process("evaluate")
    config, script_args, model_args, mixture_args, tracking = make_parser().parse(argv)
    given = given_settings(argv)
    if config.benchmark:
        settle_benchmark(config.benchmark, config, script_args, mixture_args, given)
    model_path = check_sampling(config, model_args, given)
    name, questions = _questions(config, script_args, mixture_args, given)
    check_languages(questions, LanguageConsistencyReward(languages=config.languages))
    output_dir = Path(config.output_dir)
    seconds_before = sampled_seconds(output_dir / ANSWERS)
    samples, opened = sample_questions(questions, config, model_args, model_path, output_dir / ANSWERS)
    table = score_samples(questions, samples, opened, config.languages, config.answer_tags)
    metrics = summarise(table)
    table = without_long_args(table)
    write_parquet(output_dir / "samples.parquet", table)
    sources = {
        "model": sampled_model(config, model_args, model_path),
        "questions": {"name": name, "sha256": hash_rows(questions)},
    }
    arguments = arguments_as_dict(script_args, model_args, mixture_args, tracking, config)
    seconds = time.monotonic() - started
    cost = sampled_cost(samples, seconds_before + seconds, config, model_args, model_path, tracking)
    write_stage_record(config.output_dir, "evaluate", arguments, sources, metrics, seconds, cost)
    print(format_metrics(metrics), flush=True)
    inputs = [model_args.model_name_or_path] if tracking.log_artifacts and model_args.model_name_or_path else []
    log_evaluation(output_dir, "evaluate", metrics, table, [config.report_to], inputs=inputs)
    remove_answers(output_dir / ANSWERS)  # the table has them all


def _questions(
    config: EvaluationConfig,
    script_args: ScriptArguments,
    mixture_args: R1DatasetMixtureConfig,
    given: Collection[str],
) -> tuple[str, Dataset]:
    """The questions, and what to call them."""
    if config.benchmark:
        rows = benchmark_questions(config.benchmark, script_args, mixture_args, config.num_questions, given)
        return benchmark_name(config.benchmark, script_args), rows
    rows = load_questions(script_args, mixture_args, config.num_questions, "evaluate", held_out=True)
    return questions_name(script_args), rows


def without_long_args(table: pd.DataFrame) -> pd.DataFrame:
    """The table for a file: `verifier_args` of more than 10,000 signs would be repeated for every sample.

    >>> kept = without_long_args(pd.DataFrame({"verifier_args": ["{}", "{" * 20_000, None]}))
    >>> kept["verifier_args"].isna().tolist()
    [False, True, True]
    """
    if "verifier_args" not in table:
        return table
    args = table["verifier_args"]
    return table.assign(verifier_args=args.where(args.str.len() <= LONGEST_ARGS))


def score_samples(
    questions: Dataset,
    samples: list[list[Sample]],
    opened: list[bool],
    languages: list[str] | None,
    answer_tags: bool = True,
) -> pd.DataFrame:
    """Judges every sample.

    Args:
        questions ([`~datasets.Dataset`]): Q rows of `prompt`, `solution` and optional columns.
        samples (`list[list[Sample]]`): k answers to each.
        opened (`list[bool]`): Whether each prompt has opened `<think>`.
        languages (`list[str]` or `None`): Languages that may occur.
        answer_tags (`bool`, *optional*, defaults to `True`): Whether a well-formed answer has them.

    Returns:
        `DataFrame`: Q·k rows, the k answers to a question side by side. A column of the dataset that has the name of
            a result is kept as `row_<name>`.
    """
    flat = [sample for answers in samples for sample in answers]  # Q*k
    repeated = {
        name: [value for value, answers in zip(questions[name], samples, strict=True) for _ in answers]
        for name in questions.column_names
    }
    prompts, texts = repeated.pop("prompt"), [sample.completion for sample in flat]
    opened = [flag for flag, answers in zip(opened, samples, strict=True) for _ in answers]
    scored: dict[str, Any] = {"prompts": prompts, "completions": texts, **repeated, "think_opened": opened}
    parsed = [parse_completion(text, think_opened=flag) for text, flag in zip(texts, opened, strict=True)]
    judged = pd.DataFrame(
        {
            "question": [index for index, answers in enumerate(samples) for _ in answers],
            "prompt": _column(prompts),
            "completion": texts,
            "answer": [completion.answer for completion in parsed],
            "correct": accuracy_reward(**scored),
            "well_formed": (format_reward if answer_tags else think_only_format_reward)(**scored),
            "language_consistency": LanguageConsistencyReward(languages=languages)(**scored),
            "num_tokens": [sample.num_tokens for sample in flat],
            "truncated": [sample.truncated for sample in flat],
            "refused": [sample.refusal is not None for sample in flat],
        }
    )
    columns = {name if name not in judged else f"row_{name}": _column(values) for name, values in repeated.items()}
    return judged.assign(**columns)


def _column(values: list[Any]) -> pd.Series:
    """Text as objects, which the answers to a question share; pandas would copy the tests of a program for each."""
    return pd.Series(values, dtype=object if any(isinstance(value, str) for value in values) else None)
