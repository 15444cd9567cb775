"""Reward models learn what they are to judge, in full and as adapters, and resume."""

import json

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForSequenceClassification

from r1_trl.errors import InputError
from r1_trl.preference.folder import find_reward_model
from r1_trl.rewards import PreferenceReward
from r1_trl.stages.reward_config import R1RewardConfig
from r1_trl.stages.reward_model import main
from tests.preference.reward_data import CPU, held_out, label_rows, pair_rows, run_reward_model, say, write_rows
from tests.stages.adapter_folders import save_adapter

HELPFUL = {"learning_rate": 1e-3, "max_steps": 50}
SAFETY = {"learning_rate": 2e-3, "max_steps": 10}
LORA = {"use_peft": True, "lora_r": 16, "lora_target_modules": ["all-linear"], "lora_dropout": 0.0}


def test_helpful_model_learns_held_out_pairs(tmp_path):
    run = run_reward_model(tmp_path, "helpful", **HELPFUL, eval_strategy="steps", eval_steps=50)
    accuracy = held_out(run, "eval_accuracy")
    assert accuracy[-1] > 0.65, accuracy  # 256 pairs: chance stays below 0.6
    assert json.loads((run / "reward_model.json").read_text()) == {"kind": "helpful", "scores": "answer"}
    record = json.loads((run / "stage.json").read_text())
    assert record["stage"] == "reward-model"
    assert all(len(record["inputs"][name]["sha256"]) == 64 for name in ("model", "train_dataset"))
    model = AutoModelForSequenceClassification.from_pretrained(run)
    assert (model.config.num_labels, model.config.pad_token_id) == (1, 0)


def test_safety_model_learns_held_out_labels(tmp_path):
    run = run_reward_model(tmp_path, "safety", **SAFETY, eval_strategy="steps", eval_steps=10)
    assert held_out(run, "eval_auc")[-1] > 0.95
    assert held_out(run, "eval_accuracy")[-1] > 0.9
    assert json.loads((run / "reward_model.json").read_text()) == {"kind": "safety", "scores": "response"}


@pytest.mark.parametrize("start", ["base", "adapter of a language model"])
def test_lora_learns_the_same(tmp_path, start):
    settings = {**SAFETY, "learning_rate": 5e-3, "max_steps": 15, "eval_strategy": "steps", "eval_steps": 15}
    if start == "base":
        settings |= LORA
    else:
        settings["model_name_or_path"] = str(save_adapter(tmp_path / "sft"))
    run = run_reward_model(tmp_path, "safety", **settings)
    assert held_out(run, "eval_auc")[-1] > 0.9
    saved = load_file(run / "adapter_model.safetensors")
    assert any("score" in name for name in saved), "the head is saved with the adapter"
    assert find_reward_model(str(run)).base
    rows = list(label_rows("test", 64))
    columns = [[row[name] for row in rows] for name in ("prompt", "completion")]
    scores = PreferenceReward(str(run))(*columns)
    right = sum((score > 0.5) == bool(row["label"]) for score, row in zip(scores, rows, strict=True))
    assert right > 0.85 * len(rows), "as the reward loads it"


def test_qlora_keeps_the_head_exact(tmp_path, monkeypatch):
    """TRL makes the trained weights of a quantised model bfloat16; at 1e-6 the head would stand still there."""
    run = run_reward_model(tmp_path, "safety", **LORA, load_in_4bit=True, learning_rate=1e-6, max_steps=2)
    saved = load_file(run / "adapter_model.safetensors")
    (head,) = [weight for name, weight in saved.items() if "score" in name]
    assert head.dtype == torch.float32
    assert not torch.equal(head, head.bfloat16().float())
    record = json.loads((run / "reward_model.json").read_text())
    assert (record["load_in_4bit"], record["bnb_4bit_quant_type"]) == (True, "nf4")
    assert PreferenceReward(str(run)).scorer.quantisation["load_in_4bit"]


