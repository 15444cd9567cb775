"""Every trap: a recipe that falls into it is caught, and its repaired twin is not."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer

import r1_trl.doctor
from r1_trl.doctor.advice import PAPER
from r1_trl.doctor.device import Device
from r1_trl.doctor.diagnosis import examine, find_traps
from r1_trl.errors import InputError
from tests.doctor.recipes import recipe, save_config
from tests.doctor.trap_cases import CASES, MEMORY_CASES


@pytest.fixture(scope="module")
def folders(tmp_path_factory, base_path):
    """Where the `{…}` of the cases are: the model, a run's checkpoints, adapters, a reward model."""
    root = tmp_path_factory.mktemp("doctor")
    model = save_config(root / "model", base_path)
    for step in (5, 9):
        checkpoint = root / "run" / f"checkpoint-{step}"
        save_config(checkpoint, base_path)
        (checkpoint / "trainer_state.json").write_text("{}")
    (root / "run" / "checkpoint-5" / "optimizer.pt").touch()
    for name in ("adapter", "pissa"):
        base = AutoModelForCausalLM.from_pretrained(base_path)
        get_peft_model(base, LoraConfig(task_type="CAUSAL_LM", target_modules="all-linear")).save_pretrained(
            root / name
        )
        settings = json.loads((root / name / "adapter_config.json").read_text())
        settings["init_lora_weights"] = name if name == "pissa" else True
        (root / name / "adapter_config.json").write_text(json.dumps(settings))
    reward = save_config(root / "reward", base_path)
    return {"model": model, "run": str(root / "run"), "reward": reward} | {
        name: str(root / name) for name in ("adapter", "pissa")
    }


def build(case, folders):
    def fill(value):
        if isinstance(value, str):
            return re.sub(r"\{(\w+)\}", lambda match: folders[match[1]], value)
        if isinstance(value, dict):
            return {key: fill(item) for key, item in value.items()}
        return tuple(map(fill, value)) if isinstance(value, tuple) else value

    settings = fill(case)
    return recipe(settings.pop("model", folders["model"]), **settings)


def ids(cases):
    names = [case[0] for case in cases]
    return [f"{name}-{names[:index].count(name) + 1}" for index, name in enumerate(names)]


@pytest.mark.parametrize(("trap", "level", "falls", "repaired"), CASES, ids=ids(CASES))
def test_trap(folders, trap, level, falls, repaired):
    found = {finding.trap: finding for finding in find_traps(build(falls, folders))}
    assert found[trap].level == level
    assert found[trap].remedy
    assert "`" in found[trap].message, "the message names a key or a value"
    assert trap not in {finding.trap for finding in find_traps(build(repaired, folders))}


@pytest.mark.parametrize(("trap", "level", "falls", "repaired"), MEMORY_CASES, ids=ids(MEMORY_CASES))
def test_trap_of_memory(folders, trap, level, falls, repaired):
    found = {finding.trap: finding for finding in examine(build(falls, folders)).findings}
    assert found[trap].level == level
    assert trap not in {finding.trap for finding in examine(build(repaired, folders)).findings}


def test_little_room(folders):
    """A device that is a tenth larger than the tensors is warned of, and one that is a half larger is not."""
    peak = examine(build({}, folders)).estimate.peak
    for factor, expected in ((1.1, ["little-room"]), (1.5, [])):
        device = Device("a GPU", int(factor * peak), is_gpu=True, has_bf16=True)
        diagnosis = examine(build({"gpu": device}, folders))
        assert [finding.trap for finding in diagnosis.findings] == expected
        assert not diagnosis.has_errors


def test_model_that_cannot_be_traced(folders, monkeypatch):
    def refuse(*args, **kwargs):
        raise RuntimeError("a kernel of its own")

    assert "memory-unknown" not in {finding.trap for finding in examine(build({}, folders)).findings}
    monkeypatch.setattr("r1_trl.doctor.memory.trace_update", refuse)
    diagnosis = examine(build({}, folders))
    assert [finding.message for finding in diagnosis.findings if finding.trap == "memory-unknown"] == [
        "the memory of `qwen2` cannot be traced: a kernel of its own"
    ]
    assert diagnosis.estimate is None
    assert not diagnosis.has_errors


def test_adapter_whose_base_is_gone(folders, tmp_path):
    """TRL's trap 5 is closed, except where the adapter's base cannot be found."""
    assert build({"model": "{adapter}"}, folders).starts_from_adapter
    (tmp_path / "lost").mkdir()
    for file in Path(folders["adapter"]).iterdir():
        (tmp_path / "lost" / file.name).write_bytes(file.read_bytes())
    settings = json.loads((tmp_path / "lost" / "adapter_config.json").read_text())
    settings["base_model_name_or_path"] = "./nowhere"
    (tmp_path / "lost" / "adapter_config.json").write_text(json.dumps(settings))
    with pytest.raises(InputError, match=r"names the base `\./nowhere`: no such folder"):
        recipe(str(tmp_path / "lost"))


def test_other_starts_than_the_adapter(folders):
    """Merged, or from the base: the run trains a whole model, or a new adapter on it."""
    for start in ("merge_adapter", "from_base"):
        whole = build({"model": "{adapter}", "model_settings": {start: True}}, folders)
        assert (whole.starts_from_adapter, whole.adapter) == (False, None)
        assert whole.config.model_type == "qwen3"
        settings = {start: True, "use_peft": True, "lora_r": 3}
        new = build({"model": "{pissa}", "model_settings": settings}, folders)
        assert (new.starts_from_adapter, new.adapter.r) == (False, 3)
        assert "lora-initialisation" not in {finding.trap for finding in find_traps(new)}


def test_messages_without_a_template(folders, base_path, tmp_path):
    model = save_config(tmp_path / "plain", base_path)
    tokenizer = AutoTokenizer.from_pretrained(model)
    tokenizer.chat_template = None
    (tmp_path / "plain" / "chat_template.jinja").unlink(missing_ok=True)
    tokenizer.save_pretrained(model)
    row = {"prompt": [{"role": "user", "content": "5 + 3"}], "solution": "8"}
    assert recipe(folders["model"], rows=[row]).prompt_tokens > 3
    with pytest.raises(InputError, match="no chat template"):
        recipe(model, rows=[row])


def test_default_recipe_falls_into_nothing(folders):
    assert find_traps(build({}, folders)) == []


def test_every_trap_has_a_case_and_a_line_in_the_docs():
    package = Path(r1_trl.doctor.__file__).parent
    source = "".join(path.read_text(encoding="utf-8") for path in package.glob("*.py"))
    known = set(re.findall(r"Finding\(\s*\"([a-z0-9-]+)\"", source)) | set(
        re.findall(r"\"(trl-[a-z]+-reward)\"", source)
    )
    known |= {f"{phase}-does-not-fit" for phase in ("rollout", "rewards", "update")}
    known |= {f"paper-{name.replace('_', '-')}" for name in PAPER}
    known -= {"gguf"}  # the example in the docstring of Finding
    assert len(known) > 35
    assert known == {case[0] for case in CASES + MEMORY_CASES} | {
        "little-room",
        "memory-unknown",
        "rewards-does-not-fit",
    }
    docs = (package.parent.parent / "docs" / "pages" / "doctor.md").read_text(encoding="utf-8")
    assert {trap for trap in known if f"`{trap}`" not in docs} == set()
