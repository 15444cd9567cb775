"""`r1-trl rejection-sample`: many answers a question, and of those the ones worth training on, as rows for SFT.

sample → verify → judge what no rule can grade → filters → deduplicate → pass-rate window → at most M a question.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from datasets import Dataset
from trl import ScriptArguments

from r1_trl.errors import InputError
from r1_trl.files import write_json
from r1_trl.rejection.candidates import Candidate, make_candidates, pass_rates, verify
from r1_trl.rejection.config import RejectionSamplingConfig
from r1_trl.rejection.filters import answer_filters, apply_filters
from r1_trl.rejection.funnel import format_funnel, make_funnel
from r1_trl.rejection.judge import add_verdicts, judge_prompt, needs_judge, read_verdict
from r1_trl.rejection.rows import sft_rows
from r1_trl.rejection.selection import group_filters, select
from r1_trl.rewards import LanguageConsistencyReward
from r1_trl.sampling.answer_file import sampled_seconds
from r1_trl.sampling.openai import OpenAISampler, check_openai
from r1_trl.sampling.run import hash_prompts, sample_to_file
from r1_trl.sampling.sampler import answer_seed
from r1_trl.stages.arguments import StageParser, arguments_as_dict
from r1_trl.stages.data import check_languages
from r1_trl.stages.models import given_settings
from r1_trl.stages.questions import can_grade, load_questions, questions_name
from r1_trl.stages.record import hash_rows, write_stage_record
from r1_trl.stages.sampled_cost import sampled_cost
from r1_trl.stages.sampling import (
    SampledModelConfig,
    check_sampling,
    require_one_process,
    sample_questions,
    sampled_model,
)
from r1_trl.tasks.config import R1DatasetMixtureConfig
from r1_trl.tasks.row_files import write_rows
from r1_trl.tracking.config import TrackingConfig
from r1_trl.tracking.wandb import open_wandb_run
from r1_trl.tracking.wandb_artifacts import log_lineage
from r1_trl.tracking.wandb_errors import no_error_of_tracking

COMMAND = "rejection-sample"


def make_parser() -> StageParser:
    """The parser of `r1-trl rejection-sample`."""
    summary = "many answers a question, verified and filtered into rows for SFT"
    types = [RejectionSamplingConfig, ScriptArguments, SampledModelConfig, R1DatasetMixtureConfig, TrackingConfig]
    return StageParser(COMMAND, summary, types)


def main(argv: list[str]) -> None:
    """Runs the stage. Killed at any moment and called again, it goes on; with other filters, it samples nothing again.

    Args:
        argv (`list[str]`): The words after `r1-trl rejection-sample`.

    Raises:
        InputError: Before any model loads.
    """
    started = time.monotonic()
    require_one_process(COMMAND)
    config, script_args, model_args, mixture_args, tracking = make_parser().parse(argv)
    model_path = check_sampling(config, model_args, given_settings(argv))
    questions = load_questions(
        script_args, mixture_args, config.num_questions, COMMAND, held_out=False, needs_gold=False
    )
    name = questions_name(script_args)
    check_questions(questions, config, name)
    output_dir = Path(config.output_dir)
    samples_file, judge_file = output_dir / "samples.jsonl", output_dir / "judge.jsonl"
    seconds_before = sampled_seconds(samples_file) + sampled_seconds(judge_file)
    samples, opened = sample_questions(questions, config, model_args, model_path, samples_file)
    candidates = verify(make_candidates(list(questions), samples, opened, config.answer_tags))
    if config.judge_model:
        candidates = judge(candidates, config, judge_file)
    kept, fallen = keep(candidates, config)
    model = sampled_model(config, model_args, model_path)
    seeds = {
        (answer.question, answer.number): config.seed
        if config.sampling_backend == "transformers"
        else answer_seed(config.seed, answer.question, answer.number)
        for answer in kept
    }
    rows = sft_rows(kept, pass_rates(candidates), name, str(model["name"]), seeds)
    write_rows(output_dir / "sft.jsonl", rows)
    write_rows(output_dir / "verdicts.jsonl", verdict_rows(candidates, fallen))
    metrics = summarise(candidates, kept, fallen)
    write_json(output_dir / "funnel.json", metrics)
    inputs = {
        "model": model,
        "questions": {"name": name, "sha256": hash_rows(questions)},
    }
    arguments = arguments_as_dict(script_args, model_args, mixture_args, tracking, config)
    seconds = time.monotonic() - started
    cost = sampled_cost(samples, seconds_before + seconds, config, model_args, model_path, tracking)
    write_stage_record(config.output_dir, COMMAND, arguments, inputs, metrics, seconds, cost)
    report_to = ["wandb"] if tracking.log_artifacts else None
    with no_error_of_tracking("the rows"), open_wandb_run(output_dir, COMMAND, report_to) as run:
        if run is not None:
            run.summary.update(metrics)
            log_lineage(arguments, output_dir / "sft.jsonl")
    print(format_funnel(len(candidates), metrics["funnel"]))
    answered = f"{metrics['questions_kept']} of {metrics['questions']} questions"
    print(f"{output_dir / 'sft.jsonl'}: {len(kept)} answers to {answered}")


def check_questions(questions: Dataset, config: RejectionSamplingConfig, name: str) -> None:
    """Refuses what would keep no answer, before anything is sampled.

    Args:
        questions ([`~datasets.Dataset`]): The questions.
        config ([`RejectionSamplingConfig`]): `judge_model` and `keep_unverified` are read.
        name (`str`): The dataset's name, for the message.

    Raises:
        InputError: Nobody can grade an answer and ungraded ones are not kept; or an extra is missing.
    """
    check_languages(questions, LanguageConsistencyReward(languages=config.languages))
    if config.judge_model:
        check_openai()
    elif not config.keep_unverified and ("solution" not in questions.column_names or not can_grade(questions)):
        raise InputError(
            f"no rule can grade an answer to dataset `{name}`: map its gold to the column `solution`, name a judge "
            "(`judge_base_url`, `judge_model`), or keep answers that nobody has graded (`keep_unverified: true`)"
        )


def judge(candidates: Sequence[Candidate], config: RejectionSamplingConfig, file: Path) -> list[Candidate]:
    """Has the judge grade what no rule could; its answers are kept in a file, and asked for once.

    Args:
        candidates (`Sequence[Candidate]`): After [`verify`].
        config ([`RejectionSamplingConfig`]): The judge.
        file (`Path`): `judge.jsonl`.

    Raises:
        InputError: The file is of another judge or of other answers, or no server answers.
    """
    prompts = [judge_prompt(candidate) for candidate in candidates if needs_judge(candidate)]
    if not prompts:
        return add_verdicts(candidates, [])
    names = ("judge_model", "judge_temperature", "judge_max_completion_length", "seed")
    fingerprint = {"prompts": hash_prompts(prompts), **{name: getattr(config, name) for name in names}}
    sampler = OpenAISampler(
        config.judge_base_url or [],
        str(config.judge_model),
        max_completion_length=config.judge_max_completion_length,
        temperature=config.judge_temperature,
        top_p=1.0,
        api_key_env=config.judge_api_key_env,
        max_concurrent_requests=config.max_concurrent_requests,
        request_timeout=config.request_timeout,
        server_timeout=config.server_timeout,
    )
    answers = sample_to_file(sampler, prompts, 1, file, fingerprint, config.seed, desc="judging")
    return add_verdicts(candidates, [read_verdict(answer) for (answer,) in answers])


def keep(
    candidates: Sequence[Candidate], config: RejectionSamplingConfig
) -> tuple[list[Candidate], dict[str, list[Candidate]]]:
    """Applies all filters.

    Args:
        candidates (`Sequence[Candidate]`): With their verdicts.
        config ([`RejectionSamplingConfig`]): Thresholds.

    Returns:
        `tuple`: What is kept; and by filter, in their order, what fell there.
    """
    filters = answer_filters(config) | group_filters(pass_rates(candidates), config)
    left, fallen = apply_filters(candidates, filters)
    kept = select(left, config.max_per_question, config.selection, config.seed)
    chosen = {(answer.question, answer.number) for answer in kept}
    fallen["max_per_question"] = [answer for answer in left if (answer.question, answer.number) not in chosen]
    return kept, fallen


def verdict_rows(candidates: Sequence[Candidate], fallen: Mapping[str, Sequence[Candidate]]) -> list[dict[str, Any]]:
    """The rows of `verdicts.jsonl`: what became of each answer."""
    places = {(answer.question, answer.number): name for name, group in fallen.items() for answer in group}
    return [
        {
            "question": answer.question,
            "sample": answer.number,
            "answer": answer.parsed.answer,
            "verdict": answer.verdict,
            "reason": answer.reason,
            "problem": answer.parsed.problem,
            "dropped_by": places.get((answer.question, answer.number)),
        }
        for answer in candidates
    ]


def summarise(
    candidates: Sequence[Candidate], kept: Sequence[Candidate], fallen: Mapping[str, Sequence[Candidate]]
) -> dict[str, Any]:
    """The numbers of the run, for `funnel.json` and the record."""
    by_judge = [answer.verdict for answer in candidates if answer.reason == "by the judge"]
    verdicts = {"right": by_judge.count(1.0), "wrong": by_judge.count(0.0), "ungraded": by_judge.count(None)}
    return {
        "sampled": len(candidates),
        "kept": len(kept),
        "questions": len({answer.asks for answer in candidates}),
        "questions_kept": len({answer.asks for answer in kept}),
        "funnel": make_funnel(len(candidates), {name: len(group) for name, group in fallen.items()}),
        **({"judge": verdicts} if by_judge else {}),
    }
