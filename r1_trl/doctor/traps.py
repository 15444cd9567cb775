"""The traps of TRL 1.16 that a recipe can step in: one function each, which says why, and finds it or does not.

Those of precision and quantisation are in [`doctor.precision`], those of memory in [`doctor.fit`].

Where r1-trl closes a trap by itself, the function looks for the setting that opens it again.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from r1_trl.doctor.finding import Finding
from r1_trl.doctor.precision import PRECISION_TRAPS
from r1_trl.doctor.recipe import Recipe


def padded_micro_batches(recipe: Recipe) -> Finding | None:
    """TRL pads every micro-batch to the longest completion of the whole rollout (`split_tensor_dict`)."""
    if recipe.setting("sort_by_length", True) or recipe.setting("steps_per_generation") == 1:
        return None
    return Finding(
        "padded-micro-batches",
        "warning",
        f"`sort_by_length: false` pads all {recipe.setting('steps_per_generation')} micro-batches of a rollout to its "
        "longest completion",
        "leave `sort_by_length` on: the gradient is the same, and short completions cost what they need",
    )


def zero_advantages(recipe: Recipe) -> Finding | None:
    """Without a KL term, a group whose answers all have one reward has no gradient, yet TRL computes it."""
    if recipe.setting("skip_zero_advantages", True) or recipe.setting("beta") != 0.0:
        return None
    return Finding(
        "zero-advantages",
        "warning",
        "`skip_zero_advantages: false` with `beta: 0` runs groups that have no gradient through the policy update",
        "leave `skip_zero_advantages` on",
    )


def reanchored_reference(recipe: Recipe) -> Finding | None:
    """A checkpoint that is loaded as the *model* becomes the reference itself, and brings no optimizer."""
    name = str(recipe.model_args.model_name_or_path)
    is_checkpoint = re.fullmatch(r"checkpoint-\d+", Path(name).name) and (Path(name) / "trainer_state.json").is_file()
    if not is_checkpoint or recipe.setting("beta") == 0.0:
        return None
    return Finding(
        "reanchored-reference",
        "warning",
        f"`model_name_or_path: {name}` is a run's checkpoint: the reference starts again at this policy, and the "
        "optimizer from nothing",
        f"to go on with that run, keep its `model_name_or_path` and set `resume_from_checkpoint: {name}`",
    )


def no_exact_resume(recipe: Recipe) -> Finding | None:
    """Without optimizer, scheduler and random states a resumed run is another run; transformers does not say so."""
    args = recipe.training_args
    checkpoint = args.resume_from_checkpoint
    if isinstance(checkpoint, str) and Path(checkpoint).is_dir() and not _has_optimizer(Path(checkpoint)):
        return Finding(
            "no-exact-resume",
            "error",
            f"`resume_from_checkpoint: {checkpoint}` holds no optimizer state: AdamW starts from nothing, silently",
            "resume from a checkpoint that was saved without `save_only_model`",
        )
    saves = str(getattr(args.save_strategy, "value", args.save_strategy)) != "no"
    if not (args.save_only_model and saves):
        return None
    return Finding(
        "no-exact-resume",
        "warning",
        "`save_only_model: true` saves checkpoints that no run can be resumed from exactly",
        "set `save_only_model: false`, or `save_strategy: no` where no checkpoint is needed",
    )


def _has_optimizer(checkpoint: Path) -> bool:
    return any(checkpoint.glob("optimizer*")) or any(checkpoint.glob("global_step*"))  # the latter are DeepSpeed's


def too_few_questions(recipe: Recipe) -> Finding | None:
    """With fewer rows than one rollout takes, TRL's sampler draws none and the run ends at once."""
    batch, group = recipe.setting("generation_batch_size") or 0, recipe.setting("num_generations") or 1
    if recipe.questions is None or recipe.questions >= batch // group:
        return None
    return Finding(
        "too-few-questions",
        "error",
        f"the training set has {recipe.questions} questions and one rollout takes {batch // group} "
        f"(`generation_batch_size` {batch} / `num_generations` {group})",
        "add questions, or lower `per_device_train_batch_size` or `gradient_accumulation_steps`",
        certain=True,
    )


def trl_accuracy_reward(recipe: Recipe) -> Finding | None:
    """It grades `$4$`, "the answer is 4" and `#### 4` as wrong, and its timeout cannot stop `9^{9^{9^9}}`."""
    return _borrowed(
        recipe,
        "accuracy_reward",
        "trl-accuracy-reward",
        "gives 0 to right answers that are not boxed, and an answer such as `9^{9^{9^9}}` freezes the process",
        "use `accuracy_reward`, which reads `<answer>` and grades in processes that it can end",
    )


def trl_format_reward(recipe: Recipe) -> Finding | None:
    """A `<think>` that the prompt has opened makes every completion malformed; `<think></think>` is well-formed."""
    opened = recipe.opens_think
    effect = (
        "gives 0 to every completion, for the prompt has opened `<think>`" if opened else "pays for empty reasoning"
    )
    return _borrowed(
        recipe, "think_format_reward", "trl-format-reward", effect, "use `think_only_format_reward` or `format_reward`"
    )


def _borrowed(recipe: Recipe, function: str, trap: str, effect: str, remedy: str) -> Finding | None:
    for name in recipe.reward_funcs:
        if name.startswith("trl.") and name.endswith(function):
            return Finding(trap, "error", f"`reward_funcs: {name}` {effect}", remedy)
    return None


def checkpointing_on_cpu(recipe: Recipe) -> Finding | None:
    """TRL checkpoints activations by default: a second forward pass for memory that a CPU seldom lacks."""
    if recipe.device.is_gpu or not recipe.setting("activation_checkpointing"):
        return None
    return Finding(
        "checkpointing-on-cpu",
        "warning",
        "`activation_checkpointing: true` (TRL's default) computes every forward pass of an update twice",
        "set `activation_checkpointing: false` as long as the estimate below stays within the memory",
    )


def lora_on_lm_head(recipe: Recipe) -> Finding | None:
    """TRL multiplies by the head's weight itself, so it refuses an adapter there, after it has loaded the model."""
    targets = getattr(recipe.adapter, "target_modules", None)
    if not targets or "lm_head" not in ([targets] if isinstance(targets, str) else targets):
        return None
    return Finding(
        "lora-on-lm-head",
        "error",
        "`lora_target_modules` names `lm_head`, which TRL refuses",
        "leave it out; `lora_target_modules: [all-linear]` leaves it out by itself",
        certain=True,
    )


def longer_than_context(recipe: Recipe) -> Finding | None:
    """Beyond the positions that a model was trained on, completions turn to noise, and rewards to zero."""
    limit = getattr(recipe.config.get_text_config(), "max_position_embeddings", None)
    prompt = recipe.prompt_tokens if recipe.questions else 0  # without data it is a guess
    if limit is None or prompt + recipe.completion_tokens <= limit:
        return None
    return Finding(
        "longer-than-context",
        "warning",
        f"`max_completion_length: {recipe.completion_tokens}`"
        + (f" after prompts of {prompt} tokens" if prompt else "")
        + f" exceeds the model's {limit} positions",
        f"set `max_completion_length: {max(limit - recipe.prompt_tokens, 1)}` or less",
    )


TRAPS: tuple[Callable[[Recipe], Finding | None], ...] = (
    padded_micro_batches,
    zero_advantages,
    reanchored_reference,
    no_exact_resume,
    too_few_questions,
    trl_accuracy_reward,
    trl_format_reward,
    checkpointing_on_cpu,
    lora_on_lm_head,
    longer_than_context,
    *PRECISION_TRAPS,
)
