"""What `r1-trl doctor` says of the recipes for one card, kept in each folder's `doctor.json`.

`python -m tests.recipes.memory` writes these files; the tables of the READMEs show them. The models' published
configurations stand in `configs/`, so that no network is needed; weights are never loaded.
"""

import json
import shutil
import sys
import tempfile
from pathlib import Path

from peft import LoraConfig
from transformers import AutoConfig

from r1_trl.doctor.command import make_parser, settle_device
from r1_trl.doctor.device import GIB
from r1_trl.doctor.diagnosis import Diagnosis, examine
from r1_trl.doctor.recipe import Recipe, read_recipe
from r1_trl.doctor.workload import Workload, workload_of
from r1_trl.files import write_json
from r1_trl.miniature import resolve_model_path
from r1_trl.preference.folder import KINDS
from r1_trl.stages.models import check_model, settle_model_args
from r1_trl.stages.rewards import load_reward_funcs, named_rewards
from tests.recipes.folders import GRPO_ON_A_CARD, card_of, name, settings

MODELS = Path(__file__).parent / "configs"
RECORD = "doctor.json"


def local_model(hub_id: str, folder: Path) -> Path:
    """A folder with the model's configuration and some tokenizer, as far as the doctor looks."""
    if hub_id.startswith("miniature:"):
        return Path(resolve_model_path(hub_id))
    local = folder / hub_id.split("/")[-1]
    if not local.exists():
        shutil.copytree(MODELS / local.name, local)
        for file in Path(resolve_model_path("miniature:base")).glob("*token*"):
            shutil.copy(file, local)
    return local


def local_reward_model(path: Path, folder: Path) -> Path:
    """What `r1-trl reward-model` would leave of a recipe, without its weights."""
    given = settings(path)
    local = folder / f"{path.parent.name}_{path.stem}"
    base = local_model(given["model_name_or_path"], folder)
    if given.get("use_peft"):
        LoraConfig(
            task_type="SEQ_CLS",
            r=given["lora_r"],
            target_modules="all-linear",
            base_model_name_or_path=str(base),
            modules_to_save=["score"],
        ).save_pretrained(local)
    else:
        config = AutoConfig.from_pretrained(base, num_labels=1)
        config.architectures = [config.architectures[0].replace("CausalLM", "SequenceClassification")]
        config.save_pretrained(local)
    write_json(local / "reward_model.json", {"kind": given["kind"], "scores": KINDS[given["kind"]]})
    for file in base.glob("*token*"):
        shutil.copy(file, local)
    return local


def arguments(path: Path, folder: Path) -> list[str]:
    """Of `r1-trl doctor`, for a recipe of `r1-trl grpo`, on the card in its folder's name or on this machine's CPU.

    A run that starts from the adapter of an earlier stage is read as one that starts from the base with a new adapter
    of the same settings, which takes the same memory.
    """
    base = local_model(settings(path.parent / "sft.yaml")["model_name_or_path"], folder)
    argv = ["--config", str(path), "--model_name_or_path", str(base)]
    if card := card_of(path.parent):
        argv += ["--gpu", card]
    kwargs = settings(path).get("reward_kwargs", {})
    for reward in ("helpful", "safety"):
        if f"{reward}_reward" in kwargs:
            trained = local_reward_model(path.parent / f"{reward}.yaml", folder)
            kwargs[f"{reward}_reward"]["model_name_or_path"] = str(trained)
    return [*argv, "--reward_kwargs", json.dumps(kwargs)]


def read(path: Path, folder: Path) -> Recipe:
    """A recipe as the doctor reads it, with prompts of the length that it assumes without a dataset."""
    config, training_args, script_args, model_args, _ = make_parser().parse(arguments(path, folder))
    device = settle_device(config.gpu, training_args)
    dtype = model_args.dtype
    settle_model_args(check_model(model_args), model_args, training_args)
    model_args.dtype = dtype  # left open, it follows the card
    names = script_args.reward_funcs
    rewards = named_rewards(names, load_reward_funcs(names, script_args.reward_kwargs))
    return read_recipe(training_args, model_args, device, rewards)


def sizes(workload: Workload) -> dict[str, str]:
    """What decides the memory, as text: a record of other sizes is out of date."""
    plain = {
        key: str(value)
        for key, value in vars(workload).items()
        if key not in ("config", "peft_config", "reward_models")
    }
    model = workload.config
    adapter = workload.peft_config
    return plain | {
        "model": f"{model.model_type} {model.num_hidden_layers} x {model.hidden_size}, {model.vocab_size} tokens",
        "adapter": "none" if adapter is None else f"rank {adapter.r}, {adapter.target_modules}",
        "reward_models": "; ".join(
            f"{scorer.config.num_hidden_layers} x {scorer.config.hidden_size}, {scorer.rows} rows of {scorer.tokens}"
            for scorer in workload.reward_models
        ),
    }


def record(diagnosis: Diagnosis) -> dict:
    """The estimate in gigabytes of 2³⁰ bytes, and what it is of."""
    assert diagnosis.estimate is not None
    return {
        "card": diagnosis.recipe.device.name,
        "card_gb": round(diagnosis.recipe.device.memory / GIB, 2),
        "peak_gb": round(diagnosis.estimate.peak / GIB, 2),
        "phases_gb": {phase: round(memory.total / GIB, 2) for phase, memory in diagnosis.estimate.phases.items()},
        "sizes": sizes(workload_of(diagnosis.recipe)),
    }


def main(names: list[str]) -> None:
    """Writes `doctor.json` into the named folders, or into all."""
    with tempfile.TemporaryDirectory() as temporary:
        for folder in sorted({path.parent for path in GRPO_ON_A_CARD}):
            if names and folder.name not in names:
                continue
            found = {}
            for path in (path for path in GRPO_ON_A_CARD if path.parent == folder):
                diagnosis = examine(read(path, Path(temporary)))
                found[path.name] = record(diagnosis)
                print(name(path), found[path.name]["phases_gb"], *diagnosis.findings, sep="\n  ")
            write_json(folder / RECORD, found)


if __name__ == "__main__":
    main(sys.argv[1:])
