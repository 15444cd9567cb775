"""`r1-trl evaluate`: the paper's protocol on held-out questions.

Temperature 0.6, top-p 0.95, k answers to each question [DeepSeek-R1 arXiv v2, D.1]; never greedy, which repeats itself
and varies from checkpoint to checkpoint.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase
from trl import ModelConfig, ScriptArguments, get_quantization_config

from r1_trl.completion import parse_completion, think_opened_by
from r1_trl.errors import InputError
from r1_trl.evaluation.metrics import bootstrap_ci95, majority_verdict, pass_at_1
from r1_trl.rewards import LanguageConsistencyReward, accuracy_reward, format_reward
from r1_trl.sampling.transformers import Sample, prompt_to_text, sample_completions
from r1_trl.stages.arguments import StageParser, arguments_as_dict
from r1_trl.stages.data import check_languages, check_verifiers
from r1_trl.stages.models import check_model
from r1_trl.stages.record import hash_model, hash_rows, write_stage_record
from r1_trl.tasks.sources import check_text, load_split, require_columns


@dataclass
class EvaluationConfig:
    """
    Settings of an evaluation. Defaults are those of DeepSeek-R1 [arXiv v2, D.1].

    Parameters:
        output_dir (`str`, *optional*, defaults to `"runs/evaluation"`): Where `stage.json` and the samples go.
        num_questions (`int`, *optional*): The first so many rows; all by default.
        num_generations (`int`, *optional*, defaults to `16`): k, answers to each question.
        temperature (`float`, *optional*, defaults to `0.6`): Of the sampling.
        top_p (`float`, *optional*, defaults to `0.95`): Of the sampling.
        max_completion_length (`int`, *optional*, defaults to `32768`): Tokens.
        per_device_eval_batch_size (`int`, *optional*, defaults to `64`): Completions at once; hardware decides.
        languages (`list[str]`, *optional*): Languages that may occur, see [`~rewards.LanguageConsistencyReward`].
        use_cpu (`bool`, *optional*, defaults to `False`): Leave an accelerator alone.
        seed (`int`, *optional*, defaults to `42`): Of the sampling.
    """

    output_dir: str = field(default="runs/evaluation", metadata={"help": "Where stage.json and the samples go."})
    num_questions: int | None = field(default=None, metadata={"help": "The first so many rows; all by default."})
    num_generations: int = field(default=16, metadata={"help": "k, answers to each question."})
    temperature: float = field(default=0.6, metadata={"help": "Temperature of the sampling."})
    top_p: float = field(default=0.95, metadata={"help": "Nucleus of the sampling."})
    max_completion_length: int = field(default=32768, metadata={"help": "Maximum length in tokens."})
    per_device_eval_batch_size: int = field(default=64, metadata={"help": "Completions at once."})
    languages: list[str] | None = field(default=None, metadata={"help": "Languages that may occur; all by default."})
    use_cpu: bool = field(default=False, metadata={"help": "Leave an accelerator alone."})
    seed: int = field(default=42, metadata={"help": "Seed of the sampling."})

    def __post_init__(self) -> None:
        for name in ("num_generations", "max_completion_length", "per_device_eval_batch_size", "num_questions"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"`{name}: {value}` must be at least 1")
        if self.temperature < 0 or not 0 < self.top_p <= 1:
            raise InputError(
                f"`temperature: {self.temperature}` must not be negative and `top_p: {self.top_p}` must be in (0, 1]"
            )


def make_parser() -> StageParser:
    """The parser of `r1-trl evaluate`."""
    summary = "pass@1, cons@k, length, format and language on held-out questions"
    return StageParser("evaluate", summary, [EvaluationConfig, ScriptArguments, ModelConfig])


def main(argv: list[str]) -> None:
    """Runs the stage.

    Args:
        argv (`list[str]`): The words after `r1-trl evaluate`.

    Raises:
        InputError: Before any model loads.
    """
    started = time.monotonic()
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise InputError("evaluate runs in one process: call `r1-trl evaluate` without `accelerate launch`")
    config, script_args, model_args = make_parser().parse(argv)
    model_path = check_model(model_args, allow_adapter=True)
    questions = load_questions(config, script_args)
    check_languages(questions, LanguageConsistencyReward(languages=config.languages))
    model, tokenizer = load_model(model_path, model_args, config)
    samples = sample_completions(
        model,
        tokenizer,
        questions["prompt"],
        config.num_generations,
        config.max_completion_length,
        config.temperature,
        config.top_p,
        config.per_device_eval_batch_size,
        config.seed,
    )
    opened = think_opened(questions, tokenizer)
    table = score_samples(questions, samples, opened, config.languages)
    metrics = summarise(table)
    Path(config.output_dir).mkdir(parents=True, exist_ok=True)
    table.to_parquet(Path(config.output_dir) / "samples.parquet")
    inputs = {
        "model": {"name": model_args.model_name_or_path, "sha256": hash_model(model_path)},
        "questions": {"name": script_args.dataset_name, "sha256": hash_rows(questions)},
    }
    arguments = arguments_as_dict(script_args, model_args, config)
    write_stage_record(config.output_dir, "evaluate", arguments, inputs, metrics, time.monotonic() - started)
    print(format_metrics(metrics))


def load_questions(config: EvaluationConfig, script_args: ScriptArguments) -> Dataset:
    """The held-out questions, with what their verifiers need.

    Raises:
        InputError: No dataset is named, a column is missing, there is no row, or a verifier is unknown.
    """
    if not script_args.dataset_name:
        raise InputError("`dataset_name` is missing: name the held-out questions")
    loaded = load_split(script_args.dataset_name, script_args.dataset_test_split, script_args.dataset_config)
    require_columns(loaded, ("prompt", "solution"), script_args.dataset_name, "evaluate")
    check_text(loaded, ("prompt", "solution"), script_args.dataset_name)
    questions: Dataset = loaded.select(range(min(config.num_questions or len(loaded), len(loaded))))
    if len(questions) == 0:
        raise InputError(f"dataset `{script_args.dataset_name}` has no row in `{script_args.dataset_test_split}`")
    check_verifiers(questions, script_args.dataset_name)
    columns = {
        name: questions[name] for name in ("solution", "verifier", "verifier_args") if name in loaded.column_names
    }
    if all(score is None for score in accuracy_reward([""] * len(questions), **columns)):
        raise InputError(
            f"no `solution` of dataset `{script_args.dataset_name}` can be graded: is it the right column or verifier?"
        )
    return questions


def load_model(
    path: str, model_args: ModelConfig, config: EvaluationConfig
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Loads the model, or the base with its adapter, and the tokenizer."""
    model = AutoModelForCausalLM.from_pretrained(
        path,
        revision=model_args.model_revision,
        attn_implementation=model_args.attn_implementation,
        dtype=model_args.dtype,
        quantization_config=get_quantization_config(model_args),
        device_map="cpu" if config.use_cpu else "auto",
    )
    return model.eval(), AutoTokenizer.from_pretrained(path, revision=model_args.model_revision)


