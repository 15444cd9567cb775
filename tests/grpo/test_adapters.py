"""Adapters move in training, and a loaded one starts, and is its own reference, exactly as it was saved."""

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM, BitsAndBytesConfig, TrainerCallback
from trl import GRPOTrainer

from r1_trl import InputError, R1GRPOConfig, R1GRPOTrainer

NF4 = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype="bfloat16")
BASES = {
    "float32": {"dtype": torch.float32},
    "bfloat16": {"dtype": torch.bfloat16},
    "4-bit": {"dtype": torch.bfloat16, "quantization_config": NF4},
}
LORA = {"r": 4, "target_modules": "all-linear", "task_type": "CAUSAL_LM"}


def varied_reward(completion_ids, **kwargs):
    """Differs within every group."""
    return [float(index % 5) for index, _ in enumerate(completion_ids)]


@pytest.fixture
def short(cpu_args):
    """Settings of a run of two short steps."""
    return {**cpu_args, "max_completion_length": 12, "max_steps": 2, "learning_rate": 1e-3, "beta": 0.1}


@pytest.fixture(scope="module")
def adapter_path(base_path, tmp_path_factory):
    """Saves an adapter that changes what the base says, embeddings included."""

    def save(**settings):
        base = AutoModelForCausalLM.from_pretrained(base_path)
        model = get_peft_model(base, LoraConfig(**{**LORA, **settings}))
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for name, weight in model.named_parameters():
                if "lora_" in name:
                    weight.normal_(std=0.05, generator=generator)
        folder = tmp_path_factory.mktemp("adapter")
        model.save_pretrained(folder)
        return folder

    return save


def by_adapter(model, adapter):
    """The weights of one adapter by their names without it."""
    return {
        name.replace(f".{adapter}", ""): weight.detach().clone()
        for name, weight in model.named_parameters()
        if adapter in name.split(".")
    }


def move(trainer):
    """2,000 steps of AdamW with a gradient of constant sign on one weight of the trainer's adapter."""
    weight = next(w for n, w in trainer.model.named_parameters() if "lora_B.default" in n)
    optimizer = torch.optim.AdamW([weight], lr=1e-6, weight_decay=0.0)
    start = weight.detach().clone()
    for _ in range(2000):
        weight.grad = -torch.ones_like(weight)
        optimizer.step()
    return (weight.detach().float() - start.float()).mean().item()


@pytest.mark.parametrize(
    ("trainer_class", "settings", "moved"),
    [
        pytest.param(GRPOTrainer, {}, 4.88e-4, id="TRL"),
        pytest.param(R1GRPOTrainer, {}, 2e-3, id="ours"),
        pytest.param(R1GRPOTrainer, {"adapter_dtype": "bfloat16"}, 4.88e-4, id="ours in bfloat16"),
    ],
)
def test_small_steps_of_a_4_bit_policy(short, base_path, questions, trainer_class, settings, moved):
    """2,000 steps of 1e-6 are 2e-3. In bfloat16 a weight stands still at 2^-11, where half a unit is above 1e-6."""
    args = R1GRPOConfig(**short, **settings, sync_ref_model=False, model_init_kwargs={"dtype": "bfloat16"})
    trainer = trainer_class(
        base_path, varied_reward, args, questions, quantization_config=NF4, peft_config=LoraConfig(**LORA)
    )
    assert move(trainer) == pytest.approx(moved, rel=0.01)


@pytest.mark.parametrize("autocast", [False, True], ids=["plain", "autocast"])
@pytest.mark.parametrize("base", ["bfloat16", "4-bit"])
def test_float32_adapter_trains_on_a_16_bit_base(short, base_path, questions, base, autocast):
    kwargs = dict(BASES[base])
    args = R1GRPOConfig(**{**short, "bf16": autocast}, model_init_kwargs={"dtype": kwargs.pop("dtype")})
    trainer = R1GRPOTrainer(base_path, varied_reward, args, questions, peft_config=LoraConfig(**LORA), **kwargs)
    before = by_adapter(trainer.model, "default")
    trainer.train()
    after = by_adapter(trainer.model, "default")
    assert {weight.dtype for weight in after.values()} == {torch.float32}
    assert all(not torch.equal(after[name], before[name]) for name in after if "lora_B" in name)
    state = trainer.optimizer.optimizer.state if hasattr(trainer.optimizer, "optimizer") else trainer.optimizer.state
    assert {value["exp_avg"].dtype for value in state.values()} == {torch.float32}
    assert trainer.model.get_base_model().dtype == torch.bfloat16


