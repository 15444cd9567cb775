"""The ledger's arithmetic, the table of cards, and the table of the paper."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

from r1_trl.errors import InputError
from r1_trl.tracking.card_prices import CARDS, find_card, named_card
from r1_trl.tracking.config import TrackingConfig
from r1_trl.tracking.cost import GIB, rounded, sampling_cost, stage_cost
from r1_trl.tracking.ledger import count_weights
from r1_trl.tracking.paper_cost import paper_cost

seconds = st.floats(0, 1e7)


def test_the_papers_own_table():
    """arXiv 2501.12948v2, Table 7."""
    table = paper_cost()
    assert {part: numbers["gpu_hours"] / 1000 for part, numbers in table.items()} == {
        "R1-Zero": 101,
        "SFT data": 5,
        "R1": 41,
        "total": 147,
    }
    assert {part: numbers["usd"] / 1000 for part, numbers in table.items()} == {
        "R1-Zero": 202,
        "SFT data": 10,
        "R1": 82,
        "total": 294,
    }
    hours = 64 * 8 * 198  # GPUs and wall hours of R1-Zero, as the paper's text has them
    assert hours == pytest.approx(table["R1-Zero"]["gpu_hours"], rel=0.01)
    cost = stage_cost(198 * 3600, tokens_generated=0, device="NVIDIA H800", devices=512)
    assert (cost["device_hours"], cost["usd"]) == (hours, 2 * hours)


@pytest.mark.parametrize(
    ("device", "card"),
    [
        ("Tesla T4", "T4"),
        ("NVIDIA L4", "L4"),
        ("NVIDIA L40S", None),  # not an L4
        ("NVIDIA A10G", "A10G"),
        ("NVIDIA A10", None),
        ("NVIDIA GeForce RTX 3090", "RTX 3090"),
        ("NVIDIA GeForce RTX 3090 Ti", None),
        ("NVIDIA GeForce RTX 4090 Laptop GPU", None),
        ("NVIDIA GeForce RTX 4090 D", None),
        ("NVIDIA A100-SXM4-80GB", "A100"),
        ("NVIDIA A100 80GB PCIe", "A100 PCIe"),
        ("NVIDIA A100-SXM4-40GB", "A100 40GB"),
        ("NVIDIA A100-SXM4-80GB MIG 3g.40gb", None),  # a part of a card
        ("NVIDIA H100 80GB HBM3", "H100"),
        ("NVIDIA H100 PCIe", "H100 PCIe"),
        ("NVIDIA H100 NVL", "H100 NVL"),
        ("NVIDIA H200", "H200"),
        ("NVIDIA H800", "H800"),
        ("cpu", None),
        ("", None),
    ],
)
def test_cards_by_the_names_of_their_driver(device, card):
    found = find_card(device)
    assert (found and found.name) == card


def test_each_card_finds_itself_and_says_its_source():
    for name, card in CARDS.items():
        assert find_card(name) == named_card(name.lower()) == card
        assert card.usd > 0
        assert card.tflops > 0
        assert card.source
        assert card.date[:2] == "20"


def test_an_unknown_card_is_refused():
    with pytest.raises(InputError, match=r"`card: h1000` is not in the table; did you mean `H100`\?"):
        named_card("h1000")


@pytest.mark.parametrize("price", [-0.01, float("nan"), float("inf")])
def test_a_price_that_is_none_is_refused(price):
    with pytest.raises(InputError, match="gpu_hour_usd"):
        TrackingConfig(gpu_hour_usd=price)


def test_closed_form():
    cost = stage_cost(
        90 * 60,
        tokens_generated=7,
        tokens_trained=11,
        peak_memory=3 * GIB,
        devices=4,
        gpu_hour_usd=0.5,
        model_params=9,
    )
    assert cost == {
        "wall_seconds": 5400,
        "device_hours": 6.0,
        "device": "cpu",
        "processes": 4,
        "tokens_generated": 7,
        "tokens_trained": 11,
        "peak_memory_gb": 3.0,
        "gpu_hour_usd": 0.5,
        "usd": 3.0,
        "model_params": 9,
    }


def test_dollars_are_unknown_on_a_cpu_and_free_at_no_price():
    assert stage_cost(3600, tokens_generated=0)["usd"] is None
    assert stage_cost(3600, tokens_generated=0, gpu_hour_usd=0.0)["usd"] == 0.0
    assert stage_cost(3600, tokens_generated=0, device="Tesla T4", gpu_hour_usd=0.0)["usd"] == 0.0


@given(st.lists(st.tuples(seconds, st.integers(1, 64), st.floats(0, 10)), min_size=1, max_size=5))
def test_starts_add_up(starts):
    """Whatever devices and prices they had."""
    before = None
    for wall, devices, price in starts:
        before = stage_cost(wall, tokens_generated=0, devices=devices, gpu_hour_usd=price, before=before)
    assert before["wall_seconds"] == pytest.approx(sum(wall for wall, _, _ in starts))
    assert before["device_hours"] == pytest.approx(sum(wall / 3600 * devices for wall, devices, _ in starts))
    assert before["usd"] == pytest.approx(sum(wall / 3600 * devices * price for wall, devices, price in starts))


def test_the_largest_memory_of_all_starts_counts():
    before = stage_cost(1, tokens_generated=0, peak_memory=2 * GIB)
    assert stage_cost(1, tokens_generated=0, peak_memory=GIB, before=before)["peak_memory_gb"] == 2.0
    assert stage_cost(1, tokens_generated=0, peak_memory=3 * GIB, before=before)["peak_memory_gb"] == 3.0


def test_sampling_leaves_training_at_nothing():
    cost = sampling_cost(3600, 100, 1.5, use_cpu=True, devices=2)
    assert (cost["tokens_generated"], cost["tokens_trained"], cost["device_hours"], cost["usd"]) == (100, 0, 2.0, 3.0)
    assert 0 < cost["peak_memory_gb"] < 1000


def test_weights_of_an_adapter_do_not_count(base_path):
    model = AutoModelForCausalLM.from_pretrained(base_path)
    size = model.num_parameters()
    assert count_weights(model) == size
    adapted = get_peft_model(model, LoraConfig(r=4, target_modules="all-linear"))
    assert count_weights(adapted) == size
    adapted.add_adapter("ref", LoraConfig(r=4, target_modules="all-linear"))
    assert count_weights(adapted) == size


def test_partitioned_weights_count_whole():
    weight = torch.nn.Parameter(torch.empty(0))
    weight.ds_numel = 12  # as DeepSpeed ZeRO-3 leaves it
    module = torch.nn.Module()
    module.register_parameter("weight", weight)
    assert count_weights(module) == 12


def test_a_file_gets_few_digits():
    assert rounded({"wall_seconds": 1 / 3, "device_hours": 1 / 3, "usd": None, "device": "cpu", "processes": 1}) == {
        "wall_seconds": 0.3,
        "device_hours": 0.333333,
        "usd": None,
        "device": "cpu",
        "processes": 1,
    }
