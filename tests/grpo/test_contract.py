"""The private parts of TRL that r1-trl leans on. A release that changes one of them turns this red first."""

import inspect

import pytest
from trl import GRPOTrainer, TrlParser
from trl.scripts.grpo import GRPOScriptArguments
from trl.trainer.callbacks import SyncRefModelCallback
from trl.trainer.utils import disable_dropout_in_model


@pytest.mark.parametrize(
    ("method", "parameters"),
    [
        (GRPOTrainer._calculate_rewards, ["self", "inputs", "prompts", "completions", "completion_ids_list"]),
        (GRPOTrainer._compute_loss, ["self", "model", "inputs"]),
        (GRPOTrainer._generate_and_score_completions, ["self", "inputs"]),
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
