"""Preference rewards: the right part is scored, in micro-batches, by the model's own numbers; nobody escapes them."""

from __future__ import annotations

import json
import os
import pickle
import random
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from datasets import Dataset
from hypothesis import given
from hypothesis import strategies as st
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForSequenceClassification, AutoTokenizer, Qwen3Config, Qwen3ForSequenceClassification
from trl import GRPOConfig, GRPOTrainer, RewardConfig

from r1_trl import R1GRPOConfig, R1GRPOTrainer, accuracy_reward
from r1_trl.errors import InputError
from r1_trl.preference.text import response_ids
from r1_trl.preference.trainers import R1RewardTrainer
from r1_trl.rewards import HelpfulReward, PreferenceReward, SafetyReward, get_reward
from r1_trl.rewards.preference import cap_missing_answers
from r1_trl.stages.rewards import check_reward_columns, load_reward_funcs
from tests.preference.reward_data import CPU, pair_rows, say
from tests.stages.adapter_folders import BASE

WIDE = {"hidden_size": 64, "intermediate_size": 64, "num_attention_heads": 2, "num_key_value_heads": 2, "head_dim": 32}


def save_reward_model(folder, kind="helpful", scores="answer", small=False, lora=False, record=True):
    """An untrained reward model whose scores spread, as the stage leaves it."""
    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(BASE)
    if small:
        shape = {**WIDE, "num_hidden_layers": 2, "vocab_size": len(tokenizer), "pad_token_id": 0}
        model = Qwen3ForSequenceClassification(Qwen3Config(**shape, num_labels=1, max_position_embeddings=256))
    else:
        model = AutoModelForSequenceClassification.from_pretrained(BASE, num_labels=1, dtype=torch.float32)
    if lora:
        config = LoraConfig(r=4, target_modules="all-linear", task_type="SEQ_CLS", init_lora_weights=False)
        model = get_peft_model(model, config)
    for name, weight in model.named_parameters():
        if "score" in name:
            weight.data.normal_()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    if record:
        (folder / "reward_model.json").write_text(json.dumps({"kind": kind, "scores": scores}))
    return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("rewards")
    return {
        "helpful": save_reward_model(root / "helpful"),
        "safety": save_reward_model(root / "safety", "safety", "response"),
        "foreign": save_reward_model(root / "foreign", record=False),
        "lora": save_reward_model(root / "lora", lora=True),
        "small": save_reward_model(root / "small", small=True),
    }


ROWS = list(pair_rows("train", 11, terms=(2, 5)))  # of many lengths
PROMPTS = [row["prompt"] for row in ROWS]
CHOSEN = [row["chosen"] for row in ROWS]


def reference(folder, prompts, texts, as_text=False):
    """One by one, unpadded, in float64."""
    tokenizer = AutoTokenizer.from_pretrained(BASE)
    model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float64).eval()
    scores = []
    for prompt, text in zip(prompts, texts, strict=True):
        if as_text:
            ids = tokenizer(prompt + text + tokenizer.eos_token)["input_ids"]
        else:
            messages = [*prompt, {"role": "assistant", "content": text}]
            ids = tokenizer(tokenizer.apply_chat_template(messages, tokenize=False))["input_ids"]
        with torch.no_grad():
            hidden = model.model(input_ids=torch.tensor([ids])).last_hidden_state
            scores.append(float(hidden[0, -1] @ model.score.weight[0]))
    return scores


# --- the numbers


