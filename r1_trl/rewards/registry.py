"""Rewards by name, for recipes: a short name with arguments, or the dotted path of a reward of your own."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeAlias

from r1_trl.errors import InputError, did_you_mean
from r1_trl.verifiers import import_callable

Reward: TypeAlias = Callable[..., list[float | None]]

_MODULES = {
    "accuracy_reward": "r1_trl.rewards.accuracy",
    "format_reward": "r1_trl.rewards.format",
    "language_consistency_reward": "r1_trl.rewards.language_consistency",
    "think_only_format_reward": "r1_trl.rewards.format",
}
# The picklable class behind a reward that takes arguments; those that cannot do without stand here alone.
_CLASSES = {
    "accuracy_reward": "r1_trl.rewards.accuracy.AccuracyReward",
    "helpful_reward": "r1_trl.rewards.preference.HelpfulReward",
    "language_consistency_reward": "r1_trl.rewards.language_consistency.LanguageConsistencyReward",
    "safety_reward": "r1_trl.rewards.preference.SafetyReward",
}


def get_reward(name: str, **kwargs: Any) -> Reward:
    """The reward behind a name, ready for `GRPOTrainer(reward_funcs=...)`.

    Args:
        name (`str`):
            A short name, or a dotted path such as `my_pkg.rewards.my_reward`. The current directory is on the path, as
            for TRL's `--reward_funcs`.
        **kwargs:
            Arguments of the reward. The class behind the name is made with them; a dotted path must then name a class.

    Raises:
        [`~r1_trl.errors.InputError`]: If there is no such reward, or it does not take these arguments.

    >>> get_reward("format_reward")(["<think>2 + 2 = 4</think><answer>4</answer>"])
    [1.0]
    >>> get_reward("acuracy_reward")
    Traceback (most recent call last):
    r1_trl.errors.InputError: no reward 'acuracy_reward'; known: accuracy_reward, format_reward, \
helpful_reward, language_consistency_reward, safety_reward, think_only_format_reward; did you mean 'accuracy_reward'? \
A reward of your own goes by its dotted path, such as my_pkg.rewards.my_reward
    """
    reward = find_reward(name, **kwargs)
    return reward(**kwargs) if isinstance(reward, type) else reward


def find_reward(name: str, **kwargs: Any) -> type[Reward] | Reward:
    """The same as [`get_reward`], with the class of a reward that takes arguments in place of its instance.

    So nothing that the arguments name has to be there: a reward model may be trained later.

    >>> find_reward("helpful_reward", model_name_or_path="runs/helpful").__name__
    'HelpfulReward'
    """
    known = _MODULES | _CLASSES
    if "/" in name:
        raise InputError(
            f"`{name}` is the path of a model: score with a reward model by `helpful_reward` or `safety_reward`, and "
            f"`reward_kwargs: {{helpful_reward: {{model_name_or_path: {name}}}}}`, or with one of another kind by "
            "`r1_trl.rewards.preference.PreferenceReward` in their place"
        )
    if name not in known and "." not in name:
        hint = did_you_mean(name, known)
        raise InputError(
            f"no reward {name!r}; known: {', '.join(sorted(known))}{hint} A reward of your own goes by its dotted "
            "path, such as my_pkg.rewards.my_reward"
        )
    path = f"{_MODULES[name]}.{name}" if name in _MODULES else name
    if name in _CLASSES and (kwargs or name not in _MODULES):
        path = _CLASSES[name]
    reward = import_callable(path, "reward")
    if isinstance(reward, type):
        _check_arguments(name, reward, kwargs)
    elif kwargs:
        raise InputError(
            f"reward {name!r} takes no arguments, got {', '.join(sorted(kwargs))}; those that do: "
            f"{', '.join(sorted(_CLASSES))}, or a class of your own by its dotted path"
        )
    return reward


def _check_arguments(name: str, reward: type, kwargs: dict[str, Any]) -> None:
    # bind first: a TypeError from inside the class is a bug, and keeps its traceback.
    try:
        inspect.signature(reward).bind(**kwargs)
    except TypeError as error:
        raise InputError(
            f"reward {name!r} does not take {kwargs!r}: {error}. `reward_kwargs` names its arguments"
        ) from error
