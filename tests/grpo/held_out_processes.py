"""One evaluation with answers that are known, in as many processes as it is started in.

accelerate launch --multi_gpu --num_processes 2 tests/grpo/held_out_processes.py FOLDER 2
"""

import json
import sys
from pathlib import Path

from datasets import Dataset

from r1_trl import R1GRPOConfig, R1GRPOTrainer, format_reward
from r1_trl.miniature import resolve_model_path

# Right answers of the 4 to each of 5 questions.
RIGHT = [4, 0, 2, 1, 0]


class KnownAnswers(R1GRPOTrainer):
    """Answers question q by `q` as often as it is to be right."""

    def _calculate_rewards(self, inputs, prompts, completions, completion_ids_list):
        first = self.accelerator.process_index * len(inputs) % 4  # where this process begins within a group
        answers = [row["solution"] if (first + i) % 4 < RIGHT[row["number"]] else "99" for i, row in enumerate(inputs)]
        texts = [f"<think>wait, a b</think><answer>{answer}</answer>" for answer in answers]
        completions = [[{"role": "assistant", "content": text}] for text in texts]
        return super()._calculate_rewards(inputs, prompts, completions, completion_ids_list)


def main(folder, processes):
    folder.mkdir(parents=True, exist_ok=True)
    args = R1GRPOConfig(
        output_dir=str(folder),
        use_cpu=True,
        bf16=False,
        activation_checkpointing=False,
        dataloader_pin_memory=False,
        report_to="none",
        disable_tqdm=True,
        per_device_train_batch_size=8,
        per_device_eval_batch_size=12 // processes,
        num_generations=4,
        max_completion_length=2,
        log_completions=True,
        num_completions_to_print=0,
    )
    rows = [
        {"prompt": [{"role": "user", "content": f"what is {q} + 0 ?"}], "solution": str(q), "number": q}
        for q in range(len(RIGHT))
    ]
    dataset = Dataset.from_list(rows)
    model = resolve_model_path("miniature:base")
    trainer = KnownAnswers(model, format_reward, args, train_dataset=dataset, eval_dataset=dataset)
    metrics = trainer.evaluate()
    if args.process_index == 0:
        (folder / "metrics.json").write_text(json.dumps(metrics))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
