"""`r1-trl evaluate`: the paper's protocol on held-out questions.

Temperature 0.6, top-p 0.95, k answers to each question [DeepSeek-R1 arXiv v2, D.1]; never greedy, which repeats itself
and varies from checkpoint to checkpoint.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from datasets import Dataset
from trl import ScriptArguments

from r1_trl.completion import parse_completion
from r1_trl.evaluation.metrics import bootstrap_ci95, majority_verdict, pass_at_1
from r1_trl.rewards import LanguageConsistencyReward, accuracy_reward, format_reward
from r1_trl.sampling.answer_file import remove_answers
from r1_trl.sampling.config import SamplingConfig, require_at_least
from r1_trl.sampling.sampler import Sample
from r1_trl.stages.arguments import StageParser, arguments_as_dict
from r1_trl.stages.data import check_languages
from r1_trl.stages.models import given_settings
from r1_trl.stages.questions import load_questions, questions_name
from r1_trl.stages.record import hash_rows, write_stage_record
from r1_trl.stages.sampling import (
    SampledModelConfig,
    check_sampling,
    require_one_process,
    sample_questions,
    sampled_model,
)
from r1_trl.tasks.config import R1DatasetMixtureConfig

ANSWERS = "samples.jsonl"  # while the run lasts


@dataclass
class EvaluationConfig(SamplingConfig):
    """
    Settings of an evaluation: those of the sampling ([`~sampling.config.SamplingConfig`]), and these.

    Parameters:
        output_dir (`str`, *optional*, defaults to `"runs/evaluation"`): Where `stage.json` and the samples go.
        num_questions (`int`, *optional*): The first so many rows, of a mixture each source's share of them; all by
            default.
        languages (`list[str]`, *optional*): Languages that may occur, see [`~rewards.LanguageConsistencyReward`].
    """

    output_dir: str = field(default="runs/evaluation", metadata={"help": "Where stage.json and the samples go."})
    num_questions: int | None = field(default=None, metadata={"help": "So many questions; all by default."})
    languages: list[str] | None = field(default=None, metadata={"help": "Languages that may occur; all by default."})

    def __post_init__(self) -> None:
        super().__post_init__()
        require_at_least(self, 1, "num_questions")


def make_parser() -> StageParser:
    """The parser of `r1-trl evaluate`."""
    summary = "pass@1, cons@k, length, format and language on held-out questions"
    return StageParser(
        "evaluate", summary, [EvaluationConfig, ScriptArguments, SampledModelConfig, R1DatasetMixtureConfig]
    )


def main(argv: list[str]) -> None:
    """Runs the stage. Killed at any moment and called again, it goes on; the answers are the same.

    Args:
        argv (`list[str]`): The words after `r1-trl evaluate`.

    Raises:
        InputError: Before any model loads.
    """
    started = time.monotonic()
    require_one_process("evaluate")
    config, script_args, model_args, mixture_args = make_parser().parse(argv)
    model_path = check_sampling(config, model_args, given_settings(argv))
    questions = load_questions(script_args, mixture_args, config.num_questions, "evaluate", held_out=True)
    check_languages(questions, LanguageConsistencyReward(languages=config.languages))
    output_dir = Path(config.output_dir)
    samples, opened = sample_questions(questions, config, model_args, model_path, output_dir / ANSWERS)
    table = score_samples(questions, samples, opened, config.languages)
    metrics = summarise(table)
    table.to_parquet(output_dir / "samples.parquet")
    inputs = {
        "model": sampled_model(config, model_args, model_path),
        "questions": {"name": questions_name(script_args), "sha256": hash_rows(questions)},
    }
    arguments = arguments_as_dict(script_args, model_args, mixture_args, config)
    write_stage_record(config.output_dir, "evaluate", arguments, inputs, metrics, time.monotonic() - started)
    remove_answers(output_dir / ANSWERS)  # the table has them all
    print(format_metrics(metrics))


def score_samples(
    questions: Dataset, samples: list[list[Sample]], opened: list[bool], languages: list[str] | None
) -> pd.DataFrame:
    """Judges every sample.

    Args:
        questions ([`~datasets.Dataset`]): Q rows of `prompt`, `solution` and optional columns.
        samples (`list[list[Sample]]`): k answers to each.
        opened (`list[bool]`): Whether each prompt has opened `<think>`.
        languages (`list[str]` or `None`): Languages that may occur.

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
            "prompt": prompts,
            "completion": texts,
            "answer": [completion.answer for completion in parsed],
            "correct": accuracy_reward(**scored),
            "well_formed": format_reward(**scored),
            "language_consistency": LanguageConsistencyReward(languages=languages)(**scored),
            "num_tokens": [sample.num_tokens for sample in flat],
            "truncated": [sample.truncated for sample in flat],
            "refused": [sample.refusal is not None for sample in flat],
        }
    )
    columns = {name if name not in judged else f"row_{name}": values for name, values in repeated.items()}
    return judged.assign(**columns)


def summarise(table: pd.DataFrame) -> dict[str, Any]:
    """The numbers of an evaluation. Questions whose gold cannot be graded are counted and left out of pass@1.

    Args:
        table (`DataFrame`): As [`score_samples`] returns it.

    Returns:
        `dict`: `pass@1`, `pass@1_ci95`, `cons@k` and the rest, and under `by_source` the same for each value of the
            column `source`, where there is one.
    """
    metrics = _summarise(table)
    if "source" in table:
        sources = sorted(str(source) for source in table["source"].dropna().unique())
        metrics["by_source"] = {source: _summarise(table[table["source"] == source]) for source in sources}
    return metrics


def _summarise(table: pd.DataFrame) -> dict[str, Any]:
    graded = table[table["correct"].notna()]
    groups = [group for _, group in graded.groupby("question", sort=True)]
    k = int(table.groupby("question").size().max())
    return {
        **_accuracy(groups, k),
        "mean_completion_tokens": round(float(table["num_tokens"].mean()), 2),
        "language_consistency": round(float(table["language_consistency"].mean()), 4),
        "well_formed": round(float(table["well_formed"].mean()), 4),
        "truncated": round(float(table["truncated"].mean()), 4),
        "refused": round(float(table["refused"].mean()), 4),
        "questions": len(groups),
        "ungradable_questions": int(table["question"].nunique() - len(groups)),
        "num_generations": k,
    }


def _accuracy(groups: list[pd.DataFrame], k: int) -> dict[str, Any]:
    if not groups:  # of a source that no rule can grade
        return {"pass@1": None, "pass@1_ci95": None, f"cons@{k}": None}
    verdicts = np.stack([group["correct"].to_numpy(dtype=np.float64) for group in groups])  # (Q, k)
    consensus = [majority_verdict(list(group["answer"]), list(group["correct"])) for group in groups]
    low, high = bootstrap_ci95(verdicts)
    return {
        "pass@1": round(pass_at_1(verdicts), 4),
        "pass@1_ci95": [round(low, 4), round(high, 4)],
        f"cons@{k}": round(float(np.mean(consensus)), 4),
    }


def format_metrics(metrics: dict[str, Any]) -> str:
    """The metrics, one a line, then those of each source.

    >>> print(format_metrics({"pass@1": 0.5, "questions": 8, "by_source": {"gsm8k": {"pass@1": 0.5}}}))
      pass@1                      0.5
      questions                   8
    gsm8k
      pass@1                      0.5
    """
    lines = [f"  {name:<28}{value}" for name, value in metrics.items() if name != "by_source"]
    for source, part in metrics.get("by_source", {}).items():
        lines += [source, format_metrics(part)]
    return "\n".join(lines)