@pytest.mark.parametrize("micro_batch_size", [1, 3, 64])
@pytest.mark.parametrize("scores", ["answer", "response"])
def test_scores_are_those_of_a_plain_forward(folders, scores, micro_batch_size):
    texts = [row[0]["content"] for row in CHOSEN]
    if scores == "answer":
        texts = [text.split("<answer> ")[1].split(" </answer>")[0] for text in texts]
    expected = reference(folders["helpful"], PROMPTS, texts)
    assert len({round(score, 3) for score in expected}) > 8, "they differ"
    reward = PreferenceReward(str(folders["helpful"]), scores=scores, micro_batch_size=micro_batch_size)
    assert reward(PROMPTS, CHOSEN) == pytest.approx(expected, abs=1e-4)
    order = random.Random(0).sample(range(len(ROWS)), len(ROWS))
    shuffled = reward([PROMPTS[i] for i in order], [CHOSEN[i] for i in order])
    assert shuffled == pytest.approx([expected[i] for i in order], abs=1e-4)


def test_text_prompts(folders):
    prompts = ["question : what is 5 + 3 ? solution :", "what is 2 + 2 ? "]
    completions = [" <think> 5 + 3 </think> <answer> 8 </answer>", "4"]
    expected = reference(folders["helpful"], prompts, [" 8", "4"], as_text=True)
    assert PreferenceReward(str(folders["helpful"]))(prompts, completions) == pytest.approx(expected, abs=1e-4)


def test_reads_what_the_model_was_trained_on(folders, tmp_path):
    """TRL tokenizes the pairs of the training, we the completions of a rollout: token by token the same."""
    answers = [[{"role": "assistant", "content": str(i)}] for i in range(len(ROWS))]
    for prompts, chosen in ((PROMPTS, answers), (["what is 5 + 3 ?"] * 11, [f" {i}" for i in range(11)])):
        rows = Dataset.from_list(
            [{"prompt": p, "chosen": c, "rejected": c} for p, c in zip(prompts, chosen, strict=True)]
        )
        args = RewardConfig(output_dir=str(tmp_path), **CPU)
        trainer = R1RewardTrainer(str(folders["helpful"]), args, train_dataset=rows, record={})
        texts = [c if isinstance(c, str) else c[0]["content"] for c in chosen]
        tokenizer = AutoTokenizer.from_pretrained(BASE)
        ours = [response_ids(tokenizer, prompt, text) for prompt, text in zip(prompts, texts, strict=True)]
        assert ours == list(trainer.train_dataset["chosen_ids"])


def test_safety_is_a_probability_and_helpful_a_logit(folders):
    logits = PreferenceReward(str(folders["safety"]), apply_sigmoid=False)(PROMPTS, CHOSEN)
    probabilities = SafetyReward(str(folders["safety"]))(PROMPTS, CHOSEN)
    assert probabilities == pytest.approx(torch.tensor(logits).sigmoid().tolist(), abs=1e-6)
    assert min(HelpfulReward(str(folders["helpful"]))(PROMPTS, CHOSEN)) < 0


def test_adapter_loads_on_its_base(folders):
    reward = PreferenceReward(str(folders["lora"]))
    scores = reward(PROMPTS, CHOSEN)
    again = AutoModelForSequenceClassification.from_pretrained(BASE, num_labels=1, dtype=torch.float32)
    from peft import PeftModel

    expected_model = PeftModel.from_pretrained(again, folders["lora"]).eval()
    tokenizer = AutoTokenizer.from_pretrained(BASE)
    answers = [row[0]["content"].split("<answer> ")[1].split(" </answer>")[0] for row in CHOSEN]
    for prompt, answer, score in zip(PROMPTS, answers, scores, strict=True):
        ids = torch.tensor([response_ids(tokenizer, prompt, answer)])
        with torch.no_grad():
            assert float(expected_model(input_ids=ids).logits) == pytest.approx(score, abs=1e-4)
    assert scores != pytest.approx(reference(folders["helpful"], PROMPTS, answers), abs=1e-2), "the adapter counts"


@pytest.mark.parametrize("bits", ["load_in_4bit", "load_in_8bit"])
def test_quantised(folders, bits):
    whole = PreferenceReward(str(folders["small"]))(PROMPTS, CHOSEN)
    reward = PreferenceReward(str(folders["small"]), **{bits: True})
    scores = reward(PROMPTS, CHOSEN)
    assert getattr(reward.scorer.model, f"is_{bits.replace('load', 'loaded')}")
    assert scores == pytest.approx(whole, abs=0.5 * max(map(abs, whole)))
    assert scores != whole


