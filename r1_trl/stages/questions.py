"""The questions that a stage samples answers to: one dataset by TRL's arguments, or a mixture of sources."""

from __future__ import annotations

from collections import defaultdict
from itertools import chain, islice

from datasets import Dataset
from trl import ScriptArguments

from r1_trl.errors import InputError
from r1_trl.rewards import accuracy_reward
from r1_trl.stages.data import MIXTURE, DataConfig, check_verifiers, load_rows
from r1_trl.tasks.config import R1DatasetMixtureConfig
from r1_trl.tasks.mixture import split_total
from r1_trl.tasks.sources import check_text, require_columns


def load_questions(
    script_args: ScriptArguments,
    mixture_args: R1DatasetMixtureConfig,
    num_questions: int | None,
    command: str,
    held_out: bool,
    needs_gold: bool = True,
) -> Dataset:
    """Loads the questions with what their verifiers need. A stream is read as far as it is needed.

    Args:
        script_args ([`~trl.ScriptArguments`]): `dataset_name`.
        mixture_args ([`R1DatasetMixtureConfig`]): `datasets`, in place of it.
        num_questions (`int` or `None`): So many, see [`first_of_each`]; `None` takes all.
        command (`str`): Who needs them, for messages.
        held_out (`bool`): The side that training leaves out: what `test_split_size` or a `test_split` holds out, else
            `dataset_test_split`. Otherwise the side to train on.
        needs_gold (`bool`, *optional*, defaults to `True`): Refuse questions none of which a rule can grade.

    Raises:
        InputError: No dataset is named, a column is missing, there is no row, a verifier is unknown, no gold can be
            graded, or the share of each source cannot be told.
    """
    by_split = held_out and mixture_args.test_split_size is None
    split = script_args.dataset_test_split if by_split else script_args.dataset_train_split
    data = DataConfig(script_args.dataset_name, script_args.dataset_config, split, script_args.dataset_streaming)
    name, loaded = load_rows(data, mixture_args, held_out)
    columns = ("prompt", "solution") if needs_gold else ("prompt",)
    require_columns(loaded, columns, name, command)
    check_text(loaded, ("prompt", "solution"), name)
    if not isinstance(loaded, Dataset):
        if num_questions is not None and len(mixture_args.datasets) > 1:
            check_stream(mixture_args, held_out)
        loaded = Dataset.from_list(list(islice(loaded, num_questions)))
    questions = loaded.select(first_of_each(loaded, num_questions, name))
    if len(questions) == 0:
        side = f"`{split}`" if not mixture_args.datasets else "the held-out side" if held_out else "its sources"
        raise InputError(f"dataset `{name}` has no row in {side}")
    check_verifiers(questions, name)
    if needs_gold and not can_grade(questions):
        raise InputError(f"no `solution` of dataset `{name}` can be graded: is it the right column or verifier?")
    return questions


def first_of_each(rows: Dataset, most: int | None, name: str) -> list[int]:
    """Which rows to take of a dataset: the first ones, or of a mixture each source's share of them.

    The sources of a mixture follow one another, so its first rows would be of the first one alone. Each gives as large
    a part of its rows as the others, its first ones; the largest remainders are rounded up.

    Args:
        rows ([`~datasets.Dataset`]): As [`~stages.data.load_rows`] returns it.
        most (`int` or `None`): How many; `None` takes all.
        name (`str`): What it calls them.

    Returns:
        `list[int]`: Indices, in their order.

    >>> rows = Dataset.from_dict({"source": ["a"] * 6 + ["b"] * 3})
    >>> first_of_each(rows, 3, MIXTURE), first_of_each(rows, 3, "rows.jsonl")
    ([0, 1, 6], [0, 1, 2])
    """
    most = len(rows) if most is None else min(most, len(rows))
    if name != MIXTURE or most == len(rows):
        return list(range(most))
    places: dict[str | None, list[int]] = defaultdict(list)
    for index, source in enumerate(rows["source"]):
        places[source].append(index)
    counts = split_total(most, [len(indices) for indices in places.values()])
    return sorted(chain.from_iterable(own[:count] for own, count in zip(places.values(), counts, strict=True)))


def check_stream(mixture: R1DatasetMixtureConfig, held_out: bool) -> None:
    """Refuses to take some rows of several streams of which one follows the other: all would be of the first.

    Args:
        mixture ([`R1DatasetMixtureConfig`]): Its streams are mixed where they have weights.
        held_out (`bool`): What is held out is not mixed.
    """
    if held_out or mixture.datasets[0].weight is None:
        raise InputError(
            "`num_questions` with `streaming`: the streams in `datasets` follow one another, so all questions would "
            "be of the first one. Leave `streaming` out, or take one source"
        )


def can_grade(questions: Dataset) -> bool:
    """Whether a rule can grade at least one of the questions."""
    names = ("solution", "verifier", "verifier_args")
    columns = {name: questions[name] for name in names if name in questions.column_names}
    return any(score is not None for score in accuracy_reward([""] * len(questions), **columns))


def questions_name(script_args: ScriptArguments) -> str:
    """What to call the questions in a record."""
    return script_args.dataset_name or MIXTURE
