"""Every recipe of RL for one card passes the doctor for that card.

The estimates take seconds each, so those of `doctor.json` are compared with today's settings here, and computed again
by the slow test; the smallest model's are computed in both.
"""

import json
import re

import pytest

from r1_trl.doctor.command import main as doctor
from r1_trl.doctor.diagnosis import Diagnosis, examine, find_traps
from r1_trl.doctor.fit import fit_findings
from r1_trl.doctor.memory import Estimate, Memory
from r1_trl.doctor.workload import workload_of
from tests.recipes.folders import GRPO_ON_A_CARD, name, of_command
from tests.recipes.memory import RECORD, arguments, read, record, sizes

ON_A_CPU = [path for path in of_command("grpo") if path.parent.name.endswith("_cpu")]
SMALLEST = [path for path in GRPO_ON_A_CARD if path.parent.name.startswith("qwen2.5_0.5b")]


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    return tmp_path_factory.mktemp("models")


def recorded(path):
    return json.loads((path.parent / RECORD).read_text(encoding="utf-8"))[path.name]


@pytest.mark.parametrize("path", GRPO_ON_A_CARD, ids=name)
def test_no_error_and_no_warning_without_an_explanation(path, models):
    recipe, kept = read(path, models), recorded(path)
    phases = {phase: Memory(weights=int(gb * 2**30)) for phase, gb in kept["phases_gb"].items()}
    findings = find_traps(recipe) + list(fit_findings(recipe, workload_of(recipe), Estimate(phases), False))
    told = [finding for finding in findings if finding.level != "note"]
    assert not [finding for finding in told if finding.level == "error"]
    assert all(f"`{finding.trap}`" in path.read_text() for finding in told), told
    assert not [finding for finding in findings if finding.trap.startswith(("lora-", "paper-", "reference-"))]


@pytest.mark.parametrize("path", GRPO_ON_A_CARD, ids=name)
def test_the_record_is_of_these_settings(path, models):
    recipe, kept = read(path, models), recorded(path)
    assert kept["sizes"] == sizes(workload_of(recipe)), "`python -m tests.recipes.memory` writes doctor.json again"
    room = 0.92 if "`little-room`" in path.read_text() else 0.8  # where vLLM takes a fixed share
    assert kept["peak_gb"] == max(kept["phases_gb"].values()) <= room * kept["card_gb"]


@pytest.mark.parametrize("path", ON_A_CPU, ids=name)
def test_recipes_without_a_gpu_fit_a_small_laptop(path, models, capsys):
    doctor(arguments(path, models))
    said, text = capsys.readouterr().out, (path.parent / "README.md").read_text(encoding="utf-8")
    peak = max(map(float, re.search(r"^ +total(.*)$", said, re.MULTILINE)[1].split()))
    assert "0 errors, 0 warnings" in said
    assert 2 * peak < int(
        re.search(r"two CPU cores, (\d) GB of memory", text)[1]
    )  # Python and torch take some as well
    if path.parent.name == "miniature_cpu" and path.name == "grpo.yaml":  # whose tokenizer is at hand
        assert f"`r1-trl doctor` estimates {peak:.1f} GB" in text


@pytest.mark.parametrize("path", GRPO_ON_A_CARD, ids=name)
def test_precision_is_that_of_the_card(path, models):
    recipe = read(path, models)
    half = "fp16" if recipe.device.name == "t4" else "bf16"
    assert recipe.mixed_precision == half
    assert str(recipe.dtype) == ("torch.bfloat16" if recipe.adapter else "torch.float32")


@pytest.mark.parametrize("path", SMALLEST[:1], ids=name)
def test_the_estimate_is_the_record(path, models):
    _compare(path, models)


@pytest.mark.slow
@pytest.mark.parametrize("path", GRPO_ON_A_CARD, ids=name)
def test_every_estimate_is_the_record(path, models):
    _compare(path, models)


def _compare(path, models):
    diagnosis: Diagnosis = examine(read(path, models), with_remedies=False)
    assert record(diagnosis) == recorded(path)
