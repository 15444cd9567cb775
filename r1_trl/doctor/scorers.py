"""The models among the rewards, and how they score: a rollout at once, as TRL does, or in micro-batches."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from peft import PeftConfig
from transformers import AutoConfig, PreTrainedConfig

from r1_trl.doctor.recipe import Recipe
from r1_trl.rewards.preference import PreferenceReward


@dataclass(frozen=True)
class Scorer:
    """A reward model on the device of the policy.

    Parameters:
        config ([`~transformers.PreTrainedConfig`]): The model's, or that of an adapter's base.
        dtype (`torch.dtype`): Its weights.
        rows (`int`, *optional*): Completions in one forward pass; without it, the whole rollout.
        tokens (`int`, *optional*): The most that it reads of prompt and completion.
        peft_config ([`~peft.PeftConfig`], *optional*): Where it is an adapter.
        bits (`int`, *optional*): 4 or 8 where its weights are quantised.
        waits (`bool`, *optional*): Its weights are on the CPU between two calls.
    """

    config: PreTrainedConfig
    dtype: torch.dtype
    rows: int | None = None
    tokens: int | None = None
    peft_config: PeftConfig | None = None
    bits: int | None = None
    waits: bool = False


def scorers_of(recipe: Recipe) -> tuple[Scorer, ...]:
    """The reward models that take memory of the recipe's device.

    Args:
        recipe ([`~doctor.recipe.Recipe`]): Its models among `reward_funcs`, and its preference rewards.
    """
    at_once = tuple(Scorer(config, recipe.dtype) for config in recipe.reward_configs.values())
    here = [reward for reward in recipe.preference_rewards if _is_here(reward, recipe)]
    return at_once + tuple(_scorer(reward, recipe) for reward in here)


def _is_here(reward: PreferenceReward, recipe: Recipe) -> bool:
    if reward.scorer.device is None:
        return True
    device = torch.device(reward.scorer.device)
    return (device.type != "cpu") == recipe.device.is_gpu and not device.index


def _scorer(reward: PreferenceReward, recipe: Recipe) -> Scorer:
    scorer = reward.scorer
    config = AutoConfig.from_pretrained(scorer.found.base or scorer.found.path)
    positions = getattr(config.get_text_config(), "max_position_embeddings", None)
    peft_config = None
    if scorer.found.base is not None:
        peft_config = PeftConfig.from_pretrained(scorer.found.path)
        peft_config.inference_mode = False
    return Scorer(
        config,
        getattr(torch, scorer.dtype) if scorer.dtype else recipe.device.compute_dtype,
        scorer.micro_batch_size,
        min(scorer.max_length, positions or scorer.max_length),
        peft_config,
        next((bits for bits in (4, 8) if scorer.quantisation.get(f"load_in_{bits}bit")), None),
        scorer.offload and recipe.device.is_gpu,
    )
