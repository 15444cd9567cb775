"""Two optimizer steps, as `accelerate launch` starts them: writes each rank's gradient, its reference and the logs.

accelerate launch --multi_gpu --num_processes 2 tests/integration/two_processes.py FOLDER full|lora|skip 2
"""

import sys
from pathlib import Path

import torch
from datasets import Dataset
from peft import LoraConfig, PeftModel
from transformers import TrainerCallback

from r1_trl.grpo.config import R1GRPOConfig
from r1_trl.grpo.reference import adapter_pairs
from r1_trl.grpo.trainer import R1GRPOTrainer
from r1_trl.miniature import resolve_model_path
from r1_trl.tasks.arithmetic import question_rows


def reward(prompts, completion_ids, **kwargs):
    """No spread in the groups of every other question."""
    return [
        float(len(ids) % 5) if len(str(prompt)) % 2 else 1.0
        for prompt, ids in zip(prompts, completion_ids, strict=True)
    ]


class SameCompletions(R1GRPOTrainer):
    """Answers every prompt by the same tokens, whatever the number of processes."""

    def _generate_single_turn(self, prompt_ids, *args, **kwargs):
        seen = {}
        completions = []
        for ids in prompt_ids:
            nth = seen[tuple(ids)] = seen.get(tuple(ids), 0) + 1
            completions.append([5 + (sum(ids) + nth * i) % 40 for i in range(3 + (sum(ids) * nth) % 20)])
        return completions, None


class Gradient(TrainerCallback):
    def __init__(self, folder):
        self.folder = folder

    def on_pre_optimizer_step(self, args, state, control, model=None, **kwargs):
        gradient = {
            name.removeprefix("module."): w.grad.clone() for name, w in model.named_parameters() if w.grad is not None
        }
        torch.save(gradient, self.folder / f"gradient_{args.world_size}_{args.process_index}.pt")


def reference_weights(trainer):
    """The reference, replaced after the last step, beside the policy that replaced it."""
    policy = trainer.accelerator.unwrap_model(trainer.model)
    if isinstance(policy, PeftModel):
        return [(mine.data, reference.data) for mine, reference in adapter_pairs(policy)]
    reference = trainer.accelerator.unwrap_model(trainer.ref_model)
    return list(zip(policy.state_dict().values(), reference.state_dict().values(), strict=True))


def main(folder, kind, processes):
    args = R1GRPOConfig(
        output_dir=str(folder / f"run{processes}"),
        use_cpu=True,
        bf16=False,
        activation_checkpointing=False,
        dataloader_pin_memory=False,
        report_to="none",
        save_strategy="no",
        logging_steps=1,
        disable_tqdm=True,
        per_device_train_batch_size=16 // processes,
        gradient_accumulation_steps=2,
        num_generations=4,
        max_completion_length=24,
        max_grad_norm=0.0,
        max_steps=2,
        shuffle_dataset=False,
        beta=0.0 if kind == "skip" else 0.1,
        ref_model_sync_steps=2,
        seed=1,
    )
    trainer = SameCompletions(
        resolve_model_path("miniature:base"),
        reward,
        args,
        train_dataset=Dataset.from_list(question_rows("train", 64)),
        peft_config=LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False) if kind == "lora" else None,
    )
    trainer.add_callback(Gradient(folder))
    trainer.train()
    if kind != "skip":
        torch.save(reference_weights(trainer), folder / f"reference_{processes}_{args.process_index}.pt")
    torch.save([entry for entry in trainer.state.log_history if "loss" in entry], folder / f"logs_{processes}.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