# --- memory


def test_base_of_an_adapter_is_found_on_another_machine(folders, tmp_path):
    settings = json.loads((folders["lora"] / "adapter_config.json").read_text())
    for file in folders["lora"].iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    settings["base_model_name_or_path"] = "/another/machine/r1_trl/miniature/base"
    (tmp_path / "adapter_config.json").write_text(json.dumps(settings))
    moved, here = (HelpfulReward(str(folder))(PROMPTS[:1], CHOSEN[:1]) for folder in (tmp_path, folders["lora"]))
    assert moved == here


def test_forward_passes_are_bounded(folders):
    reward = PreferenceReward(str(folders["helpful"]), scores="response", micro_batch_size=4, max_length=24)
    shapes, logged = [], {}
    reward(PROMPTS[:1], CHOSEN[:1])
    reward.scorer.model.register_forward_pre_hook(
        lambda module, args, kwargs: shapes.append(tuple(kwargs["input_ids"].shape)), with_kwargs=True
    )
    reward(PROMPTS, CHOSEN, log_metric=logged.__setitem__)
    assert [rows for rows, _ in shapes] == [4, 4, 3]
    assert max(length for _, length in shapes) == 24
    assert shapes[0][1] >= shapes[-1][1], "the longest first"
    assert logged["preference_reward/cut"] > 0
    assert logged["preference_reward/no_answer"] == 0.0


def test_too_long_loses_its_beginning(folders):
    reward = PreferenceReward(str(folders["helpful"]), max_length=6)
    first, second = reward([[{"role": "user", "content": f"what is {n} + 3 ?"}] for n in (1, 2)], ["8", "8"])
    assert first == second, "the prompt is gone"
    assert reward(PROMPTS[:1], ["8"]) != reward(PROMPTS[:1], ["9"])


def test_positions_bound_the_length(folders):
    reward = PreferenceReward(str(folders["helpful"]), scores="response")
    logged = {}
    reward(PROMPTS[:1], ["5 " * 400], log_metric=logged.__setitem__)
    assert logged["preference_reward/cut"] == 1.0, "the miniature has 256 positions"


def test_offloaded_between_calls(folders):
    reward = PreferenceReward(str(folders["helpful"]), offload=True, device="cpu")
    assert reward(PROMPTS, CHOSEN) == PreferenceReward(str(folders["helpful"]))(PROMPTS, CHOSEN)
    assert reward.scorer.model.device.type == "cpu"


def test_pickles_without_its_weights(folders):
    reward = HelpfulReward(str(folders["helpful"]))
    scores = reward(PROMPTS, CHOSEN)
    dumped = pickle.dumps(reward)
    assert len(dumped) < 10_000
    again = pickle.loads(dumped)
    assert again.__name__ == "helpful_reward"
    assert again(PROMPTS, CHOSEN) == scores


# --- what is scored


def test_reasoning_counts_for_the_response_alone(folders):
    same = [say("5 + 3", 8), say("加 3 得 8", 8)]
    answer = PreferenceReward(str(folders["helpful"]))(PROMPTS[:1] * 2, same)
    response = PreferenceReward(str(folders["safety"]), apply_sigmoid=False)(PROMPTS[:1] * 2, same)
    assert answer[0] == pytest.approx(answer[1], abs=1e-6)
    assert response[0] != pytest.approx(response[1], abs=1e-3)


