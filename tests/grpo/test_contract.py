"""The private parts of TRL that r1-trl leans on. A release that changes one of them turns this red first."""

import inspect
from pathlib import Path

import pytest
import wandb
from transformers import Trainer
from transformers.trainer_utils import rotate_checkpoints
from trl import GRPOTrainer, TrlParser
from trl.scripts.grpo import GRPOScriptArguments
from trl.trainer.callbacks import SyncRefModelCallback
from trl.trainer.utils import (
    RepeatSampler,
    add_fused_lm_head,
    disable_dropout_in_model,
    print_prompt_completions_sample,
    split_tensor_dict,
    strip_images_from_messages,
)

from r1_trl.errors import InputError
from r1_trl.grpo.trl_version import SUPPORTED, check_trl_version


@pytest.mark.parametrize(
    ("method", "parameters"),
    [
        (GRPOTrainer._calculate_rewards, ["self", "inputs", "prompts", "completions", "completion_ids_list"]),
        (GRPOTrainer._compute_loss, ["self", "model", "inputs"]),
        (GRPOTrainer._generate_and_score_completions, ["self", "inputs"]),
        (GRPOTrainer._prepare_inputs, ["self", "generation_batch"]),
        (GRPOTrainer.training_step, ["self", "model", "inputs", "num_items_in_batch"]),
        (GRPOTrainer._get_train_sampler, ["self", "dataset"]),
        (GRPOTrainer._save_checkpoint, ["self", "model", "trial"]),
        (GRPOTrainer._load_optimizer_and_scheduler, ["self", "checkpoint"]),
        (GRPOTrainer.log, ["self", "logs", "start_time"]),
        (GRPOTrainer._log_completion_extra, ["self", "column", "values"]),
        (strip_images_from_messages, ["messages"]),
        (SyncRefModelCallback.__init__, ["self", "ref_model", "accelerator"]),
        (disable_dropout_in_model, ["model"]),
    ],
)
def test_signature(method, parameters):
    assert list(inspect.signature(method).parameters) == parameters


def test_trainer_takes_what_the_stage_passes():
    parameters = list(inspect.signature(GRPOTrainer.__init__).parameters)
    assert parameters[:4] == ["self", "model", "reward_funcs", "args"]
    assert {"train_dataset", "eval_dataset", "quantization_config", "peft_config"} <= set(parameters)


def test_reference_is_the_adapter_named_ref():
    source = inspect.getsource(GRPOTrainer._generate_and_score_completions)
    assert 'adapter_name="ref" if "ref" in model.peft_config else None' in source


def test_script_arguments_and_parser():
    assert {"reward_funcs", "reward_model_name_or_path"} <= GRPOScriptArguments.__dataclass_fields__.keys()
    assert "config" in inspect.getsource(TrlParser.parse_args_and_config)


def test_first_parameters_of_what_changes_often():
    assert list(inspect.signature(GRPOTrainer._run_epoch).parameters)[:2] == ["self", "model"]
    logps = list(inspect.signature(GRPOTrainer._get_per_token_logps_and_entropies).parameters)
    assert logps[:6] == ["self", "model", "input_ids", "attention_mask", "logits_to_keep", "batch_size"]
    assert list(inspect.signature(GRPOTrainer._generate_single_turn).parameters)[:3] == [
        "self",
        "prompt_ids",
        "images",
    ]
    assert {"temperature", "cast_lm_head_to_fp32", "outputs"} <= inspect.signature(add_fused_lm_head).parameters.keys()
    limits = {"output_dir", "save_total_limit", "best_model_checkpoint", "use_mtime"}
    assert limits <= inspect.signature(rotate_checkpoints).parameters.keys()


def test_state_that_a_checkpoint_adds_and_the_steps_share():
    source = inspect.getsource(GRPOTrainer)
    for name in (
        "_step",
        "_buffered_inputs",
        "_metrics",
        "_logs",
        "_current_train_step_time",
        "_entropy_bonus_enabled",
    ):
        assert f"self.{name}" in source, name
    for name in (
        "aux_loss_enabled",
        "top_entropy_quantile",
        "generation_kwargs",
        "generation_config",
        "reward_weights",
    ):
        assert f"self.{name} = " in source, name
    assert "split_tensor_dict(generation_batch, self.args.steps_per_generation)" in source
    assert callable(split_tensor_dict)
    assert hasattr(RepeatSampler(range(4), 1), "generator")


def test_where_completions_and_metrics_are_kept_until_they_are_logged():
    source = inspect.getsource(GRPOTrainer)
    for part in (
        'self._logs["prompt"].extend(gather_object(prompts))',
        'self._logs["completion"].extend(gather_object(completions))',
        'self._logs["rewards"][name].extend(',
        'self._logs["advantages"].extend(',
        'self._logs["extra"][column].extend(',
        'self._logs["images"].extend(',
        "self._pending_extra_logs[column].extend(values)",
        "self._pending_extra_logs.clear()",
        'mode = "train" if self.model.training else "eval"',
        "return rewards_per_func",  # of all processes
    ):
        assert part in source, part
    log = inspect.getsource(GRPOTrainer.log)
    assert "if self.accelerator.is_main_process and self.log_completions:" in log
    assert 'metrics = {f"eval_{key}": val for key, val in metrics.items()}' in log
    assert "for key, val in self._metrics[mode].items():" in log
    assert "num_generations_eval" in inspect.getsource(GRPOTrainer._get_eval_sampler)
    printed = list(inspect.signature(print_prompt_completions_sample).parameters)
    assert printed == ["prompts", "completions", "rewards", "advantages", "step", "num_samples", "extra"]


def test_the_loop_of_an_evaluation():
    parameters = inspect.signature(Trainer.evaluation_loop).parameters
    assert list(parameters)[:2] == ["self", "dataloader"]
    assert "metric_key_prefix" in parameters
    assert "self.log(output.metrics)" in inspect.getsource(Trainer.evaluate)  # so that the best model may follow it


def test_private_parts_of_wandb():
    table = wandb.Table(columns=["a"], log_mode="INCREMENTAL")
    assert (table._increment_num, table._last_logged_idx) == (None, None)
    assert table.data == []
    assert {"is_user_created", "use_after_commit"} <= inspect.signature(wandb.Run._log_artifact).parameters.keys()


@pytest.mark.parametrize(
    ("version", "supported"), [("1.16.0", True), ("1.16.3", True), ("1.15.9", False), ("1.17.0", False)]
)
def test_another_trl_is_refused(version, supported):
    assert f'"trl{SUPPORTED}"' in Path("pyproject.toml").read_text()
    if supported:
        check_trl_version(version)
    else:
        with pytest.raises(InputError, match=rf"TRL {version}.*>=1.16,<1.17"):
            check_trl_version(version)
