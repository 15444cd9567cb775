"""Notes: where a recipe departs from the paper, and what is known of adapters in reinforcement learning.

Sources: [N] DeepSeek-R1, Nature 2025; [DSM] DeepSeekMath (2402.03300); [LWR] "LoRA Without Regret", Schulman et al.,
Thinking Machines Lab 2025; [PERL] "Evaluating Parameter Efficient Methods for RLVR" (2512.23165).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from r1_trl.doctor.finding import Finding
from r1_trl.doctor.recipe import Recipe

_ATTENTION = {
    "q_proj",
    "k_proj",
    "v_proj",
    "o_proj",
    "qkv_proj",
    "c_attn",
    "query_key_value",
    "Wqkv",
    "query",
    "value",
}
_MINIATURE = 256  # hidden size up to which customary learning rates say nothing
_LORA_RATES = (5e-6, 1e-4)


class Setting(NamedTuple):
    paper: tuple[Any, ...]  # values that agree with it; the first is the one to set
    effect: str
    needs_reference: bool = False


PAPER: dict[str, Setting] = {
    "loss_type": Setting(("grpo",), "weights tokens otherwise than 1/|o| in each answer [DSM eq. 3]"),
    "scale_rewards": Setting(("group",), "scales advantages otherwise than by the group's deviation [DSM §4.1.2]"),
    "importance_sampling_level": Setting(("token",), "takes one ratio for a whole answer [DSM eq. 3 has one a token]"),
    "epsilon": Setting((10.0,), "clips ratios that the paper lets pass (ε 10) [N]"),
    "beta": Setting((0.001,), "weights the KL term otherwise than by 0.001 [N]"),
    "use_bias_correction_kl": Setting(
        (False,), "weights the KL term by the ratio, so its gradient is another one even on-policy [DSM eq. 4]", True
    ),
    "sync_ref_model": Setting((True,), "keeps the first reference; the paper replaces it every 400 steps [N]", True),
    "ref_model_mixup_alpha": Setting((1.0,), "mixes the reference instead of replacing it [N]", True),
    "lr_scheduler_type": Setting(("constant", "constant_with_warmup"), "changes a rate that the paper keeps [N]"),
    "num_iterations": Setting((1,), "updates more than once on the same answers [N does once]"),
}


def departures(recipe: Recipe) -> Iterator[Finding]:
    """Settings of the objective that are not the paper's."""
    for name, (paper, effect, needs_reference) in PAPER.items():
        value = recipe.setting(name, paper[0])
        value = getattr(value, "value", value)
        if value in paper or (needs_reference and recipe.setting("beta") == 0.0):
            continue
        remedy = f"for the paper's, leave it out (`{name}: {_yaml(paper[0])}`)"
        yield Finding(f"paper-{name.replace('_', '-')}", "note", f"`{name}: {_yaml(value)}` {effect}", remedy)


def _yaml(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def reference_never_replaced(recipe: Recipe) -> Finding | None:
    """A run shorter than `ref_model_sync_steps` keeps its first reference."""
    steps, every = recipe.setting("max_steps", -1), recipe.setting("ref_model_sync_steps")
    if not recipe.setting("sync_ref_model") or not 0 < steps < every:
        return None
    return Finding(
        "reference-never-replaced",
        "note",
        f"`max_steps: {steps}` ends before the reference is replaced (`ref_model_sync_steps: {every}`)",
        f"lower `ref_model_sync_steps`, or take it as meant: {steps} steps need no new reference",
    )


def lora_attention_only(recipe: Recipe) -> Finding | None:
    """Adapters on attention alone learn less than adapters on all linear layers of the same size [LWR]."""
    targets = getattr(recipe.adapter, "target_modules", None)
    if recipe.adapter is None or targets == "all-linear" or getattr(recipe.adapter, "target_parameters", None):
        return None
    names = {targets} if isinstance(targets, str) else set(targets or ())
    if names - _ATTENTION:
        return None
    what = (
        "without `lora_target_modules`, PEFT adapts attention alone"
        if not names
        else (f"`lora_target_modules: {', '.join(sorted(names))}` adapts attention alone")
    )
    return Finding(
        "lora-attention-only",
        "note",
        f"{what}, which learns less than all linear layers [LWR]",
        "set `lora_target_modules: [all-linear]`",
    )


def lora_learning_rate(recipe: Recipe) -> Finding | None:
    """Adapters want about ten times the rate of full fine-tuning: 1e-5 is customary, up to 5e-5 [LWR]."""
    rate, (low, high) = recipe.setting("learning_rate"), _LORA_RATES
    if recipe.adapter is None or recipe.config.get_text_config().hidden_size <= _MINIATURE or low <= rate <= high:
        return None
    return Finding(
        "lora-learning-rate",
        "note",
        f"`learning_rate: {rate:g}` is {'low' if rate < low else 'high'} for an adapter: about ten times that of full "
        "fine-tuning is customary [LWR]",
        "set `learning_rate: 1.0e-5`, up to 5.0e-5",
    )


def lora_rank(recipe: Recipe) -> Finding | None:
    """Rank 16 to 32 is ample for RL; rank 1 is a bottleneck in RL [PERL]."""
    rank = getattr(recipe.adapter, "r", None)
    if rank is None or rank > 1:
        return None
    return Finding(
        "lora-rank",
        "note",
        f"`lora_r: {rank}` is a bottleneck in reinforcement learning [PERL]",
        "set `lora_r: 16`: an adapter's memory is small beside the rest",
    )


def lora_initialisation(recipe: Recipe) -> Finding | None:
    """PiSSA and MiLoRA start from the base's singular vectors, and collapse under RL [PERL]."""
    how = str(getattr(recipe.adapter, "init_lora_weights", "")).lower()
    if not how.startswith(("pissa", "milora")):
        return None
    return Finding(
        "lora-initialisation",
        "warning",
        f"the adapter was made with `init_lora_weights: {how}`, which collapses in reinforcement learning [PERL]",
        "start from a new adapter (`use_peft: true`) with PEFT's own initialisation",
    )


ADVICE: tuple[Callable[[Recipe], Finding | None], ...] = (
    reference_never_replaced,
    lora_attention_only,
    lora_learning_rate,
    lora_rank,
    lora_initialisation,
)
