"""The trainers of the two reward models: pairs by TRL's `RewardTrainer`, single responses by a subclass of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from datasets import Dataset
from transformers import DataCollatorWithPadding, EvalPrediction
from trl import RewardTrainer

from r1_trl.checkpoints import WholeCheckpoints
from r1_trl.files import write_json
from r1_trl.preference.folder import RECORD
from r1_trl.preference.text import response_ids, scored_text


class R1RewardTrainer(WholeCheckpoints, RewardTrainer):
    """[`~trl.RewardTrainer`], pair-wise: −log σ(r_chosen − r_rejected) [N, helpful reward model].

    The only changes: checkpoints are whole or not taken, and every folder says what its model scores.

    Args:
        record (`dict`): Content of `reward_model.json`.
        *args, **kwargs: As in [`~trl.RewardTrainer`].
    """

    def __init__(self, *args: Any, record: dict[str, Any], **kwargs: Any) -> None:
        self.record = record
        super().__init__(*args, **kwargs)

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        super()._save(output_dir, state_dict)
        write_json(Path(output_dir or str(self.args.output_dir)) / RECORD, self.record)


class PointwiseRewardTrainer(R1RewardTrainer):
    """[`R1RewardTrainer`] on single responses: −y log σ(r) − (1 − y) log(1 − σ(r)) [N, safety reward model].

    The only changes: the rows (`prompt`, `completion`, `label`: 1 for safe, 0 for unsafe), the loss and its metrics.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, compute_metrics=binary_metrics, **kwargs)
        tokenizer: Any = self.processing_class
        tokenizer.padding_side = "right"
        multiple: int | None = getattr(self.args, "pad_to_multiple_of", None)
        self.data_collator = DataCollatorWithPadding(tokenizer, pad_to_multiple_of=multiple)
        self.label_names = ["labels"]  # gathered for the metrics

    def _prepare_dataset(self, dataset: Any, processing_class: Any, args: Any, dataset_name: str) -> Any:
        if "input_ids" in (dataset.column_names or []):
            return dataset

        def tokenize(row: dict[str, Any]) -> dict[str, Any]:
            text = scored_text(row["completion"], "response") or ""
            return {"input_ids": response_ids(processing_class, row["prompt"], text), "label": int(row["label"])}

        stored = isinstance(dataset, Dataset)
        how: dict[str, Any] = (
            {"num_proc": args.dataset_num_proc, "desc": f"Tokenizing {dataset_name}"} if stored else {}
        )
        dataset = dataset.map(tokenize, remove_columns=dataset.column_names, **how)
        if args.max_length is not None:
            dataset = dataset.filter(lambda row: len(row["input_ids"]) <= args.max_length)
        return dataset

    def _set_signature_columns_if_needed(self) -> None:
        self._signature_columns: Any = ["input_ids", "label"]

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        labels = inputs["labels"].float()  # (B,)
        outputs = model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"], use_cache=False)
        logits = outputs.logits.squeeze(-1).float()  # (B,)
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, labels)
        if model.training:
            right = ((logits > 0) == (labels > 0.5)).float().detach()
            self._metrics["train"]["accuracy"].append(self.accelerator.gather_for_metrics(right).mean().item())
            rewards = self.accelerator.gather_for_metrics(logits.detach())
            self._metrics["train"]["mean_reward"].append(rewards.mean().item())
            tokens = self.accelerator.gather_for_metrics(inputs["attention_mask"].sum()).sum().item()
            self._total_train_tokens += tokens
            self._metrics["train"]["num_tokens"] = [self._total_train_tokens]
        return (loss, outputs) if return_outputs else loss


def binary_metrics(prediction: EvalPrediction) -> dict[str, float]:
    """Accuracy at probability one half, and the area under the ROC curve: how often a safe response outranks an
    unsafe one, ties counted half.

    >>> binary_metrics(EvalPrediction(np.array([[2.0], [-1.0], [1.0]]), np.array([1, 0, 0])))
    {'accuracy': 0.6666666666666666, 'auc': 1.0}
    """
    scores, labels = np.asarray(prediction.predictions).reshape(-1), np.asarray(prediction.label_ids).reshape(-1) > 0.5
    accuracy = float(np.mean((scores > 0) == labels))
    safe, unsafe = int(labels.sum()), int((~labels).sum())
    ranks = pd.Series(scores).rank().to_numpy()
    if not safe or not unsafe:
        return {"accuracy": accuracy}  # one class has no curve
    return {"accuracy": accuracy, "auc": float((ranks[labels].sum() - safe * (safe + 1) / 2) / (safe * unsafe))}
