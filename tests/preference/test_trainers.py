"""The point-wise loss and its metrics are those of their definitions."""

import math

import numpy as np
import pytest
import torch
from datasets import Dataset
from hypothesis import given
from hypothesis import strategies as st
from transformers import EvalPrediction
from trl import RewardConfig

from r1_trl.preference.trainers import PointwiseRewardTrainer, binary_metrics
from tests.preference.reward_data import CPU, label_rows


@given(st.lists(st.tuples(st.integers(-3, 3), st.booleans()), min_size=2, max_size=30))
def test_auc_counts_pairs(rows):
    scores, labels = np.array([[float(score)] for score, _ in rows]), np.array([int(label) for _, label in rows])
    metrics = binary_metrics(EvalPrediction(scores, labels))
    safe, unsafe = scores[labels == 1].ravel(), scores[labels == 0].ravel()
    if not len(safe) or not len(unsafe):
        assert "auc" not in metrics
        return
    wins = [(one > other) + 0.5 * (one == other) for one in safe for other in unsafe]
    assert metrics["auc"] == pytest.approx(sum(wins) / len(wins))
    assert metrics["accuracy"] == pytest.approx(np.mean((scores.ravel() > 0) == (labels == 1)))


def test_loss_is_binary_cross_entropy(base_path, tmp_path):
    rows = Dataset.from_list(list(label_rows("train", 6)))
    args = RewardConfig(output_dir=str(tmp_path), **CPU)
    trainer = PointwiseRewardTrainer(base_path, args, train_dataset=rows, eval_dataset=rows, record={})
    batch = trainer.data_collator([trainer.train_dataset[i] for i in range(6)])
    assert (batch["input_ids"][:, 0] != trainer.processing_class.pad_token_id).all(), "padded on the right"
    loss, outputs = trainer.compute_loss(trainer.model, dict(batch), return_outputs=True)
    logits = outputs.logits.squeeze(-1).tolist()
    expected = [
        -math.log(1 / (1 + math.exp(-logit if label else logit)))
        for logit, label in zip(logits, batch["labels"].tolist(), strict=True)
    ]
    assert float(loss) == pytest.approx(sum(expected) / len(expected), rel=1e-5)
    metrics = trainer.evaluate()
    assert metrics["eval_loss"] == pytest.approx(float(loss), rel=1e-4)
    assert 0 <= metrics["eval_auc"] <= 1
    assert torch.is_tensor(batch["labels"])
