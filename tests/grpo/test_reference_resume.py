"""A reference that was replaced in mid-run is saved with the checkpoint, and a resumed run goes on from it."""

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM, BitsAndBytesConfig, TrainerCallback

from r1_trl import R1GRPOConfig, R1GRPOTrainer

REPLACED, SAVED, LAST = 2, 3, 4  # steps: the reference is the policy of step 2, and the policy of step 3 is another
LORA = LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM")
NF4 = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype="float32")


def varied_reward(completion_ids, **kwargs):
    """Differs within every group."""
    return [float(index % 5) for index, _ in enumerate(completion_ids)]


class Record(TrainerCallback):
    """Keeps both adapters as each step leaves them (step 0: as training begins), and each step's KL."""

    def __init__(self):
        self.adapters, self.kl = {}, {}

    def keep(self, model, step):
        self.adapters[step] = {
            adapter: {
                name.replace(f".{adapter}.", "."): weight.detach().clone()
                for name, weight in model.named_parameters()
                if f".{adapter}." in name
            }
            for adapter in ("default", "ref")
        }

    def on_train_begin(self, args, state, control, model=None, **kwargs):
        self.keep(model, 0)

    def on_step_end(self, args, state, control, model=None, **kwargs):
        self.keep(model, state.global_step)

    def on_log(self, args, state, control, logs=None, **kwargs):
        if "kl" in logs:
            self.kl[state.global_step] = logs["kl"]


def equal(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("start", ["fresh", "loaded"])
@pytest.mark.parametrize("quantization_config", [None, NF4], ids=["LoRA", "QLoRA"])
def test_replaced_reference_survives_a_resume(cpu_args, base_path, questions, tmp_path, quantization_config, start):
    settings = {**cpu_args, "max_completion_length": 12, "save_strategy": "steps", "learning_rate": 1e-2, "beta": 0.1}
    args = R1GRPOConfig(**settings, max_steps=LAST, save_steps=SAVED, ref_model_sync_steps=REPLACED)
    if start == "loaded":
        torch.manual_seed(1)
        get_peft_model(AutoModelForCausalLM.from_pretrained(base_path), LORA).save_pretrained(tmp_path / "adapter")

    def run(checkpoint):
        record, policy = Record(), base_path
        kwargs = {"quantization_config": quantization_config, "peft_config": LORA}
        if start == "loaded":
            base = AutoModelForCausalLM.from_pretrained(base_path, quantization_config=quantization_config)
            policy, kwargs = PeftModel.from_pretrained(base, tmp_path / "adapter", is_trainable=True), {}
        trainer = R1GRPOTrainer(policy, varied_reward, args, questions, **kwargs)
        # After the replacement's own callback, so that it sees what a step leaves behind.
        trainer.add_callback(record)
        trainer.train(resume_from_checkpoint=checkpoint)
        return record

    whole = run(None)
    saved = whole.adapters[SAVED]
    assert equal(saved["ref"], whole.adapters[REPLACED]["default"])
    assert not equal(saved["ref"], saved["default"])
    assert not equal(saved["ref"], whole.adapters[0]["ref"])

    resumed = run(f"{args.output_dir}/checkpoint-{SAVED}")
    assert equal(resumed.adapters[0]["ref"], saved["ref"])
    assert equal(resumed.adapters[0]["default"], saved["default"])
    assert abs(whole.kl[LAST]) > 1e-5
    assert resumed.kl[LAST] == whole.kl[LAST]
    assert equal(resumed.adapters[LAST]["default"], whole.adapters[LAST]["default"])


def test_memory_of_the_reference(cpu_args, base_path, questions):
    """The adapter's weights once more, and nothing in the optimizer."""
    trainer = R1GRPOTrainer(base_path, varied_reward, R1GRPOConfig(**cpu_args), questions, peft_config=LORA)
    size = {"default": 0, "ref": 0}
    for name, weight in trainer.model.named_parameters():
        for adapter in size:
            size[adapter] += weight.nbytes if f".{adapter}." in name else 0
    trained = [weight for group in trainer.create_optimizer().param_groups for weight in group["params"]]
    assert size["ref"] == size["default"] == sum(weight.nbytes for weight in trained) > 0
