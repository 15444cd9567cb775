"""`r1-trl reward-model`: the preference rewards of RL stage 2, trained by TRL's `RewardTrainer`.

Two kinds, as in the paper (section 3): *helpful* learns from pairs and scores the final answer, *safety* learns from
labels and scores the whole response.
"""

from __future__ import annotations

import time
from typing import Any

from datasets import Dataset, IterableDataset
from peft import PeftConfig, PeftModel, get_peft_model, load_peft_weights, set_peft_model_state_dict
from transformers import AutoModelForSequenceClassification, AutoTokenizer
from trl import get_quantization_config
from trl.trainer.reward_trainer import suppress_seqcls_warning
from trl.trainer.utils import create_model_from_path

from r1_trl.errors import InputError
from r1_trl.grpo.adapters import keep_adapter, settle_adapter_dtype
from r1_trl.preference.head import keep_head_exact
from r1_trl.preference.text import template_problem
from r1_trl.preference.trainers import PointwiseRewardTrainer, R1RewardTrainer
from r1_trl.stages.adapters import QUANTISATION, Adapter, find_adapter, load_processing_class
from r1_trl.stages.arguments import StageParser, arguments_as_dict
from r1_trl.stages.data import MIXTURE, load_datasets
from r1_trl.stages.models import (
    model_init_kwargs,
    policy_arguments,
)
from r1_trl.stages.reward_config import R1RewardConfig, RewardBaseConfig, RewardModelArguments
from r1_trl.stages.reward_rows import prepare_rows
from r1_trl.stages.training import settle_start, train
from r1_trl.tasks.config import R1DatasetMixtureConfig
from r1_trl.tracking.config import TrackingConfig

TRAINERS: dict[str, Any] = {"helpful": R1RewardTrainer, "safety": PointwiseRewardTrainer}
SHOWN = ("loss", "accuracy", "margin", "eval_loss", "eval_accuracy", "eval_auc")


def make_parser() -> StageParser:
    """The parser of `r1-trl reward-model`."""
    summary = "a helpful (pairs) or safety (labels) reward model, by TRL's RewardTrainer"
    types = [RewardModelArguments, R1RewardConfig, RewardBaseConfig, R1DatasetMixtureConfig, TrackingConfig]
    return StageParser("reward-model", summary, types)


def main(argv: list[str]) -> None:
    """Runs the stage.

    Args:
        argv (`list[str]`): The words after `r1-trl reward-model`.

    Raises:
        InputError: Before any model loads.
    """
    started = time.monotonic()
    script_args, training_args, model_args, mixture_args, tracking = make_parser().parse(argv)
    if script_args.kind is None:
        raise InputError("`kind` is missing: helpful (pairs) or safety (labels)")
    model_path = settle_start(argv, model_args, training_args)
    name = script_args.dataset_name or MIXTURE
    loaded = load_datasets(script_args, mixture_args, training_args)
    rows, held_out = (
        None
        if dataset is None
        else prepare_rows(dataset, script_args.kind, script_args.scores, script_args.use_margin, name)
        for dataset in loaded
    )
    check_template(model_path, model_args, training_args, script_args.scores, rows)
    start = start_arguments(model_path, model_args, training_args)
    with keep_adapter(start["model"]):
        trainer: Any = TRAINERS[script_args.kind](
            args=training_args,
            train_dataset=rows,
            eval_dataset=held_out,
            record=make_record(script_args, model_args),
            **start,
        )
    settle_precision(trainer)
    check_length(trainer, rows, name)
    train(
        trainer,
        "reward-model",
        (model_args.model_name_or_path, model_path),
        (name, loaded[0]),
        SHOWN,
        started,
        tracking,
        arguments_as_dict(script_args, model_args, mixture_args, tracking, training_args),
    )


def make_record(script_args: RewardModelArguments, model_args: RewardBaseConfig) -> dict[str, Any]:
    """The content of `reward_model.json`: what the model scores, and how the base under an adapter is quantised."""
    record: dict[str, Any] = {"kind": script_args.kind, "scores": script_args.scores}
    if model_args.load_in_4bit or model_args.load_in_8bit:
        record |= {name: getattr(model_args, name) for name in QUANTISATION}
    return record