@pytest.mark.parametrize(("kind", "changes"), [("helpful", {}), ("safety", LORA)], ids=["full", "LoRA"])
def test_resumed_run_ends_as_one_left_alone(tmp_path, kind, changes):
    settings = {**changes, "learning_rate": 1e-3, "per_device_train_batch_size": 16, "save_strategy": "steps"}
    settings |= {"save_steps": 2, "logging_steps": 1}
    alone = run_reward_model(tmp_path, kind, **settings, max_steps=4)
    # The same schedule and the same order of rows; the second start goes on from the checkpoint of the first.
    other = tmp_path / "other"
    run_reward_model(tmp_path, kind, **settings, max_steps=2, output_dir=str(other))
    assert json.loads((other / "checkpoint-2" / "reward_model.json").read_text())["kind"] == kind
    with pytest.raises(InputError, match="resume_from_checkpoint"):
        run_reward_model(tmp_path, kind, **settings, max_steps=4, output_dir=str(other))
    run_reward_model(tmp_path, kind, **settings, max_steps=4, output_dir=str(other), resume_from_checkpoint="true")
    name = "adapter_model.safetensors" if changes else "model.safetensors"
    mine, theirs = load_file(other / name), load_file(alone / name)
    assert mine.keys() == theirs.keys()
    assert all(mine[key].equal(theirs[key]) for key in mine)


def test_margin_enters_the_loss_only_when_asked(tmp_path):
    """TRL subtracts a column `margin` within the loss whenever there is one, and judged pairs have one."""
    write_rows(tmp_path / "helpful", pair_rows, train=64)
    losses = []
    for use_margin in (False, True):
        output_dir = tmp_path / f"margin-{use_margin}"
        run_reward_model(
            tmp_path,
            "helpful",
            max_steps=1,
            learning_rate=0.0,
            logging_steps=1,
            use_margin=use_margin,
            output_dir=str(output_dir),
        )
        losses += held_out(output_dir, "loss")
    assert losses[0] == pytest.approx(0.7, abs=0.2)
    assert losses[1] == pytest.approx(losses[0] + 2.4, abs=0.3)  # softplus(3) - softplus(0)


def test_effective_batch_is_the_papers():
    assert R1RewardConfig(output_dir="runs/x", use_cpu=True).gradient_accumulation_steps == 32
    given = R1RewardConfig(output_dir="runs/x", use_cpu=True, gradient_accumulation_steps=3)
    assert given.gradient_accumulation_steps == 3


def test_head_is_exact_on_a_16_bit_base(tmp_path):
    """Under an adapter on a 16-bit base, PEFT would train the head in 16 bits."""
    write_rows(tmp_path / "safety", label_rows, train=64)
    run = run_reward_model(tmp_path, "safety", **LORA, dtype="bfloat16", max_steps=1, learning_rate=1e-6)
    saved = load_file(run / "adapter_model.safetensors")
    assert {weight.dtype for weight in saved.values()} == {torch.float32}


# --- bad input