def think_opened(questions: Dataset, tokenizer: PreTrainedTokenizerBase) -> list[bool]:
    """Whether each prompt ends with `<think>`: by the row's own column, else by the text that the model reads."""
    given = questions["think_opened"] if "think_opened" in questions.column_names else [None] * len(questions)
    return [
        think_opened_by(prompt_to_text(prompt, tokenizer)) if flag is None else bool(flag)
        for flag, prompt in zip(given, questions["prompt"], strict=True)
    ]


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
        }
    )
    columns = {name if name not in judged else f"row_{name}": values for name, values in repeated.items()}
    return judged.assign(**columns)


def summarise(table: pd.DataFrame) -> dict[str, Any]:
    """The numbers of an evaluation. Questions whose gold cannot be graded are counted and left out of pass@1.

    Args:
        table (`DataFrame`): As [`score_samples`] returns it.

    Returns:
        `dict`: `pass@1`, `pass@1_ci95`, `cons@k` and the rest.
    """
    graded = table[table["correct"].notna()]
    groups = [group for _, group in graded.groupby("question", sort=True)]
    k = max(len(group) for group in groups)
    verdicts = np.stack([group["correct"].to_numpy(dtype=np.float64) for group in groups])  # (Q, k)
    consensus = [majority_verdict(list(group["answer"]), list(group["correct"])) for group in groups]
    low, high = bootstrap_ci95(verdicts)
    return {
        "pass@1": round(pass_at_1(verdicts), 4),
        "pass@1_ci95": [round(low, 4), round(high, 4)],
        f"cons@{k}": round(float(np.mean(consensus)), 4),
        "mean_completion_tokens": round(float(table["num_tokens"].mean()), 2),
        "language_consistency": round(float(table["language_consistency"].mean()), 4),
        "well_formed": round(float(table["well_formed"].mean()), 4),
        "truncated": round(float(table["truncated"].mean()), 4),
        "questions": len(groups),
        "ungradable_questions": int(table["question"].nunique() - len(groups)),
        "num_generations": k,
    }


def format_metrics(metrics: dict[str, Any]) -> str:
    """The metrics, one a line.

    >>> print(format_metrics({"pass@1": 0.5, "questions": 8}))
      pass@1                      0.5
      questions                   8
    """
    return "\n".join(f"  {name:<28}{value}" for name, value in metrics.items())