def test_bfloat16_when_asked_for_also_after_a_resume(short, base_path, questions):
    args = R1GRPOConfig(**{**short, "save_strategy": "steps"}, save_steps=1, adapter_dtype="bfloat16")
    for checkpoint in (None, f"{args.output_dir}/checkpoint-1"):
        trainer = R1GRPOTrainer(base_path, varied_reward, args, questions, peft_config=LoraConfig(**LORA))
        trainer.train(resume_from_checkpoint=checkpoint)
        for adapter in ("default", "ref"):
            assert {weight.dtype for weight in by_adapter(trainer.model, adapter).values()} == {torch.bfloat16}


def test_unknown_adapter_dtype(tmp_path):
    with pytest.raises(InputError, match="`adapter_dtype: float8` must be one of float32, bfloat16"):
        R1GRPOConfig(output_dir=str(tmp_path), use_cpu=True, adapter_dtype="float8")


def test_dropout_is_off_in_policy_and_reference(short, base_path, questions):
    lora = LoraConfig(**LORA, lora_dropout=0.5)
    trainer = R1GRPOTrainer(base_path, varied_reward, R1GRPOConfig(**short), questions, peft_config=lora)
    rates = [module.p for module in trainer.model.modules() if isinstance(module, torch.nn.Dropout)]
    assert len(rates) == 2 * 21, "one for each of 21 layers, in both adapters"
    assert set(rates) == {0.0}


class FirstKL(TrainerCallback):
    def __init__(self):
        self.kl = []

    def on_log(self, args, state, control, logs=None, **kwargs):
        self.kl += [logs["kl"]] if "kl" in logs else []


@pytest.mark.parametrize("sync", [True, False], ids=["replaced", "kept"])
@pytest.mark.parametrize("base", BASES)
def test_loaded_adapter_is_its_own_reference(short, base_path, questions, adapter_path, base, sync):
    """Neither the base nor the reference moves, and both are what they were when the adapter was saved."""
    saved = AutoModelForCausalLM.from_pretrained(base_path, **BASES[base])
    policy = PeftModel.from_pretrained(
        saved, adapter_path(target_modules=["q_proj", "up_proj", "embed_tokens"]), is_trainable=True
    )
    start = by_adapter(policy, "default")
    frozen = {name: weight.clone() for name, weight in policy.named_parameters() if not weight.requires_grad}
    record = FirstKL()
    args = R1GRPOConfig(
        **{**short, "learning_rate": 1e-2}, sync_ref_model=sync
    )  # every 400 steps: not within this run
    trainer = R1GRPOTrainer(policy, varied_reward, args, questions, callbacks=[record])
    for adapter in ("default", "ref"):
        weights = by_adapter(trainer.model, adapter)
        assert weights.keys() == start.keys()
        assert all(torch.equal(weights[name], start[name]) for name in start), adapter
    trainer.train()
    assert abs(record.kl[0]) <= 1e-6
    assert record.kl[1] > 1e-5
    policy_now, reference = by_adapter(trainer.model, "default"), by_adapter(trainer.model, "ref")
    assert all(torch.equal(reference[name], start[name]) for name in start)
    assert not any(torch.equal(policy_now[name], start[name]) for name in start)
    after = dict(trainer.model.named_parameters())
    assert all(torch.equal(after[name], weight) for name, weight in frozen.items())


def test_reference_leaves_the_base_of_a_pissa_adapter_alone(short, base_path, questions, adapter_path):
    """PiSSA takes the adapter's start out of the base. TRL would take it out a second time, for the reference."""
    policy = PeftModel.from_pretrained(
        AutoModelForCausalLM.from_pretrained(base_path), adapter_path(init_lora_weights="pissa"), is_trainable=True
    )
    before = {name: weight.clone() for name, weight in policy.named_parameters()}
    trainer = R1GRPOTrainer(policy, varied_reward, R1GRPOConfig(**short), questions)
    after = dict(trainer.model.named_parameters())
    assert all(torch.equal(after[name], weight) for name, weight in before.items())
    assert trainer.model.peft_config["default"].init_lora_weights == "pissa"
    assert trainer.model.peft_config["ref"].init_lora_weights is True
