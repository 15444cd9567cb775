"""The reward functions that a stage asks for by name, matched against the columns of its dataset."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from datasets import Dataset, IterableDataset
from trl.trainer.utils import get_callable_name

from r1_trl.errors import InputError
from r1_trl.grpo.routing import ROUTE, check_routes
from r1_trl.rewards import get_reward
from r1_trl.rewards.preference import PreferenceReward
from r1_trl.stages.data import check_languages, check_verifiers
from r1_trl.tasks.sources import check_text, require_columns

# Keywords that TRL's trainer passes to every reward function, whatever the columns.
FROM_TRAINER = (
    "prompts",
    "completions",
    "completion_ids",
    "trainer_state",
    "log_extra",
    "log_metric",
    "environments",
    "think_opened",
)


def load_reward_funcs(
    names: Sequence[str] | None,
    reward_kwargs: Mapping[str, Mapping[str, Any]] | None = None,
    reward_weights: Sequence[float] | None = None,
    find: Callable[..., Callable[..., Any]] = get_reward,
) -> list[Callable[..., Any]]:
    """The reward functions behind their names.

    Args:
        names (`Sequence[str]`): Short names of `r1_trl.rewards`, or dotted paths.
        reward_kwargs (`Mapping[str, Mapping]`, *optional*): Arguments of those that take some, by name.
        reward_weights (`Sequence[float]`, *optional*): One for each name; only their count is looked at.
        find (`Callable`, *optional*, defaults to [`~r1_trl.rewards.get_reward`]): Makes one of its name and arguments.

    Returns:
        `list[Callable]`: In the order of the names.

    Raises:
        InputError: There is no name, a name is unknown, a reward that is not used has arguments, or the weights do not
            match the names.

    >>> load_reward_funcs(["format_reward"])[0].__name__
    'format_reward'
    """
    if not names:
        raise InputError("`reward_funcs` is missing: name at least one, for example `accuracy_reward`")
    kwargs = dict(reward_kwargs or {})
    try:
        functions = [find(name, **kwargs.pop(name, {})) for name in names]
    except InputError as error:
        raise InputError(f"`reward_funcs`: {error}") from error
    if kwargs:
        raise InputError(f"`reward_kwargs` names {', '.join(kwargs)}, which `reward_funcs` does not: add it there")
    if reward_weights is not None and len(reward_weights) != len(names):
        raise InputError(
            f"`reward_weights: {reward_weights}` holds {len(reward_weights)} numbers for {len(names)} `reward_funcs`: "
            "give one to each"
        )
    return functions


def named_rewards(names: Sequence[str], functions: Sequence[Callable[..., Any]]) -> list[str | PreferenceReward]:
    """What the doctor has to know of the rewards: names as the user wrote them, and the models with their settings.

    Args:
        names (`Sequence[str]`): As given to [`load_reward_funcs`].
        functions (`Sequence[Callable]`): As returned by it.
    """
    pairs = zip(names, functions, strict=True)
    return [function if isinstance(function, PreferenceReward) else name for name, function in pairs]


def check_reward_columns(
    functions: Sequence[Callable[..., Any]], dataset: Dataset | IterableDataset, name: str
) -> None:
    """Refuses a dataset that lacks a column which a reward function cannot do without, or names an unknown verifier.

    Args:
        functions (`Sequence[Callable]`): Reward functions.
        dataset ([`~datasets.Dataset`]): The training set.
        name (`str`): Its name, for the message.

    Raises:
        InputError: A column is missing or holds no text, a verifier is unknown, a language needs an extra,
            `reward_funcs` names no reward of the run, or a reward model cannot read conversations.
    """
    require_columns(dataset, ("prompt",), name, "grpo")
    check_text(dataset, ("prompt", "solution"), name)
    for function in functions:
        needed = [
            parameter.name
            for parameter in inspect.signature(function).parameters.values()
            if parameter.default is parameter.empty
            and parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
            and parameter.name not in FROM_TRAINER
        ]
        if isinstance(function, PreferenceReward) and function.sources is not None:
            needed.append("source")
        require_columns(dataset, needed, name, getattr(function, "__name__", type(function).__name__))
    check_verifiers(dataset, name)
    if isinstance(dataset, Dataset) and ROUTE in dataset.column_names:
        check_routes(dataset[ROUTE], [get_callable_name(function) for function in functions], name)
    for function in functions:
        if getattr(function, "__name__", "") == "language_consistency_reward":
            check_languages(dataset, function)
        if isinstance(function, PreferenceReward) and _has_messages(dataset):
            function.check_template()


def _has_messages(dataset: Dataset | IterableDataset) -> bool:
    prompt = (dataset.features or {}).get("prompt")  # a stream without features is let pass
    return prompt is not None and getattr(prompt, "dtype", "list") == "list"
