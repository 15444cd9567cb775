"""The paper's values stand in the paper's recipe, and recipes for one card differ only in what the card decides."""

import pytest

from tests.recipes.folders import CONFIGS, ON_A_CARD, ROOT, settings

RL = {
    "learning_rate": 3e-6,
    "lr_scheduler_type": "constant",
    "beta": 0.001,
    "scale_rewards": "group",
    "epsilon": 10.0,
    "ref_model_sync_steps": 400,
    "ref_model_mixup_alpha": 1.0,
    "num_generations": 16,
}
SFT = {"learning_rate": 5e-5, "num_train_epochs": 2, "max_length": 32768}
REWARD_MODEL = {"learning_rate": 6e-6, "num_train_epochs": 1, "max_length": 8192}
PAPER = {
    "r1_zero": RL
    | {"temperature": 1.0, "max_completion_length_schedule": [[0, 32768], [8200, 65536]], "max_steps": 10400},
    "rl_1": RL | {"temperature": 1.0, "max_completion_length": 32768},
    "rl_2": RL
    | {
        "temperature": 0.7,
        "max_completion_length": 32768,
        "max_steps": 1700,
        "reward_windows": {"helpful_reward": {"last_steps": 400}, "safety_reward": {"last_steps": 400}},
    },
    "cold_start": SFT,
    "sft": SFT,
    "distillation": SFT | {"learning_rate": 6e-5},  # of Qwen2.5-32B [v2 Table 6]
    "helpful": REWARD_MODEL,
    "safety": REWARD_MODEL,
}
OF_THE_CARD = {
    "model_name_or_path",
    "use_peft",
    "lora_r",
    "lora_alpha",
    "lora_target_modules",
    "load_in_4bit",
    "learning_rate",
    "per_device_train_batch_size",
    "per_device_eval_batch_size",
    "gradient_accumulation_steps",
    "generation_chunk_size",
    "max_length",
    "max_completion_length",
    "max_steps",
    "eval_steps",
    "ref_model_sync_steps",
    "sampling_backend",
    "datasets",
    "reward_kwargs",
    "reward_windows",
}
IN_EACH = sorted(set.intersection(*({path.name for path in CONFIGS if path.parent == folder} for folder in ON_A_CARD)))


@pytest.mark.parametrize("stage", PAPER)
def test_the_papers_recipe_has_the_papers_values(stage):
    content = settings(ROOT / "deepseek_r1_paper" / f"{stage}.yaml")
    assert {key: content.get(key) for key in PAPER[stage]} == PAPER[stage]


@pytest.mark.parametrize("file", IN_EACH)
def test_recipes_differ_only_in_what_the_card_decides(file):
    contents = [
        {key: str(value).replace(folder.name, "RECIPE") for key, value in settings(folder / file).items()}
        for folder in ON_A_CARD
    ]
    keys = {key for content in contents for key in content}
    assert {key for key in keys if len({content.get(key) for content in contents}) > 1} <= OF_THE_CARD


@pytest.mark.parametrize("file", ["general_data.yaml", "helpful.yaml", "safety.yaml", "chains.yaml", "evaluate.yaml"])
def test_each_card_has_the_same_sources(file):
    assert len({str(settings(folder / file)["datasets"]) for folder in ON_A_CARD}) == 1