def check_template(
    path: str,
    model_args: RewardBaseConfig,
    training_args: R1RewardConfig,
    scores: str,
    dataset: Dataset | IterableDataset,
) -> None:
    """Refuses a chat template that does not show the model what it is to score.

    Raises:
        InputError: There is none and prompts are messages, or it leaves the reasoning out that is to be scored.
    """
    first = next(iter(dataset), {"prompt": ""})
    if isinstance(first["prompt"], str) or training_args.chat_template_path is not None:
        return
    adapter = find_adapter(path, model_args.model_revision)
    tokenizer = (
        AutoTokenizer.from_pretrained(path, revision=model_args.model_revision)
        if adapter is None
        else load_processing_class(adapter)
    )
    problem = template_problem(tokenizer, scores)
    if problem is not None:
        raise InputError(
            f"`model_name_or_path: {model_args.model_name_or_path}`: {problem}. Name another one by "
            "`chat_template_path`"
        )


def start_arguments(path: str, model_args: RewardBaseConfig, training_args: R1RewardConfig) -> dict[str, Any]:
    """What the trainer has to know of its start, as keyword arguments. Loads an adapter with its base.

    Args:
        path (`str`): As [`~r1_trl.stages.models.check_model`] returns it.
        model_args ([`RewardBaseConfig`]): After [`~r1_trl.stages.models.settle_model_args`].
        training_args ([`R1RewardConfig`]): Its `model_init_kwargs` are set, for whole models.
    """
    adapter = find_adapter(path, model_args.model_revision)
    if adapter is None or model_args.merge_adapter:
        return policy_arguments(path, model_args, training_args)
    model = load_classifier(adapter, model_args, training_args)
    training_args.model_init_kwargs = None  # they have been used
    return {"model": model, "processing_class": load_processing_class(adapter)}


def load_classifier(adapter: Adapter, model_args: RewardBaseConfig, training_args: R1RewardConfig) -> PeftModel:
    """A language model's adapter on its base, with a score head in place of the language model's: all of it new.

    Args:
        adapter ([`~r1_trl.stages.adapters.Adapter`]): The start of the run, such as the SFT stage leaves it.
        model_args ([`RewardBaseConfig`]): After [`~r1_trl.stages.models.settle_model_args`].
        training_args ([`R1RewardConfig`]): Its `model_init_kwargs` win.
    """
    kwargs: dict[str, Any] = {
        **model_init_kwargs(model_args, training_args),
        "revision": adapter.base_revision,
        "num_labels": 1,
    }
    kwargs["architecture"] = AutoModelForSequenceClassification
    quantization_config = get_quantization_config(model_args)
    if quantization_config is not None:
        kwargs["quantization_config"] = quantization_config
    if training_args.distributed_state.distributed_type in ("MULTI_GPU", "DEEPSPEED"):
        kwargs["device_map"] = None
    with suppress_seqcls_warning():
        base: Any = create_model_from_path(adapter.base, **kwargs)
    config: Any = PeftConfig.from_pretrained(adapter.path)
    config.inference_mode = False
    config.base_model_name_or_path = adapter.base
    config.task_type = "SEQ_CLS"  # so that PEFT trains the head
    config.init_lora_weights = True  # others may rewrite the base; the weights are loaded anyway
    model: Any = get_peft_model(base, config)
    weights = load_peft_weights(adapter.path, device="cpu")
    set_peft_model_state_dict(model, {**weights, "base_model.model.score.weight": base.score.weight})
    return model  # type: ignore[no-any-return]


def settle_precision(trainer: Any) -> None:
    """Adapter and score head train in float32, unless weights are sharded in groups of one dtype."""
    settle_adapter_dtype(trainer, "float32")
    model = trainer.accelerator.unwrap_model(trainer.model)
    plugin = trainer.args.deepspeed_plugin
    if isinstance(model, PeftModel) and not trainer.is_fsdp_enabled and (plugin is None or plugin.zero_stage != 3):
        keep_head_exact(model)


def check_length(trainer: Any, rows: Dataset | IterableDataset, name: str) -> None:
    """Tells how many rows were longer than `max_length`.

    Raises:
        InputError: All of them were.
    """
    if not isinstance(rows, Dataset) or len(trainer.train_dataset) == len(rows):
        return
    told = f"{len(rows) - len(trainer.train_dataset)} of {len(rows)} rows of `{name}` are longer than `max_length: "
    if len(trainer.train_dataset) == 0:
        raise InputError(f"{told}{trainer.args.max_length}`: raise it")
    if trainer.is_world_process_zero():
        print(f"{told}{trainer.args.max_length}` tokens: left out")