def test_thinking_that_the_template_has_opened(folders):
    reward = PreferenceReward(str(folders["helpful"]))
    whole, rest = reward(PROMPTS[:1] * 2, [say("5 + 3", 8), [{"role": "assistant", "content": "5 + 3 </think> 8"}]])
    assert whole == pytest.approx(rest, abs=1e-6)
    logged = {}
    reward(PROMPTS[:1], ["5 + 3"], think_opened=[True], log_metric=logged.__setitem__)
    assert logged["preference_reward/no_answer"] == 1.0


SILENT = ["<think> 5 + 3", "<think> 5 </think>", "<think> 5 </think> <answer> 8", "", "<answer> </answer>"]


@pytest.mark.parametrize("completion", SILENT)
def test_a_missing_answer_never_pays(folders, completion):
    """Neither None, which is worth 0 to TRL, nor more than the worst answer to the same prompt."""
    reward = HelpfulReward(str(folders["helpful"]))
    group = [[{"role": "assistant", "content": str(n)}] for n in range(12)]
    silent = [{"role": "assistant", "content": completion}]
    *answers, score = reward(PROMPTS[:1] * 13, [*group, silent])
    assert score is not None
    assert score <= min(answers)


@given(st.lists(st.tuples(st.floats(-50, 50), st.sampled_from("abc"), st.booleans()), max_size=20))
def test_no_silence_outranks_an_answer(rows):
    scores, prompts, answered = ([row[i] for row in rows] for i in range(3))
    capped = cap_missing_answers(scores, prompts, answered)
    for score, before, prompt, there in zip(capped, scores, prompts, answered, strict=True):
        assert score == before if there else score <= before
        rivals = [s for s, p, a in zip(scores, prompts, answered, strict=True) if p == prompt and a]
        assert there or all(score <= rival for rival in rivals)


def test_rows_of_other_sources_are_not_its_own(folders):
    reward = HelpfulReward(str(folders["helpful"]), sources=["general"])
    source = ["general", "math", None, "general"]
    scores = reward(PROMPTS[:4], CHOSEN[:4], source=source)
    assert [score is None for score in scores] == [False, True, True, False]
    alone = HelpfulReward(str(folders["helpful"]))(PROMPTS[:4], CHOSEN[:4])
    assert [scores[0], scores[3]] == pytest.approx([alone[0], alone[3]], abs=1e-5)
    fresh = HelpfulReward(str(folders["helpful"]), sources=["general"])
    assert fresh(PROMPTS[:1], CHOSEN[:1], source=["math"]) == [None]
    assert fresh.scorer.model is None, "nothing is loaded for rows of others"
    with pytest.raises(InputError, match=r"helpful_reward: `sources: \['general'\]` needs a column `source`"):
        reward(PROMPTS, CHOSEN)
    assert reward([], [], source=[]) == []


# --- bad input

BAD = [
    ({"model_name_or_path": "./nowhere"}, ["`model_name_or_path: ./nowhere`: no such folder"], "no folder"),
    ({"model_name_or_path": BASE}, ["Qwen3ForCausalLM", "r1-trl reward-model"], "a language model"),
    ({"model_name_or_path": "{causal}"}, ["`task_type: CAUSAL_LM`", "SEQ_CLS"], "a language model's adapter"),
    ({"model_name_or_path": "{empty}"}, ["cannot be loaded"], "an empty folder"),
    ({"model_name_or_path": "{safety}"}, ["is a safety model", "name a helpful one"], "the other kind"),
    ({"model_name_or_path": "{broken}"}, ["reward_model.json must hold `kind`"], "a broken record"),
    ({"model_name_or_path": "{labels}"}, ["2 labels"], "a classifier"),
    ({"model_name_or_path": "{lost}"}, ["names the base `/nowhere`", "Move the base back"], "a base that has moved"),
    ({"scores": "answers"}, ["`scores: answers` must be answer or response"], "part"),
    ({"sources": "general"}, ["`sources: general` must be a list"], "a string for a list"),
    ({"micro_batch_size": 0}, ["`micro_batch_size: 0` must be at least 1"], "micro-batch"),
    ({"max_length": 0}, ["`max_length: 0`"], "length"),
    ({"dtype": "int8"}, ["`dtype: int8` must be one of bfloat16"], "dtype"),
    ({"load_in_4bit": True, "load_in_8bit": True}, ["exclude each other"], "both quantisations"),
    ({"load_in_8bit": True, "offload": True}, ["`offload` with `load_in_8bit`"], "8 bits that move"),
    ({"micro_batch": 4}, ["unexpected keyword argument 'micro_batch'", "`reward_kwargs`"], "an unknown argument"),
]


