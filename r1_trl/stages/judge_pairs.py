"""`r1-trl data judge-pairs`: pairs for the helpful reward model, judged by an LLM or by a rule (paper, section 3)."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from datasets import Dataset, IterableDataset

from r1_trl.completion import prompt_text
from r1_trl.errors import InputError
from r1_trl.files import write_json
from r1_trl.preference.judge import read_template, read_verdict
from r1_trl.preference.pairs import Pair, Vote, draw_votes, find_pairs, format_funnel, judged_row
from r1_trl.sampling.answer_file import read_answers, run_path
from r1_trl.sampling.openai import OpenAISampler, check_openai
from r1_trl.sampling.run import hash_prompts, sample_to_file
from r1_trl.stages.arguments import StageParser, arguments_as_dict
from r1_trl.stages.data import DataConfig, load_rows
from r1_trl.stages.judge_config import JudgePairsConfig
from r1_trl.stages.questions import first_of_each
from r1_trl.stages.record import hash_rows, write_stage_record
from r1_trl.stages.sampling import require_one_process
from r1_trl.tasks.config import R1DatasetMixtureConfig
from r1_trl.tasks.row_files import write_rows
from r1_trl.tasks.sources import require_columns
from r1_trl.verifiers import import_callable

Scores: TypeAlias = tuple[float, float] | None  # of answers A and B; None without a verdict


def make_parser() -> StageParser:
    """The parser of `r1-trl data judge-pairs`."""
    summary = "pairs of a better and a worse answer, by a judge"
    return StageParser("data judge-pairs", summary, [JudgePairsConfig, DataConfig, R1DatasetMixtureConfig])


def main(argv: list[str]) -> None:
    """Runs the command.

    Args:
        argv (`list[str]`): The words after `r1-trl data judge-pairs`.

    Raises:
        InputError: Before any judge is asked; or no server answers.
    """
    started = time.monotonic()
    require_one_process("data judge-pairs")
    config, data, mixture = make_parser().parse(argv)
    judge = make_judge(config)
    name, dataset = load_rows(data, mixture)
    dataset = check_rows(dataset, config, name)
    responses = load_responses(dataset, config, name)
    pairs, funnel = collect_pairs(config, dataset, responses)
    votes = draw_votes(pairs, config.num_votes, config.seed)
    scores = judge([str(prompt_text(dataset[pair.row]["prompt"])) for pair in pairs], pairs, votes) if votes else []
    rows, judged = keep_pairs(config, dataset, responses, pairs, votes, scores)
    folder = Path(config.output_dir)
    write_rows(folder / "pairs.jsonl", rows)
    write_json(folder / "funnel.json", funnel | judged)
    inputs = {"prompts": {"name": name, "sha256": hash_rows(dataset)}}
    arguments = arguments_as_dict(config, data, mixture)
    seconds = time.monotonic() - started
    write_stage_record(config.output_dir, "data judge-pairs", arguments, inputs, funnel | judged, seconds)
    print(format_funnel(funnel | judged))


def check_rows(dataset: Dataset | IterableDataset, config: JudgePairsConfig, name: str) -> Dataset:
    """The rows with the prompts; a stream is read to its end.

    Raises:
        InputError: A column is missing, or there is no row.
    """
    columns = ["prompt"] if config.samples_file else ["prompt", config.responses_column]
    require_columns(dataset, columns, name, "judge-pairs")
    rows = dataset if isinstance(dataset, Dataset) else Dataset.from_list(list(dataset))
    if len(rows) == 0:
        raise InputError(f"dataset `{name}` has no row")
    return rows


def load_responses(dataset: Dataset, config: JudgePairsConfig, name: str) -> list[list[Any]]:
    """The candidates of each row.

    Raises:
        InputError: The column holds no lists, or the file of samples is missing or answers other prompts.
    """
    if config.samples_file is not None:
        return read_samples(Path(config.samples_file), dataset, name)
    responses = list(dataset[config.responses_column])
    for row, candidates in enumerate(responses):
        if not isinstance(candidates, list) or not all(isinstance(one, str | list) for one in candidates):
            raise InputError(
                f"dataset `{name}`, column `{config.responses_column}`, row {row}: must be a list of texts or of "
                f"conversations, not {candidates!r:.80}"
            )
    return responses


def read_samples(path: Path, dataset: Dataset, name: str) -> list[list[str]]:
    """The answers of a `samples.jsonl` by prompt.

    Args:
        path (`Path`): The file, whose run may have sampled some prompts only (`num_questions`).
        dataset ([`~datasets.Dataset`]): Q rows with `prompt`.
        name (`str`): What [`~stages.data.load_rows`] calls them.

    Raises:
        InputError: There is no such file, or it answers other prompts.
    """
    if not path.is_file():
        raise InputError(f"`samples_file: {path}`: no such file")
    answers = read_answers(path)[1]
    count = max((question for question, _ in answers), default=-1) + 1
    run = run_path(path)
    settings = json.loads(run.read_text(encoding="utf-8"))["settings"] if run.is_file() else {}
    sampled = first_of_each(dataset, count, name)
    prompts = list(dataset.select(sampled)["prompt"])
    if count > len(prompts) or settings.get("prompts") not in (None, hash_prompts(prompts)):
        raise InputError(f"`samples_file: {path}` answers other prompts than those named, or is not finished")
    grouped: list[list[str]] = [[] for _ in range(len(dataset))]
    for (question, _), sample in sorted(answers.items()):
        grouped[sampled[question]].append(sample.completion)
    return grouped


def collect_pairs(
    config: JudgePairsConfig, dataset: Dataset, responses: Sequence[Sequence[Any]]
) -> tuple[list[Pair], dict[str, int]]:
    """The pairs to judge, and how many prompts gave one."""
    opened = dataset["think_opened"] if "think_opened" in dataset.column_names else [None] * len(dataset)
    pairs: list[Pair] = []
    several = 0
    for row, (prompt, candidates, flag) in enumerate(zip(dataset["prompt"], responses, opened, strict=True)):
        different, found = find_pairs(
            row,
            prompt,
            candidates,
            config.scores,
            config.max_length_ratio,
            config.pairs_per_prompt,
            config.seed,
            flag,
        )
        several += different > 1
        pairs += found
    funnel = {
        "prompts": len(dataset),
        "prompts with different answers": several,
        "prompts with a comparable pair": len({pair.row for pair in pairs}),
        "pairs": len(pairs),
    }
    return pairs, funnel


def make_judge(config: JudgePairsConfig) -> Callable[[list[str], list[Pair], list[Vote]], list[Scores]]:
    """The judge that the settings name: takes the pairs' questions, the pairs and V votes, returns V scores.

    Raises:
        InputError: There is no such function or prompt, or an extra is missing.
    """
    if config.judge_function:
        rule = import_callable(config.judge_function, "judge")
        return lambda questions, pairs, votes: [
            rule(questions[vote.pair], *_in_order(pairs[vote.pair], vote)) for vote in votes
        ]
    template = read_template(config.judge_prompt_file)
    check_openai()

    def ask(questions: list[str], pairs: list[Pair], votes: list[Vote]) -> list[Scores]:
        prompts = []
        for vote in votes:
            first, second = _in_order(pairs[vote.pair], vote)
            text = template.substitute(question=questions[vote.pair], answer_a=first, answer_b=second)
            prompts.append([{"role": "user", "content": text}])
        settings: dict[str, Any] = {
            name: getattr(config, f"judge_{name}")
            for name in ("model", "max_completion_length", "temperature", "top_p", "extra_body")
        }
        fingerprint = {"seed": config.seed, **settings, "prompts": hash_prompts(prompts)}
        sampler = OpenAISampler(
            config.judge_base_url or [],
            api_key_env=config.judge_api_key_env,
            max_concurrent_requests=config.judge_max_concurrent_requests,
            request_timeout=config.judge_request_timeout,
            server_timeout=config.judge_server_timeout,
            **settings,
        )
        path = Path(config.output_dir) / "votes.jsonl"
        replies = sample_to_file(sampler, prompts, 1, path, fingerprint, config.seed, desc="judging")
        return [None if reply.truncated else read_verdict(reply.completion) for (reply,) in replies]

    return ask


def _in_order(pair: Pair, vote: Vote) -> tuple[str, str]:
    first, second = pair.answers
    return (second, first) if vote.swapped else (first, second)


def keep_pairs(
    config: JudgePairsConfig,
    dataset: Dataset,
    responses: Sequence[Sequence[Any]],
    pairs: Sequence[Pair],
    votes: Sequence[Vote],
    scores: Sequence[Scores],
) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """The rows of the pairs that the judge tells apart, and how many there are after each step."""
    by_pair: list[list[Scores]] = [[] for _ in pairs]
    for vote, score in zip(votes, scores, strict=True):
        by_pair[vote.pair].append((score[1], score[0]) if score is not None and vote.swapped else score)
    name = config.judge_function or config.judge_model
    rows, readable = [], 0
    for pair, given in zip(pairs, by_pair, strict=True):
        whole = [score for score in given if score is not None]
        if len(whole) < config.num_votes:
            continue
        readable += 1
        source = dataset[pair.row]
        row = judged_row(pair, whole, config.min_margin, source["prompt"], responses[pair.row])
        if row is not None:
            rows.append({**row, "judge": name, "source": source.get("source")})
    funnel = {
        "votes": len(votes),
        "votes without a verdict": sum(score is None for score in scores),
        "pairs with all votes": readable,
        f"pairs kept (margin > {config.min_margin:g})": len(rows),
    }
    return rows, funnel
