"""The estimate of memory: against real models, real passes, arithmetic, and what was measured."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoConfig, AutoModelForCausalLM

from r1_trl.doctor import trace
from r1_trl.doctor.device import CARDS, device_at_hand, named_device
from r1_trl.doctor.fake_modules import quantize, quantized_linears
from r1_trl.doctor.memory import estimate_memory, estimate_phase
from r1_trl.doctor.trace import AllocationTracker, build_model, trace_update
from r1_trl.doctor.workload import Workload, workload_of
from r1_trl.errors import InputError
from tests.benchmarks.memory import CASES, RESULTS, table
from tests.doctor.recipes import recipe, save_config

MIB = 2**20
LORA = LoraConfig(task_type="CAUSAL_LM", r=8, target_modules="all-linear")


@pytest.fixture(scope="module")
def config(base_path):
    return AutoConfig.from_pretrained(base_path)


@pytest.fixture(scope="module")
def workload(config):
    return Workload(
        config,
        torch.float32,
        cuda=False,
        micro_batch=8,
        accumulation=1,
        generation_rows=8,
        rollout_rows=8,
        prompt_tokens=16,
        completion_tokens=48,
        checkpointing=False,
        autocast=None,
        attention=None,
        optimizer="adamw_torch_fused",
        reference=True,
        syncs_reference=True,
    )


def size(parameters):
    return sum(parameter.numel() * parameter.element_size() for parameter in parameters)


def test_full_fine_tuning_holds_what_the_real_model_holds(base_path, workload):
    weights = size(AutoModelForCausalLM.from_pretrained(base_path, dtype=torch.float32).parameters())
    update = estimate_phase(replace(workload, accumulation=2), "update")
    assert update.weights == update.reference == weights
    assert update.optimizer == 2 * weights
    assert update.gradients == weights
    assert (update.adapters, update.runtime, update.kv_cache) == (0, 0, 0)


def test_adapter_holds_what_the_real_one_holds(base_path, workload):
    real = get_peft_model(AutoModelForCausalLM.from_pretrained(base_path, dtype=torch.bfloat16), LORA)
    trained = size(parameter for parameter in real.parameters() if parameter.requires_grad)
    adapter = replace(workload, peft_config=LORA, dtype=torch.bfloat16, accumulation=2)
    update = estimate_phase(adapter, "update")
    assert update.adapters == update.reference == update.gradients == update.optimizer // 2 == trained
    assert update.weights == size(real.parameters()) - trained
    half = estimate_phase(replace(adapter, adapter_dtype=torch.bfloat16), "update")
    assert half.adapters == trained // 2
    assert estimate_phase(replace(adapter, syncs_reference=False), "update").reference == 0
    assert estimate_phase(replace(adapter, reference=False), "update").reference == 0


@pytest.mark.parametrize(
    ("optimizer", "bytes_per_weight"),
    [("adamw_torch", 8), ("paged_adamw_8bit", 2), ("adamw_bnb_8bit", 2), ("sgd", 0), ("lion_8bit", 1)],
)
def test_states_of_the_optimizer(workload, optimizer, bytes_per_weight):
    memory = estimate_phase(replace(workload, optimizer=optimizer, peft_config=LORA), "update")
    assert memory.optimizer == memory.adapters // 4 * bytes_per_weight


@pytest.mark.parametrize(
    ("bits", "nested", "bytes_per_weight"),
    [(4, False, 0.5 + 4 / 64), (4, True, 0.5 + 1 / 64 + 4 / 16384)],
)
def test_quantised_weights(config, workload, bits, nested, bytes_per_weight):
    plain = replace(workload, peft_config=LORA)
    quantized = replace(plain, bits=bits, nested_quantization=nested)
    layer = 4 * 160 * 160 + 3 * 160 * 448  # the linear layers of the miniature; embedding and head stay as they are
    saved = estimate_phase(plain, "update").weights - estimate_phase(quantized, "update").weights
    assert saved == pytest.approx(3 * layer * (4 - bytes_per_weight), rel=1e-6)


def test_quantised_layers_keep_nothing_for_the_backward_pass(config):
    model = build_model(config, torch.bfloat16, None, LORA, torch.float32)
    assert len(quantized_linears(model)) == 3 * 7
    quantize(model)
    assert quantized_linears(model) == []
    assert model.get_output_embeddings().weight.shape == (141, 160)
    hidden, saved = torch.ones(2, 160, dtype=torch.float32, device="meta", requires_grad=True), []
    with torch.autograd.graph.saved_tensors_hooks(saved.append, lambda tensor: tensor):
        out = model.get_submodule("base_model.model.model.layers.0.mlp.up_proj.base_layer")(hidden)
    assert (out.shape, out.dtype, saved) == ((2, 448), torch.float32, [])
    out.sum().backward()
    assert hidden.grad.shape == hidden.shape


def test_key_value_cache_is_that_of_the_longest_completion(config, workload):
    memory = estimate_phase(replace(workload, generation_rows=64), "rollout")
    per_token = 2 * config.num_hidden_layers * config.num_key_value_heads * config.head_dim * 4
    assert memory.kv_cache == 64 * (16 + 48) * per_token


def test_each_remedy_saves(workload):
    lora = replace(workload, peft_config=LORA)
    update = estimate_phase(lora, "update")
    for change in ({"checkpointing": True}, {"micro_batch": 4}, {"completion_tokens": 24}):
        assert estimate_phase(replace(lora, **change), "update").activations < update.activations
    assert estimate_phase(replace(lora, dtype=torch.bfloat16), "update").weights * 2 == update.weights
    long = replace(lora, completion_tokens=192)
    fused = estimate_phase(long, "update").activations  # without the scores, heads × tokens × tokens
    assert estimate_phase(replace(long, attention="eager"), "update").activations > fused + 8 * 5 * 208**2 * 4
    dropout = replace(lora, peft_config=LoraConfig(**{**LORA.to_dict(), "lora_dropout": 0.05}))
    assert estimate_phase(dropout, "update").activations == update.activations
    assert estimate_phase(replace(dropout, dropout=True), "update").activations > update.activations
    rollout = estimate_phase(lora, "rollout")
    assert estimate_phase(replace(lora, generation_rows=4), "rollout").total < rollout.total
    assert estimate_phase(replace(lora, top_p=0.95), "rollout").total >= rollout.total


def test_vllm_on_the_same_device(workload):
    beside = replace(workload, uses_vllm=True, vllm_bytes=1000)
    estimate = estimate_memory(beside)
    assert {phase: memory.vllm for phase, memory in estimate.phases.items()} == {"rollout": 1000, "update": 1000}
    assert estimate.phases["rollout"].kv_cache == 0
    assert estimate_phase(replace(beside, vllm_sleeps=True), "update").vllm == 0


def test_processes_hold_gradients_twice(workload):
    one = estimate_phase(replace(workload, accumulation=2), "update")
    assert estimate_phase(replace(workload, accumulation=2, processes=2), "update").gradients == 2 * one.gradients


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("peft_config", [None, LORA], ids=["full", "lora"])
def test_fake_tensors_take_what_real_ones_take(config, monkeypatch, peft_config, checkpointing):
    """The same pass with data: every allocation that the operators make is counted to the byte."""

    def run():
        model = build_model(config, torch.float32, None, peft_config, peft_config and torch.float32)
        return trace_update(model, 4, 8, 24, checkpointing, None, False, quantized=False, cuda=False)

    fake = run()
    monkeypatch.setattr(trace, "FakeTensorMode", __import__("contextlib").nullcontext)
    # Real masks without padding are recognised as such and left out; fake ones are not looked into.
    monkeypatch.setattr("transformers.masking_utils._ignore_causal_mask_sdpa", lambda *args, **kwargs: False)
    assert run().total() == pytest.approx(fake.total(), rel=0.01)


def test_tracker_counts_views_once_and_frees():
    tracker = AllocationTracker()
    with tracker:
        first = torch.ones(256, dtype=torch.float32)
        view = first[:128]
        second = first + 1
        assert tracker.alive["activations"] == 2048
        del second
        assert tracker.alive["activations"] == 1024
        with tracker.part("logits"):
            third = view * 2
    assert (tracker.alive["logits"], tracker.at_peak.total()) == (512, 2048)
    del third


def test_head_of_a_gpu_has_no_copies_of_its_tile(workload):
    cpu, gpu = (estimate_phase(replace(workload, cuda=cuda), "update").logits for cuda in (False, True))
    assert gpu > cpu  # the tile has 32,768 columns for a vocabulary of 141 words, of which a CPU touches 141
    assert gpu == pytest.approx(8 * 48 * 32_768 * 4, rel=0.1)


def test_workload_of_a_recipe(base_path, tmp_path):
    model = save_config(tmp_path, base_path)
    settings = {
        "gradient_accumulation_steps": 4,
        "generation_chunk_size": 24,
        "max_completion_length_schedule": [[0, 256], [100, 512]],
    }
    found = workload_of(recipe(model, settings, {"use_peft": True, "load_in_4bit": True}, gpu="t4"))
    assert (found.micro_batch, found.accumulation, found.generation_rows, found.rollout_rows) == (16, 4, 24, 64)
    assert (found.completion_tokens, found.prompt_tokens) == (512, 256)
    assert (found.dtype, found.bits, found.checkpointing, found.cuda) == (torch.float16, 4, True, True)
    assert found.autocast == torch.float16  # a T4 has no bfloat16
    shared = workload_of(recipe(model, {"use_vllm": True}, gpu="24GB"))
    assert (shared.vllm_bytes, shared.autocast) == (int(0.3 * 24 * 2**30), torch.bfloat16)


@pytest.mark.parametrize("name", [*CARDS, "NVIDIA GeForce RTX 4090", "4090", "Tesla T4", "24GB", "24 gb", "16000MiB"])
def test_devices(name):
    device = named_device(name)
    assert device.is_gpu
    assert device.memory > 10 * 2**30
    assert device.has_bf16 == (not any(old in name.lower() for old in ("t4", "p100", "v100", "2080")))


@pytest.mark.parametrize("name", ["", "24", "0GB", "24XB", "rtx 9999", "h1000"])
def test_unknown_devices(name):
    with pytest.raises(InputError, match="neither a size such as `24GB` nor a known card"):
        named_device(name)


def test_this_machine_has_memory():
    assert device_at_hand(use_cpu=True).memory > 2**28


def test_what_was_measured():
    measured = json.loads(RESULTS.read_text())["results"]
    assert measured.keys() == CASES.keys()
    assert len({found["estimated"]["phase"] for found in measured.values()}) == 2
    for name, found in measured.items():
        assert found["error"] == pytest.approx(found["estimated"]["total"] / found["measured"] - 1), name
        # The file of quantised weights stays mapped for the embedding's sake, which alone is in use.
        unused = found["file_pages"] - 32_000 * 640 * 4 if "QLoRA" in name else 0
        assert found["estimated"]["total"] == pytest.approx(found["measured"] - unused, rel=0.02), name


def test_docs_show_what_was_measured():
    docs = Path(__file__).parents[2] / "docs" / "pages" / "doctor.md"
    assert table(json.loads(RESULTS.read_text())) in docs.read_text(encoding="utf-8")
