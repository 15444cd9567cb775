"""The traps: for each, a recipe that falls into it, and what its repaired twin has instead."""

from __future__ import annotations

from trl.rewards import accuracy_reward as trl_accuracy_reward

from r1_trl.doctor.device import Device
from r1_trl.rewards import accuracy_reward
from tests.doctor.recipes import GIB

LORA = {"use_peft": True, "lora_target_modules": "all-linear"}
QLORA = {**LORA, "load_in_4bit": True}
CPU = None
ROW = {"prompt": "5 + 3", "solution": "8"}
OPEN = {"prompt": "5 + 3 <think>", "solution": "8"}

# (trap, its level, the recipe that falls into it, what its repaired twin has instead); {…} are folders, see `folders`
CASES = [
    (
        "padded-micro-batches",
        "warning",
        {"training": {"sort_by_length": False, "gradient_accumulation_steps": 4}},
        {"training": {"gradient_accumulation_steps": 4}},
    ),
    (
        "zero-advantages",
        "warning",
        {"training": {"skip_zero_advantages": False, "beta": 0.0}},
        {"training": {"beta": 0.0}},
    ),
    (
        "reanchored-reference",
        "warning",
        {"model": "{run}/checkpoint-5"},
        {"training": {"resume_from_checkpoint": "{run}/checkpoint-5"}},
    ),
    (
        "no-exact-resume",
        "warning",
        {"training": {"save_only_model": True}},
        {"training": {"save_only_model": True, "save_strategy": "no"}},
    ),
    (
        "no-exact-resume",
        "error",
        {"training": {"resume_from_checkpoint": "{run}/checkpoint-9"}},
        {"training": {"resume_from_checkpoint": "{run}/checkpoint-5"}},
    ),
    (
        "too-few-questions",
        "error",
        {"training": {"per_device_train_batch_size": 64}, "rows": [ROW] * 3},
        {"training": {"per_device_train_batch_size": 64}, "rows": [ROW] * 4},
    ),
    (
        "bf16-adapters",
        "error",
        {"training": {"adapter_dtype": "bfloat16", "learning_rate": 1e-6}, "model_settings": QLORA},
        {"training": {"learning_rate": 1e-6}, "model_settings": QLORA},
    ),
    (
        "bf16-adapters",
        "error",
        {"training": {"adapter_dtype": "bfloat16", "learning_rate": 3e-5}, "model_settings": LORA},
        {"training": {"adapter_dtype": "bfloat16", "learning_rate": 1e-4}, "model_settings": LORA},
    ),
    ("bf16-weights", "error", {"model_settings": {"dtype": "bfloat16"}}, {"model_settings": {}}),
    (
        "fp16-weights",
        "error",
        {"training": {"fp16": True}, "model_settings": {"dtype": "float16"}},
        {"training": {"fp16": True}, "model_settings": {**LORA, "dtype": "float16"}},
    ),
    ("float32-base", "warning", {"model_settings": {**LORA, "dtype": "float32"}}, {"model_settings": LORA}),
    ("float32-base", "warning", {"model_settings": {**QLORA, "dtype": "float32"}}, {"model_settings": QLORA}),
    (
        "active-dropout",
        "error",
        {"training": {"disable_dropout": False}, "model_settings": LORA},
        {"training": {"disable_dropout": False}, "model_settings": {**LORA, "lora_dropout": 0.0}},
    ),
    (
        "vllm-quantised",
        "error",
        {"training": {"use_vllm": True}, "model_settings": QLORA},
        {"training": {"use_vllm": True}, "model_settings": LORA},
    ),
    (
        "vllm-merge-drift",
        "warning",
        {"training": {"use_vllm": True}, "model_settings": LORA},
        {"training": {"use_vllm": True}, "model_settings": {**LORA, "dtype": "float32"}},
    ),
    (
        "continuous-batching-casts",
        "error",
        {"training": {"use_transformers_continuous_batching": True}},
        {"training": {"generation_chunk_size": 8}},
    ),
    (
        "trl-accuracy-reward",
        "error",
        {"rewards": ("trl.rewards.accuracy_reward",)},
        {"rewards": ("accuracy_reward",)},
    ),
    (
        "trl-accuracy-reward",
        "error",
        {"rewards": (trl_accuracy_reward,)},
        {"rewards": (accuracy_reward,)},
    ),
    (
        "trl-format-reward",
        "error",
        {"rewards": ("trl.rewards.think_format_reward",), "rows": [OPEN]},
        {"rewards": ("think_only_format_reward",), "rows": [OPEN]},
    ),
    (
        "bf16-without-gpu",
        "error",
        {"training": {"bf16": True}, "gpu": Device("a CPU", 16 * GIB, is_gpu=False, has_bf16=True)},
        {"training": {"bf16": True, "use_cpu": True}, "gpu": CPU},
    ),
    (
        "bf16-emulated",
        "warning",
        {"training": {"bf16": True}, "gpu": "t4"},
        {"training": {}, "gpu": "t4"},
    ),
    (
        "bf16-emulated",
        "warning",
        {"model_settings": {**LORA, "dtype": "bfloat16"}, "gpu": "v100-32gb"},
        {"model_settings": LORA, "gpu": "v100-32gb"},
    ),
    (
        "checkpointing-on-cpu",
        "warning",
        {"training": {"use_cpu": True}, "gpu": CPU},
        {"training": {"use_cpu": True, "activation_checkpointing": False}, "gpu": CPU},
    ),
    (
        "gguf-weights",
        "error",
        {"training": {"model_init_kwargs": {"gguf_file": "model-q4.gguf"}}},
        {"training": {"model_init_kwargs": {}}},
    ),
    (
        "lora-on-lm-head",
        "error",
        {"model_settings": {"use_peft": True, "lora_target_modules": ["q_proj", "lm_head"]}},
        {"model_settings": LORA},
    ),
    (
        "longer-than-context",
        "warning",
        {"training": {"max_completion_length_schedule": [[0, 256], [100, 40_000]]}},
        {"training": {"max_completion_length_schedule": [[0, 256], [100, 512]]}},
    ),
    (
        "longer-than-context",
        "warning",
        {"training": {"max_completion_length": 32_767}, "rows": [ROW] * 4},
        {"training": {"max_completion_length": 32_767}},
    ),
    (
        "reference-never-replaced",
        "note",
        {"training": {"max_steps": 100}},
        {"training": {"max_steps": 100, "ref_model_sync_steps": 50}},
    ),
    ("lora-attention-only", "note", {"model_settings": {"use_peft": True}}, {"model_settings": LORA}),
    (
        "lora-attention-only",
        "note",
        {"model_settings": {**LORA, "lora_target_modules": ["q_proj", "o_proj"]}},
        {"model_settings": {**LORA, "lora_target_modules": ["q_proj", "down_proj"]}},
    ),
    (
        "lora-learning-rate",
        "note",
        {"model_settings": LORA},
        {"model_settings": LORA, "training": {"learning_rate": 1e-5}},
    ),
    (
        "lora-learning-rate",
        "note",
        {"model_settings": LORA, "training": {"learning_rate": 1e-3}},
        {"model_settings": LORA, "training": {"learning_rate": 5e-5}},
    ),
    (
        "lora-rank",
        "note",
        {"model_settings": {**LORA, "lora_r": 1}},
        {"model_settings": {**LORA, "lora_r": 16}},
    ),
    ("lora-initialisation", "warning", {"model": "{pissa}"}, {"model": "{adapter}"}),
    *(
        (f"paper-{name.replace('_', '-')}", "note", {"training": {name: other}}, {"training": {}})
        for name, other in {
            "loss_type": "dapo",
            "scale_rewards": "none",
            "importance_sampling_level": "sequence",
            "epsilon": 0.2,
            "beta": 0.0,
            "use_bias_correction_kl": True,
            "sync_ref_model": False,
            "ref_model_mixup_alpha": 0.6,
            "lr_scheduler_type": "linear",
            "num_iterations": 2,
        }.items()
    ),
]

MEMORY_CASES = [
    (
        "rollout-does-not-fit",
        "error",
        {"training": {"gradient_accumulation_steps": 16}, "model_settings": LORA, "gpu": "2GB"},
        {
            "training": {"gradient_accumulation_steps": 16, "generation_chunk_size": 64},
            "model_settings": LORA,
            "gpu": "2GB",
        },
    ),
    (
        "update-does-not-fit",
        "error",
        {"training": {"per_device_train_batch_size": 64, "activation_checkpointing": False}, "gpu": "6GB"},
        {"training": {"per_device_train_batch_size": 16, "gradient_accumulation_steps": 4}, "gpu": "6GB"},
    ),
    ("reward-model-at-once", "warning", {"rewards": ("{reward}",)}, {"rewards": ("accuracy_reward",)}),
    ("reward-model-at-once", "error", {"rewards": ("{reward}",), "gpu": "2GB"}, {"gpu": "2GB"}),
]
