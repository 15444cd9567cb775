"""Batches, lengths and learning rates of the recipes for one card, and the paper's batches."""

import re

import pytest
from transformers import AutoConfig

from r1_trl.doctor.device import GIB, named_device
from r1_trl.stages.sft_config import count_parameters
from tests.recipes.folders import GRPO_ON_A_CARD, ON_A_CARD, card_of, command_of, name, of_command, settings
from tests.recipes.memory import MODELS
from tests.stage_parsers import PARSERS

PAPER_GPUS = 512  # 64 machines of 8 [v2, Table 7]
SAMPLED = [path for path in of_command("rejection-sample", "evaluate") if card_of(path.parent)]
TRAINED = [path for path in of_command("sft", "reward-model", "grpo") if card_of(path.parent)]
REWARD_MODELS = [path for path in of_command("reward-model") if card_of(path.parent)]
COLOCATED = [path for path in GRPO_ON_A_CARD if settings(path).get("vllm_mode") == "colocate"]
PROMPT = 256  # tokens, as the doctor assumes
VLLM_WORK = GIB  # activations and CUDA graphs, a guess


def step(content):
    return content["per_device_train_batch_size"] * content["gradient_accumulation_steps"]


@pytest.mark.parametrize("path", GRPO_ON_A_CARD, ids=name)
def test_a_step_has_whole_groups_and_as_many_as_the_comment_says(path):
    content = settings(path)
    group, completions = content["num_generations"], step(content)
    said = re.search(r"# (\d+) questions x (\d+) answers = (\d+) completions", path.read_text())
    assert completions % group == 0
    assert [int(number) for number in said.groups()] == [completions // group, group, completions]
    assert completions % content.get("generation_chunk_size", completions) == 0
    if "per_device_eval_batch_size" in content:
        assert content["per_device_eval_batch_size"] % content["num_generations_eval"] == 0


@pytest.mark.parametrize("path", TRAINED, ids=name)
def test_adapters_get_small_batches_and_higher_rates(path):
    content = settings(path)
    said = re.search(r"# batches of (\d+)", path.read_text())
    assert said is None or int(said[1]) == step(content)
    if not content.get("use_peft"):
        assert content.get("learning_rate", 3e-6) <= 2e-5
        return
    assert step(content) < 32
    assert (content["lora_r"], content["lora_target_modules"]) == (16, ["all-linear"])
    low, high = (1e-5, 5e-5) if command_of(path) == "grpo" else (5e-5, 5e-4)
    assert low <= content["learning_rate"] <= high


@pytest.mark.parametrize("folder", ON_A_CARD, ids=lambda folder: folder.name)
def test_stages_of_a_recipe_fit_together(folder):
    grpo = settings(folder / "grpo.yaml")
    lora = {key: value for key, value in grpo.items() if key.startswith(("lora_", "load_in", "use_peft"))}
    for other in ("cold_start", "sft", "grpo_all_scenarios"):
        content = settings(folder / f"{other}.yaml")
        assert {key: content.get(key) for key in lora} == lora, other
    for sampled in ("chains", "rejection_sampling", "general_data", "evaluate"):
        assert settings(folder / f"{sampled}.yaml")["max_completion_length"] == grpo["max_completion_length"]
    for trained in ("cold_start", "sft"):
        content = settings(folder / f"{trained}.yaml")
        assert content["max_length"] >= grpo["max_completion_length"] + PROMPT  # no chain is cut off
        # The doctor estimates updates of RL; one of SFT with no more tokens needs no more.
        tokens = grpo["per_device_train_batch_size"] * (grpo["max_completion_length"] + PROMPT)
        assert content["per_device_train_batch_size"] * content["max_length"] <= tokens
    if (folder / "grpo_vllm.yaml").exists():
        vllm = settings(folder / "grpo_vllm.yaml")
        other = {key for key in {*vllm, *grpo} if vllm.get(key) != grpo.get(key)}
        assert {key for key in other if "vllm" not in key} == {"generation_chunk_size"}
    else:
        assert grpo["load_in_4bit"]  # the one reason against vLLM


def sizes(model, four_bits=False):
    """Bytes of a model's weights, and of the keys and values of one token."""
    config = AutoConfig.from_pretrained(MODELS / model.split("/")[-1])
    head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    cache = 2 * 2 * config.num_hidden_layers * config.num_key_value_heads * head
    embeddings = config.vocab_size * config.hidden_size * (1 if config.tie_word_embeddings else 2)
    linear = count_parameters(config) - embeddings
    return 2 * embeddings + linear * (0.57 if four_bits else 2), cache


@pytest.mark.parametrize("path", SAMPLED, ids=name)
def test_sampling_fits(path):
    """Weights in 16 bits, or 4 if the file or the adapter's training says so; keys and values of all tokens."""
    content, limit = settings(path), named_device(card_of(path.parent)).memory
    start = content["model_name_or_path"]
    trained = start.startswith("runs/")
    model = settings(path.parent / "sft.yaml")["model_name_or_path"] if trained else start
    quantised = settings(path.parent / "sft.yaml") if trained else content
    four_bits = quantised.get("load_in_4bit", False)
    weights, cache = sizes(model, four_bits)
    rows, length = content["per_device_eval_batch_size"], content["max_completion_length"] + PROMPT
    if content.get("sampling_backend") == "vllm":
        assert not four_bits  # refused
        assert weights + VLLM_WORK + 8 * cache * length < 0.9 * limit  # some rows at once; vLLM lets the others wait
        rows = int(re.search(r"or `transformers`, with per_device_eval_batch_size: (\d+)$", path.read_text(), re.M)[1])
    assert weights + cache * rows * length + GIB / 2 < 0.85 * limit, (weights / GIB, cache * rows * length / GIB)


@pytest.mark.parametrize("path", REWARD_MODELS, ids=name)
def test_reward_models_fit(path):
    """An adapter on weights of 4 bytes; of each token the inputs of all layers, and one layer's inside twice."""
    content, limit = settings(path), named_device(card_of(path.parent)).memory
    config = AutoConfig.from_pretrained(MODELS / content["model_name_or_path"].split("/")[-1])
    rows = 2 if content["kind"] == "helpful" else 1
    tokens = rows * content["per_device_train_batch_size"] * content["max_length"]
    inside = 2 * (8 * config.hidden_size + 4 * config.intermediate_size)
    activations = 4 * tokens * (config.num_hidden_layers * config.hidden_size + inside)
    assert content["use_peft"]
    assert 4 * count_parameters(config) + activations < 0.85 * limit


@pytest.mark.parametrize("folder", ON_A_CARD, ids=lambda folder: folder.name)
def test_a_teacher_that_is_not_quantised_answers_by_vllm(folder):
    for file in ("chains", "general_data"):
        assert settings(folder / f"{file}.yaml")["sampling_backend"] == "vllm"


def test_a_server_beside_the_policy_has_a_gpu_of_its_own():
    """TRL refuses to train where it sees several GPUs without `accelerate launch`."""
    [path] = [path for path in GRPO_ON_A_CARD if settings(path).get("vllm_mode") == "server"]
    text = path.read_text()
    assert "CUDA_VISIBLE_DEVICES=1 trl vllm-serve" in text
    assert "CUDA_VISIBLE_DEVICES=0 r1-trl grpo" in text


@pytest.mark.parametrize("path", COLOCATED, ids=name)
def test_vllm_beside_the_policy_holds_a_group_at_full_length(path):
    content, limit = settings(path), named_device(card_of(path.parent)).memory
    weights, cache = sizes(settings(path.parent / "sft.yaml")["model_name_or_path"])
    room = content["vllm_gpu_memory_utilization"] * limit - weights - VLLM_WORK
    rows = int(room / (cache * (content["max_completion_length"] + PROMPT)))
    said = re.search(r"keys and values \(([\d.]+)\) of (all )?(\d+)", path.read_text())
    assert rows >= int(said[3]) >= content["num_generations"]
    assert float(said[1]) == pytest.approx(room / GIB, abs=0.06)


def test_the_papers_batches():
    for path in (path for path in of_command("grpo") if path.parent.name == "deepseek_r1_paper"):
        content = settings(path)
        assert step(content) * PAPER_GPUS == 32 * content["num_generations"] == 512
        assert content["generation_batch_size"] == 16 * 512
        args = PARSERS["grpo"]().parse(["--config", str(path)])[0]
        assert args.steps_per_generation == 8192  # on the one process of this test; 16 on 512
    for path in (path for path in of_command("sft", "reward-model") if path.parent.name == "deepseek_r1_paper"):
        parsed = PARSERS[command_of(path)]().parse(["--config", str(path)])
        args = next(part for part in parsed if hasattr(part, "gradient_accumulation_steps"))
        rows = {"distillation.yaml": 64, "helpful.yaml": 256, "safety.yaml": 256}.get(path.name, 128)
        assert args.gradient_accumulation_steps * args.per_device_train_batch_size == rows
        nodes = int(re.search(r"--nodes (\d+)", path.read_text())[1])
        assert nodes * 8 <= rows


@pytest.mark.parametrize("size", ["1.5b", "7b"])
def test_passes_of_distillation(size):
    for path in of_command("sft"):
        if path.parent.name == f"distill_qwen2.5_math_{size}":
            content = settings(path)
            args = PARSERS["sft"]().parse(["--config", str(path)])[0]
            rows = args.gradient_accumulation_steps * args.per_device_train_batch_size
            assert content["max_steps"] == int(2 * content["datasets"][0]["size"] / rows)
            assert rows == (16 if content.get("use_peft") else 64)
            assert content.get("lora_alpha", 32) == 32  # [LWR]


def test_the_t4_says_how_much_longer_the_papers_batch_would_take():
    for path in (path for path in GRPO_ON_A_CARD if path.parent.name.endswith("t4_16gb")):
        said = re.search(r"the paper's 512 would take (\d+) times as long", path.read_text())
        assert int(said[1]) * step(settings(path)) == 512