@pytest.mark.parametrize(("kwargs", "words", "reason"), BAD, ids=[case[-1] for case in BAD])
def test_bad_input_is_refused_before_anything_loads(folders, tmp_path, monkeypatch, kwargs, words, reason):
    (tmp_path / "empty").mkdir()
    for name in ("broken", "labels", "causal", "lost"):
        (tmp_path / name).mkdir()
    (tmp_path / "broken" / "reward_model.json").write_text('{"kind": "helpful"}')
    config = {"model_type": "qwen3", "architectures": ["Qwen3ForSequenceClassification"]}
    (tmp_path / "labels" / "config.json").write_text(json.dumps(config))
    adapter = {"peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": BASE}
    (tmp_path / "causal" / "adapter_config.json").write_text(json.dumps(adapter))
    lost = {**adapter, "task_type": "SEQ_CLS", "base_model_name_or_path": "/nowhere"}
    (tmp_path / "lost" / "adapter_config.json").write_text(json.dumps(lost))
    monkeypatch.setattr(AutoModelForSequenceClassification, "from_pretrained", None)
    name = str(kwargs.get("model_name_or_path", folders["helpful"]))
    name = name.replace("{safety}", str(folders["safety"])).replace("{", f"{tmp_path}/").replace("}", "")
    with pytest.raises(InputError) as error:
        load_reward_funcs(["helpful_reward"], {"helpful_reward": {**kwargs, "model_name_or_path": name}})
    message = str(error.value)
    assert message.startswith("`reward_funcs`:")
    assert "helpful_reward" in message
    assert [word for word in words if word not in message] == [], message


def test_names_without_a_model():
    for name in ("helpful_reward", "safety_reward"):
        with pytest.raises(InputError, match=r"'model_name_or_path'\. `reward_kwargs` names its arguments"):
            get_reward(name)


def test_model_of_others(folders):
    assert HelpfulReward(str(folders["foreign"])).scores == "answer"
    assert SafetyReward(str(folders["foreign"])).scores == "response"
    assert PreferenceReward(str(folders["foreign"]), scores="response", name="mine").__name__ == "mine"
    with pytest.raises(InputError, match="`scores: None` must be answer or response"):
        PreferenceReward(str(folders["foreign"]))


def test_template_that_hides_the_reasoning(folders, tmp_path):
    folder = save_reward_model(tmp_path / "model", "safety", "response", small=True)
    (folder / "chat_template.jinja").write_text(
        "{% for m in messages %}{{ m['content'].split('</think>')[-1] }}{% endfor %}"
    )
    with pytest.raises(InputError, match="leaves the reasoning out"):
        SafetyReward(str(folder))(PROMPTS, CHOSEN)


def test_columns_and_template_are_checked_before_anything_loads(folders, tmp_path, monkeypatch):
    monkeypatch.setattr(AutoModelForSequenceClassification, "from_pretrained", None)
    rows = Dataset.from_list([{"prompt": prompt, "solution": "8"} for prompt in PROMPTS])
    sourced = HelpfulReward(str(folders["helpful"]), sources=["general"])
    with pytest.raises(InputError, match="dataset `rows` has no column `source`, which helpful_reward needs"):
        check_reward_columns([sourced], rows, "rows")
    check_reward_columns([sourced], rows.add_column("source", ["general"] * len(rows)), "rows")
    folder = save_reward_model(tmp_path / "model", "safety", "response", small=True)
    hides = "{% for m in messages %}{{ m['content'].split('</think>')[-1] }}{% endfor %}"
    (folder / "chat_template.jinja").write_text(hides)
    with pytest.raises(InputError, match="leaves the reasoning out"):
        check_reward_columns([SafetyReward(str(folder))], rows, "rows")
    text = Dataset.from_list([{"prompt": "5 + 3", "solution": "8"}])
    check_reward_columns([SafetyReward(str(folder))], text, "rows")


