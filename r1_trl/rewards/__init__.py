"""Rewards: how good is this completion? One file each, in TRL's signature.

Every one works in a plain `trl.GRPOTrainer(reward_funcs=...)` and, by its dotted path, in
`trl grpo --reward_funcs r1_trl.rewards.accuracy_reward`. The names load on first use, so that importing this module
pulls in none of torch, transformers and math_verify.

>>> from r1_trl.rewards import format_reward
>>> format_reward(["<think>2 + 2 = 4</think><answer>4</answer>"])
[1.0]
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from r1_trl.rewards.accuracy import AccuracyReward, accuracy_reward
    from r1_trl.rewards.format import format_reward, think_only_format_reward
    from r1_trl.rewards.language_consistency import LanguageConsistencyReward, language_consistency_reward
    from r1_trl.rewards.preference import HelpfulReward, PreferenceReward, SafetyReward
    from r1_trl.rewards.registry import get_reward

_MODULES = {
    "AccuracyReward": "r1_trl.rewards.accuracy",
    "HelpfulReward": "r1_trl.rewards.preference",
    "LanguageConsistencyReward": "r1_trl.rewards.language_consistency",
    "PreferenceReward": "r1_trl.rewards.preference",
    "SafetyReward": "r1_trl.rewards.preference",
    "accuracy_reward": "r1_trl.rewards.accuracy",
    "format_reward": "r1_trl.rewards.format",
    "get_reward": "r1_trl.rewards.registry",
    "language_consistency_reward": "r1_trl.rewards.language_consistency",
    "think_only_format_reward": "r1_trl.rewards.format",
}

__all__ = [
    "AccuracyReward",
    "HelpfulReward",
    "LanguageConsistencyReward",
    "PreferenceReward",
    "SafetyReward",
    "accuracy_reward",
    "format_reward",
    "get_reward",
    "language_consistency_reward",
    "think_only_format_reward",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
