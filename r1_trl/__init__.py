"""r1-trl: the DeepSeek-R1 recipe on small hardware, as a plugin to Hugging Face TRL.

The public names load on first use, so that `import r1_trl` pulls in neither torch nor transformers.

>>> import r1_trl
>>> r1_trl.parse_completion("<think> 2 + 2 = 4 </think> <answer> 4 </answer>").answer
'4'
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from r1_trl.completion import Completion, parse_completion
    from r1_trl.errors import InputError, MissingExtraError
    from r1_trl.grpo.config import R1GRPOConfig
    from r1_trl.grpo.trainer import R1GRPOTrainer
    from r1_trl.rewards import (
        LanguageConsistencyReward,
        accuracy_reward,
        format_reward,
        language_consistency_reward,
        think_only_format_reward,
    )
    from r1_trl.stages.sft_config import R1SFTConfig

_MODULES = {
    "Completion": "r1_trl.completion",
    "InputError": "r1_trl.errors",
    "LanguageConsistencyReward": "r1_trl.rewards",
    "MissingExtraError": "r1_trl.errors",
    "R1GRPOConfig": "r1_trl.grpo.config",
    "R1GRPOTrainer": "r1_trl.grpo.trainer",
    "R1SFTConfig": "r1_trl.stages.sft_config",
    "accuracy_reward": "r1_trl.rewards",
    "format_reward": "r1_trl.rewards",
    "language_consistency_reward": "r1_trl.rewards",
    "parse_completion": "r1_trl.completion",
    "think_only_format_reward": "r1_trl.rewards",
}

__all__ = [
    "Completion",
    "InputError",
    "LanguageConsistencyReward",
    "MissingExtraError",
    "R1GRPOConfig",
    "R1GRPOTrainer",
    "R1SFTConfig",
    "accuracy_reward",
    "format_reward",
    "language_consistency_reward",
    "parse_completion",
    "think_only_format_reward",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
