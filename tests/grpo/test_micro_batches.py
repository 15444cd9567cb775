"""Micro-batches: the same rows, shorter and fewer."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from r1_trl.grpo.micro_batches import count_active, drop_zero_advantages, sort_by_length, trim


def make_batch(prompts, completions, advantages, width=12):
    """Rows with these lengths; token ids tell the row and the place."""
    rows = torch.arange(len(prompts)).unsqueeze(1)
    place = torch.arange(width)
    completion_mask = (place < torch.tensor(completions).unsqueeze(1)).long()
    prompt_mask = (place >= width - torch.tensor(prompts).unsqueeze(1)).long()
    return {
        "prompt_ids": (rows * 100 + place) * prompt_mask,
        "prompt_mask": prompt_mask,
        "completion_ids": (rows * 100 + place) * completion_mask,
        "completion_mask": completion_mask,
        "ref_per_token_logps": (rows * 100 + place).float(),
        "advantages": torch.tensor(advantages, dtype=torch.float),
        "num_items_in_batch": torch.tensor(7),
    }


def test_trim_keeps_what_the_masks_name():
    batch = trim(make_batch([3, 5], [2, 4], [1, 1]))
    assert batch["prompt_ids"].tolist() == [[0, 0, 9, 10, 11], [107, 108, 109, 110, 111]]
    assert batch["completion_ids"].tolist() == [[0, 1, 0, 0], [100, 101, 102, 103]]
    assert batch["ref_per_token_logps"].shape == (2, 4)
    assert trim(make_batch([3, 5], [2, 4], [1, 1]), multiple_of=8)["prompt_ids"].shape == (2, 8)
    assert trim(make_batch([3, 5], [2, 11], [1, 1]), multiple_of=8)["completion_ids"].shape == (2, 12)
    assert trim(make_batch([3], [0], [1]))["completion_ids"].shape == (1, 1)


lengths = st.integers(0, 12)
rows = st.lists(
    st.tuples(st.integers(1, 12), lengths, st.sampled_from([0.0, 0.0, 1.5, -0.5])), min_size=12, max_size=12
)


@settings(max_examples=50, deadline=None)
@given(rows)
def test_sorting_keeps_every_row(rows):
    batches = [make_batch(*zip(*rows[i : i + 4], strict=True)) for i in (0, 4, 8)]
    arranged = [trim(batch) for batch in sort_by_length(batches)]
    assert [len(batch["advantages"]) for batch in arranged] == [4, 4, 4]
    widths = [batch["completion_ids"].size(1) for batch in arranged]
    assert widths == sorted(widths, reverse=True)

    def contents(some):
        return sorted(
            (tuple(ids[mask == 1].tolist()), advantage.item())
            for batch in some
            for ids, mask, advantage in zip(
                batch["completion_ids"], batch["completion_mask"], batch["advantages"], strict=True
            )
        )

    assert contents(arranged) == contents(batches)


@settings(max_examples=100, deadline=None)
@given(rows, st.sampled_from(["grpo", "dr_grpo", "dapo"]), st.integers(0, 2))
def test_skipping_keeps_the_sum_over_rows(rows, loss_type, more):
    """The weight of each row in the loss: 1/B of its micro-batch, or the same for all tokens."""
    batches = [make_batch(*zip(*rows[i : i + 4], strict=True)) for i in (0, 4, 8)]
    rows_kept = min(12, max(1, count_active(batches)) + more)
    kept = drop_zero_advantages(batches, loss_type, rows_kept)
    count = -(-rows_kept // 4)
    assert [batch is None for batch in kept] == [True] * (3 - count) + [False] * count

    def weighted(some):
        total = torch.zeros(1)
        for batch in filter(None, some):
            per_row = batch["advantages"] * batch["ref_per_token_logps"].sum(dim=1)
            total += per_row.sum() / (1 if loss_type == "dapo" else len(per_row))
        return total

    torch.testing.assert_close(weighted(kept), weighted(batches))
    assert all(0 < len(batch["advantages"]) <= 4 for batch in kept if batch is not None)
    assert sum(len(batch["advantages"]) for batch in kept if batch is not None) == rows_kept


def test_every_advantage_zero_leaves_one_short_row():
    batches = [make_batch([2, 2], [5, 3], [0, 0]), make_batch([2, 2], [9, 4], [0, 0])]
    assert count_active(batches) == 0
    first, last = drop_zero_advantages(batches, "grpo", 1)
    assert first is None
    assert last["completion_mask"].sum(dim=1).tolist() == [3]
    assert last["advantages"].tolist() == [0]


def test_a_stand_in_has_no_gradient():
    batches = [make_batch([2, 2], [5, 3], [0, 2.0])]
    (kept,) = drop_zero_advantages(batches, "grpo", 1)
    assert kept["advantages"].tolist() == pytest.approx([1.0])  # half of 2: one row of two is left
    (padded,) = drop_zero_advantages(batches, "grpo", 2)
    assert padded["advantages"].tolist() == [2.0, 0.0]
    assert padded["completion_mask"].sum(dim=1).tolist() == [3, 3]
