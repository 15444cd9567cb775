"""A whole run of sampling: N answers to each question, into a file, with a progress bar."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

from r1_trl.errors import InputError
from r1_trl.sampling.answer_file import AnswerFile, remove_answers
from r1_trl.sampling.sampler import ExactSampler, Prompt, Request, Sample, Sampler, answer_seed

logger = logging.getLogger(__name__)


def sample_to_file(
    sampler: Sampler,
    prompts: Sequence[Prompt],
    num_generations: int,
    path: str | Path,
    fingerprint: Mapping[str, Any],
    seed: int,
    desc: str = "sampling",
) -> list[list[Sample]]:
    """Samples what is missing in a file of answers, and reads all of it.

    Kill it at any moment and call it again with the same arguments: it goes on without a duplicate or a gap. Answers
    that a server has refused are told at the end, and are not asked for again.

    Args:
        sampler ([`Sampler`]): Any backend.
        prompts (`Sequence`): Q texts or conversations.
        num_generations (`int`): k, answers to each.
        path (`str` or `Path`): The file, see [`~r1_trl.sampling.answer_file.AnswerFile`].
        fingerprint (`Mapping`): What the answers depend on; a file with another one is refused.
        seed (`int`): Of the run, see [`answer_seed`].
        desc (`str`, *optional*, defaults to `"sampling"`): Of the progress bar.

    Returns:
        `list[list[Sample]]`: Q lists of k answers.

    Raises:
        InputError: The file is another run's, is damaged, or is in use; or every answer was refused, and then it is
            deleted.
    """
    wanted = [(question, number) for question in range(len(prompts)) for number in range(num_generations)]
    with AnswerFile(Path(path), fingerprint, isinstance(sampler, ExactSampler)) as file:
        missing = [key for key in wanted if key not in file.answers]
        if isinstance(sampler, ExactSampler) and file.state is not None:
            sampler.restore(file.state)
        requests = [Request(prompts[question], answer_seed(seed, question, number)) for question, number in missing]
        done, tokens, started = len(wanted) - len(missing), 0, time.monotonic()
        with tqdm(total=len(wanted), initial=done, unit="answer", desc=desc) as bar:
            for index, answer in sampler.sample(requests) if requests else ():
                state = sampler.state if isinstance(sampler, ExactSampler) else None
                file.append(missing[index], answer, state)
                tokens += answer.num_tokens
                if state is not None or not isinstance(sampler, ExactSampler):  # a batch comes at once
                    bar.set_postfix_str(f"{tokens / (time.monotonic() - started):,.0f} tokens/s", refresh=False)
                    bar.update(len(file.answers) - bar.n)
        samples = _in_order(file, len(prompts), num_generations)
    try:
        tell_refusals(samples)
    except InputError:
        remove_answers(Path(path))  # there is nothing in it, and the server may be mended
        raise
    return samples


def tell_refusals(samples: Sequence[Sequence[Sample]]) -> None:
    """Warns of the answers that a server has refused.

    Args:
        samples (`Sequence[Sequence[Sample]]`): Q lists of answers.

    Raises:
        InputError: All of them are refused.

    >>> tell_refusals([[Sample("", 0, True, refusal="too long")]])
    Traceback (most recent call last):
    r1_trl.errors.InputError: the server refuses every request, the first one with: too long
    """
    refusals = [(question, answer.refusal) for question, answers in enumerate(samples) for answer in answers]
    refused = [(question, words) for question, words in refusals if words is not None]
    if not refused:
        return
    if len(refused) == len(refusals):
        raise InputError(f"the server refuses every request, the first one with: {refused[0][1]}")
    questions = sorted({question for question, _ in refused})
    shown = ", ".join(map(str, questions[:10])) + (", ..." if len(questions) > 10 else "")
    logger.warning(
        "%d of %d answers were refused by the server and count as empty: those to the questions with the index %s. "
        "The first refusal: %s",
        len(refused),
        len(refusals),
        shown,
        refused[0][1],
    )


def read_finished(
    path: str | Path, fingerprint: Mapping[str, Any], num_questions: int, num_generations: int
) -> list[list[Sample]] | None:
    """The answers of a run that is complete; `None` where there is no file, or some are missing.

    Args:
        path, fingerprint, num_generations: See [`sample_to_file`].
        num_questions (`int`): Q.

    Raises:
        InputError: The file is another run's, is damaged, or is in use.
    """
    if not Path(path).exists():
        return None
    with AnswerFile(Path(path), fingerprint, exact=False) as file:
        if len(file.answers) != num_questions * num_generations:
            return None
        samples = _in_order(file, num_questions, num_generations)
    tell_refusals(samples)
    return samples


def _in_order(file: AnswerFile, num_questions: int, num_generations: int) -> list[list[Sample]]:
    numbers = range(num_generations)
    return [[file.answers[question, number] for number in numbers] for question in range(num_questions)]


def hash_prompts(prompts: Sequence[Prompt]) -> str:
    """SHA-256 of prompts in their order, for a fingerprint.

    >>> hash_prompts(["2 + 2"])[:8]
    'd2aba05c'
    """
    text = json.dumps(prompts, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()
