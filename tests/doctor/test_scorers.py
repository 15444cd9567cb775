"""The memory of reward models: their weights for the run, and one micro-batch of the rollout at a time."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForSequenceClassification

from r1_trl.doctor import command
from r1_trl.doctor.diagnosis import examine
from r1_trl.doctor.memory import estimate_memory, estimate_phase
from r1_trl.doctor.workload import workload_of
from r1_trl.miniature import resolve_model_path
from r1_trl.rewards import HelpfulReward
from tests.doctor.recipes import recipe, save_config

BASE = resolve_model_path("miniature:base")
ROLLOUT = {"gradient_accumulation_steps": 4, "generation_chunk_size": 16}  # 64 completions of 256 + 256 tokens


@pytest.fixture(scope="module")
def folder(tmp_path_factory, base_path):
    settings = {"architectures": ["Qwen2ForSequenceClassification"], "num_labels": 1, "max_position_embeddings": 4096}
    return save_config(tmp_path_factory.mktemp("scorers") / "helpful", base_path, **settings)


def workload(folder, **kwargs):
    rewards = ("accuracy_reward", HelpfulReward(folder, **kwargs))
    return workload_of(recipe(folder, ROLLOUT, rewards=rewards))


def size(model):
    return sum(parameter.numel() * parameter.element_size() for parameter in model.parameters())


def test_weights_stay_for_the_run(folder):
    found = workload(folder)
    estimate = estimate_memory(found)
    assert list(estimate.phases) == ["rollout", "rewards", "update"]
    with torch.device("meta"):
        model = AutoModelForSequenceClassification.from_config(found.reward_models[0].config, dtype=torch.bfloat16)
    assert {memory.reward_models for memory in estimate.phases.values()} == {size(model)}
    halved = estimate_phase(workload(folder, dtype="float32"), "update")
    assert halved.reward_models == 2 * estimate.phases["update"].reward_models


def test_micro_batches_bound_what_scoring_takes(folder):
    def taken(**kwargs):
        return estimate_phase(workload(folder, **kwargs), "rewards").activations

    assert taken(micro_batch_size=16) == pytest.approx(2 * taken(), rel=0.1)
    assert taken(max_length=256) == pytest.approx(taken() / 2, rel=0.1)
    assert taken(max_length=100_000) == taken(), "no more tokens than there are"
    assert taken(micro_batch_size=1000) == taken(micro_batch_size=64), "no more rows than there are"
    at_once = workload_of(recipe(folder, ROLLOUT, rewards=(folder,)))
    scorer = replace(at_once.reward_models[0], dtype=torch.bfloat16)
    whole = estimate_phase(replace(at_once, reward_models=(scorer,)), "rewards")
    assert whole.activations == taken(micro_batch_size=64)


def test_offloaded_weights_are_there_while_they_score(folder):
    stays, waits = (estimate_memory(workload(folder, offload=offload)).phases for offload in (False, True))
    assert (waits["update"].reward_models, waits["rollout"].reward_models) == (0, 0)
    assert waits["rewards"] == stays["rewards"]


def test_other_device(folder):
    assert workload(folder, device="cpu").reward_models == ()
    assert workload(folder, device="cuda:1").reward_models == ()
    assert len(workload(folder, device="cuda").reward_models) == 1
    on_cpu = recipe(folder, {"use_cpu": True}, gpu=None, rewards=(HelpfulReward(folder, device="cpu"),))
    assert len(workload_of(on_cpu).reward_models) == 1


def test_quantised(folder):
    whole, quantised = (estimate_phase(workload(folder, load_in_4bit=bits), "rewards") for bits in (False, True))
    layers = 2 * (2 * 896 * 896 + 2 * 896 * 128 + 3 * 896 * 4864)
    saved = whole.reward_models - quantised.reward_models
    assert saved == pytest.approx(layers * (2 - 0.5 - 4 / 64), rel=1e-3)


def test_adapter(tmp_path):
    model = AutoModelForSequenceClassification.from_pretrained(BASE, num_labels=1, dtype=torch.bfloat16)
    lora = LoraConfig(r=4, target_modules="all-linear", task_type="SEQ_CLS")
    policy = get_peft_model(model, lora)
    policy.save_pretrained(tmp_path)
    found = recipe("miniature:base", rewards=(HelpfulReward(str(tmp_path)),))
    assert estimate_phase(workload_of(found), "update").reward_models == pytest.approx(size(policy), rel=0.01)


def test_too_large_a_micro_batch_is_an_error(folder):
    """And no trap of TRL, which is left for models that `reward_funcs` names itself."""
    many = {"gradient_accumulation_steps": 64, "generation_chunk_size": 16}
    for rows, expected in ((1024, ["rewards-does-not-fit"]), (8, [])):
        reward = HelpfulReward(folder, micro_batch_size=rows)
        findings = examine(recipe(folder, many, gpu="8GB", rewards=(reward,))).findings
        assert [finding.trap for finding in findings] == expected
    at_once = examine(recipe(folder, many, gpu="8GB", rewards=(folder,))).findings
    assert [(finding.trap, finding.level) for finding in at_once] == [("reward-model-at-once", "error")]


def test_little_room_while_scoring(folder):
    many = {"gradient_accumulation_steps": 64, "generation_chunk_size": 16}
    reward = HelpfulReward(folder, micro_batch_size=256)
    peak = examine(recipe(folder, many, rewards=(reward,))).estimate.phases["rewards"].total
    found = examine(recipe(folder, many, gpu=f"{int(1.1 * peak / 2**20)}MB", rewards=(reward,))).findings
    assert [finding.trap for finding in found] == ["little-room"]
    assert "`micro_batch_size`" in found[0].remedy


def test_arguments_of_a_recipe(folder, tmp_path, capsys):
    content = {
        "output_dir": str(tmp_path / "run"),
        "model_name_or_path": "miniature:base",
        "dataset_name": "miniature:questions",
        "reward_funcs": ["accuracy_reward", "helpful_reward"],
        "reward_kwargs": {"helpful_reward": {"model_name_or_path": folder}},
        "max_completion_length": 48,
    }
    (tmp_path / "recipe.yaml").write_text(json.dumps(content))
    command.main(["--config", str(tmp_path / "recipe.yaml"), "--gpu", "24GB"])
    out = capsys.readouterr().out
    assert "  reward models " in out
    assert "reward-model-at-once" not in out
