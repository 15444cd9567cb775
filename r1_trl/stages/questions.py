"""The questions that a stage samples answers to: one dataset by TRL's arguments, or a mixture of sources."""

from __future__ import annotations

from itertools import islice

from datasets import Dataset
from trl import ScriptArguments

from r1_trl.errors import InputError
from r1_trl.rewards import accuracy_reward
from r1_trl.stages.data import MIXTURE, DataConfig, check_verifiers, load_rows
from r1_trl.tasks.config import R1DatasetMixtureConfig
from r1_trl.tasks.sources import check_text, require_columns


def load_questions(
    script_args: ScriptArguments,
    mixture_args: R1DatasetMixtureConfig,
    split: str,
    num_questions: int | None,
    command: str,
    needs_gold: bool = True,
) -> Dataset:
    """Loads the questions with what their verifiers need. A stream is read as far as it is needed.

    Args:
        script_args ([`~trl.ScriptArguments`]): `dataset_name`.
        mixture_args ([`R1DatasetMixtureConfig`]): `datasets`, in place of it.
        split (`str`): Of `dataset_name`.
        num_questions (`int` or `None`): The first so many; all by default.
        command (`str`): Who needs them, for messages.
        needs_gold (`bool`, *optional*, defaults to `True`): Refuse questions none of which a rule can grade.

    Raises:
        InputError: No dataset is named, a column is missing, there is no row, a verifier is unknown, or no gold can be
            graded.
    """
    data = DataConfig(script_args.dataset_name, script_args.dataset_config, split, script_args.dataset_streaming)
    name, loaded = load_rows(data, mixture_args)
    columns = ("prompt", "solution") if needs_gold else ("prompt",)
    require_columns(loaded, columns, name, command)
    check_text(loaded, ("prompt", "solution"), name)
    if not isinstance(loaded, Dataset):
        loaded = Dataset.from_list(list(islice(loaded, num_questions)))
    questions = loaded.select(range(min(num_questions or len(loaded), len(loaded))))
    if len(questions) == 0:
        raise InputError(f"dataset `{name}` has no row in `{split}`")
    check_verifiers(questions, name)
    if needs_gold and not can_grade(questions):
        raise InputError(f"no `solution` of dataset `{name}` can be graded: is it the right column or verifier?")
    return questions


def can_grade(questions: Dataset) -> bool:
    """Whether a rule can grade at least one of the questions."""
    names = ("solution", "verifier", "verifier_args")
    columns = {name: questions[name] for name in names if name in questions.column_names}
    return any(score is not None for score in accuracy_reward([""] * len(questions), **columns))


def questions_name(script_args: ScriptArguments) -> str:
    """What to call the questions in a record."""
    return script_args.dataset_name or MIXTURE