# --- in the trainers


def history(trainer, name):
    return [log[f"rewards/{name}/mean"] for log in trainer.state.log_history if f"rewards/{name}/mean" in log]


def test_grpo_with_accuracy_and_preferences(folders, cpu_args, base_path, questions):
    """RL stage 2 in two steps: rules on some rows, reward models on the others."""
    rows = [{**row, "source": "general" if i % 2 else "math"} for i, row in enumerate(questions)]
    kwargs = {
        "helpful_reward": {"model_name_or_path": str(folders["helpful"]), "sources": ["general"]},
        "safety_reward": {"model_name_or_path": str(folders["safety"])},
    }
    rewards = load_reward_funcs(["accuracy_reward", *kwargs], kwargs)
    args = R1GRPOConfig(**{**cpu_args, "max_completion_length": 24}, max_steps=2, per_device_train_batch_size=32)
    trainer = R1GRPOTrainer(base_path, rewards, args, train_dataset=Dataset.from_list(rows))
    trainer.train()
    for name in ("accuracy_reward", "helpful_reward", "safety_reward"):
        assert len(history(trainer, name)) == 2
    assert all(0 <= value <= 1 for value in history(trainer, "safety_reward"))
    assert any(value != 0 for value in history(trainer, "helpful_reward"))
    assert any("helpful_reward/no_answer" in log for log in trainer.state.log_history)


def test_plain_grpo_trainer(folders, cpu_args, base_path, questions):
    args = GRPOConfig(**{**cpu_args, "max_completion_length": 24}, max_steps=1, per_device_train_batch_size=16)
    reward = HelpfulReward(str(folders["helpful"]))
    trainer = GRPOTrainer(base_path, [accuracy_reward, reward], args, questions)
    trainer.train()
    assert history(trainer, "helpful_reward")


@pytest.mark.slow
def test_two_processes(folders, tmp_path):
    script = Path(tmp_path / "run.py")
    script.write_text(
        "import sys\n"
        "from datasets import Dataset\n"
        "from trl import GRPOConfig, GRPOTrainer\n"
        "from r1_trl.miniature import resolve_model_path\n"
        "from r1_trl.rewards import HelpfulReward\n"
        "from r1_trl.tasks.arithmetic import question_rows\n"
        "args = GRPOConfig(sys.argv[1], use_cpu=True, bf16=False, report_to='none', save_strategy='no', max_steps=1,\n"
        "    logging_steps=1, per_device_train_batch_size=8, max_completion_length=16, dataloader_pin_memory=False)\n"
        "rows = Dataset.from_list(question_rows('train', 32))\n"
        "trainer = GRPOTrainer(resolve_model_path('miniature:base'), HelpfulReward(sys.argv[2]), args, rows)\n"
        "trainer.train()\n"
        "if trainer.is_world_process_zero():\n"
        "    trainer.save_state()\n"
    )
    launch = ["-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2"]
    launch += ["--main_process_port", str(random.randint(20_000, 60_000))]
    words = [sys.executable, *launch, str(script), str(tmp_path / "run"), str(folders["helpful"])]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(words, capture_output=True, text=True, env=environment, timeout=200)
    assert done.returncode == 0, done.stderr[-3000:]
    logs = json.loads((tmp_path / "run" / "trainer_state.json").read_text())["log_history"]
    assert any("rewards/helpful_reward/mean" in log for log in logs)