ROWS = {
    "pairs": next(iter(pair_rows("train", 1))),
    "labels": next(iter(label_rows("train", 1))),
}
TEXT = {"prompt": "1 + 1 =", "chosen": "2", "rejected": "3"}
BAD = [
    ({"kind": None}, None, ["`kind` is missing", "helpful"], "no kind"),
    ({"kind": "harmless"}, None, ["`kind: harmless`", "helpful or safety"], "unknown kind"),
    ({"scores": "reasoning"}, None, ["`scores: reasoning`", "answer or response"], "unknown part"),
    ({"lora_task_type": "CAUSAL_LM"}, None, ["`lora_task_type: CAUSAL_LM`", "Leave it out"], "task type"),
    ({"learning_rat": 1}, None, ["`learning_rat`", "did you mean `learning_rate`"], "unknown key"),
    ({"load_in_4bit": True}, None, ["`load_in_4bit`", "`use_peft`"], "4-bit without adapter"),
    ({"model_name_or_path": "./nowhere"}, None, ["`model_name_or_path: ./nowhere`", "no such folder"], "no model"),
    ({}, {"prompt": "1", "chosen": "2"}, ["no column `rejected`", "`prompt`, `chosen`"], "no column"),
    ({"kind": "safety"}, TEXT, ["no column `completion`", "reward-model"], "pairs for labels"),
    ({"use_margin": True}, TEXT, ["no column `margin`"], "no margin"),
    ({}, {**TEXT, "chosen": 2}, ["column `chosen`", "text or messages, not int"], "a number"),
    ({}, {**TEXT, "chosen": say("1 + 1", 2)}, ["`chosen` must be of one form"], "text and messages"),
    ({}, {**TEXT, "chosen": "<think>2"}, ["1 of 1 rows", "no answer to score", "scores: response"], "no answer"),
    ({}, {**TEXT, "chosen": "3"}, ["1 of 1 rows", "twice the same"], "the same answer"),
    (
        {"kind": "safety"},
        {"prompt": "1", "completion": "2", "label": "safe"},
        ["column `label`", "'safe'", "1 or true (safe)"],
        "label in words",
    ),
    ({"kind": "safety"}, {"prompt": "1", "completion": "2", "label": 2}, ["column `label`", "2 must be"], "label"),
]


@pytest.mark.parametrize(("changes", "row", "words", "reason"), BAD, ids=[case[-1] for case in BAD])
def test_bad_input_is_refused_before_any_model_loads(tmp_path, monkeypatch, changes, row, words, reason):
    monkeypatch.setattr(torch.nn.Module, "load_state_dict", None)
    monkeypatch.setattr(AutoModelForSequenceClassification, "from_pretrained", None)
    (tmp_path / "rows.jsonl").write_text(json.dumps(row or ROWS["pairs"]) + "\n")
    content = {"output_dir": str(tmp_path / "run"), "dataset_name": str(tmp_path / "rows.jsonl"), "kind": "helpful"}
    content |= {"model_name_or_path": "miniature:base", **CPU, **changes}
    config = tmp_path / "config.yaml"
    config.write_text(json.dumps({key: value for key, value in content.items() if value is not None}))
    with pytest.raises(InputError) as error:
        main(["--config", str(config)])
    assert [word for word in words if word not in str(error.value)] == [], str(error.value)
    assert not (tmp_path / "run").exists()


def test_template_that_hides_the_reasoning_is_refused(tmp_path, base_path):
    """As those of DeepSeek's distilled models do."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    AutoModelForCausalLM.from_pretrained(base_path).save_pretrained(tmp_path / "model")
    tokenizer = AutoTokenizer.from_pretrained(base_path)
    tokenizer.chat_template = "{% for m in messages %}{{ m['content'].split('</think>')[-1] }}{% endfor %}"
    tokenizer.save_pretrained(tmp_path / "model")
    with pytest.raises(InputError, match="leaves the reasoning out"):
        run_reward_model(tmp_path, "safety", model_name_or_path=str(tmp_path / "model"), max_steps=1)
    write_rows(tmp_path / "helpful", pair_rows, train=64)
    run_reward_model(tmp_path, "helpful", model_name_or_path=str(tmp_path / "model"), max_steps=1)


def test_rows_that_are_too_long_are_told(tmp_path, capsys):
    rows = list(label_rows("train", 64))
    rows[0]["completion"] = say("5 " * 100, 5)
    write_rows(tmp_path / "safety", lambda split, size: rows)
    with pytest.raises(InputError, match=r"64 of 64 rows .* are longer than `max_length: 8`: raise it"):
        run_reward_model(tmp_path, "safety", max_length=8, max_steps=1)
    run_reward_model(tmp_path, "safety", max_length=80, max_steps=1)
    assert "1 of 64 rows" in capsys.readouterr().out
