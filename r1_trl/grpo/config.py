"""R1's reinforcement learning as a config: TRL's `GRPOConfig` with the paper's numbers as its defaults.

Sources: [N] DeepSeek-R1, Nature 2025; [v2] its arXiv version 2 (2501.12948v2); [DSM] DeepSeekMath (2402.03300).

Departures and silences:
1. Batch sizes depend on the hardware: the default is one question's 16 answers. The paper's: 32 questions x 16 answers
   = 512 completions a step; 8,192 completions a rollout, split into 16 mini-batches (`generation_batch_size=8192`).
2. ε = 10 is the value of R1's first RL stage. R1-Zero's is not stated.
3. The optimizer, the warm-up and the epsilon beside the standard deviation are not stated: TRL's are kept.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from trl import GRPOConfig

from r1_trl.errors import InputError


@dataclass
class R1GRPOConfig(GRPOConfig):
    r"""
    [`~trl.GRPOConfig`] whose defaults are those of the DeepSeek-R1 paper. Every other field is TRL's.

    Parameters:
        learning_rate (`float`, *optional*, defaults to `3e-6`):
            R1-Zero and RL stage 1 [N; v2 §2.1]. For LoRA about ten times as much is customary.
        lr_scheduler_type (`str`, *optional*, defaults to `"constant"`):
            One learning rate is stated for the whole run [N].
        beta (`float`, *optional*, defaults to `0.001`):
            KL coefficient [N]. `0.0` switches the reference model off.
        use_bias_correction_kl (`bool`, *optional*, defaults to `False`):
            The plain estimator π_ref/π_θ − log(π_ref/π_θ) − 1 [DSM eq. 4]; the correction is of a later model.
        epsilon (`float`, *optional*, defaults to `10.0`):
            Clip range of the ratio [N, RL stage 1]. 1 − ε = −9 never binds, so clipping acts only where the advantage
            is positive and the ratio exceeds 11.
        loss_type (`str`, *optional*, defaults to `"grpo"`):
            Each answer is averaged over its own length first, 1/G Σ 1/|o| Σ [DSM eq. 3].
        scale_rewards (`str`, *optional*, defaults to `"group"`):
            A = (r − mean(r)) / std(r) over the answers of one question [DSM §4.1.2; v2 §2.1].
        num_generations (`int`, *optional*, defaults to `16`):
            G, answers for each question [N].
        per_device_train_batch_size (`int`, *optional*, defaults to `16`):
            Completions at once on one device: the answers to one question, the least that `num_generations` admits.
        per_device_eval_batch_size (`int`, *optional*, defaults to `16`):
            Likewise for held-out questions.
        temperature (`float`, *optional*, defaults to `1.0`):
            Of the rollout [N]. RL stage 2 uses 0.7.
        max_completion_length (`int`, *optional*, defaults to `32768`):
            Tokens [N]; R1-Zero uses 65,536 after step 8,200. Small hardware wants far less: memory grows with it.
        sync_ref_model (`bool`, *optional*, defaults to `True`):
            The reference is replaced by the latest policy [N]; ignored where `beta` is `0.0`. Works with full
            fine-tuning and with adapters.
        ref_model_mixup_alpha (`float`, *optional*, defaults to `1.0`):
            Replaced, not mixed [N].
        ref_model_sync_steps (`int`, *optional*, defaults to `400`):
            Steps between two replacements [N].
        disable_dropout (`bool`, *optional*, defaults to `True`):
            With dropout the ratio π_θ/π_old of the first step is not 1, as the objective takes it to be [DSM eq. 3].
        bf16 (`bool`, *optional*):
            Defaults to `True` where the accelerator supports bfloat16 and `fp16` is not set, otherwise to `False`, so
            that a CPU trains in float32. Not stated in the paper.

    Raises:
        InputError: The batch cannot be split into whole groups of `num_generations`.

    Example:

    ```python
    >>> from r1_trl import R1GRPOConfig
    >>> args = R1GRPOConfig(output_dir="runs/r1")
    >>> args.beta, args.epsilon, args.loss_type, args.num_generations
    (0.001, 10.0, 'grpo', 16)

    ```
    """

    learning_rate: float = field(default=3e-6, metadata={"help": "Initial learning rate of AdamW [N; v2 §2.1]."})
    lr_scheduler_type: str = field(default="constant", metadata={"help": "Learning rate schedule [N]."})
    beta: float = field(default=0.001, metadata={"help": "KL coefficient [N]; 0 switches the reference off."})
    use_bias_correction_kl: bool = field(
        default=False, metadata={"help": "Weight the KL by the ratio; R1 uses the plain k3 estimator [DSM eq. 4]."}
    )
    epsilon: float = field(default=10.0, metadata={"help": "Clip range of the ratio [N, RL stage 1]."})
    loss_type: str = field(
        default="grpo",
        metadata={"help": "Aggregation of token losses; `grpo` averages each answer [DSM eq. 3]."},
    )
    scale_rewards: str = field(
        default="group", metadata={"help": "Divide advantages by the std of `group`, of `batch`, or `none` [v2 §2.1]."}
    )
    num_generations: int | None = field(default=16, metadata={"help": "G, answers for each question [N]."})
    per_device_train_batch_size: int = field(
        default=16, metadata={"help": "Completions at once on one device; 16 answers to one question by default."}
    )
    per_device_eval_batch_size: int = field(
        default=16, metadata={"help": "Completions at once on one device, in evaluation."}
    )
    temperature: float = field(default=1.0, metadata={"help": "Temperature of the rollout [N]; 0.7 in RL stage 2."})
    max_completion_length: int | None = field(
        default=32768, metadata={"help": "Maximum length of a completion in tokens [N]; small hardware wants less."}
    )
    sync_ref_model: bool = field(
        default=True, metadata={"help": "Replace the reference by the latest policy [N]; ignored where `beta` is 0."}
    )
    ref_model_mixup_alpha: float = field(
        default=1.0, metadata={"help": "Share of the policy in the new reference [N]: 1 replaces it."}
    )
    ref_model_sync_steps: int = field(default=400, metadata={"help": "Steps between two replacements [N]."})
    disable_dropout: bool = field(default=True, metadata={"help": "Switch dropout off in policy and reference."})

    def __post_init__(self) -> None:
        if self.bf16 is None:
            self.bf16 = not self.fp16 and torch.cuda.is_available() and torch.cuda.is_bf16_supported()
        if self.activation_checkpointing is None:
            self.activation_checkpointing = self.gradient_checkpointing  # TRL's default under its current name
        if self.beta == 0.0:
            self.sync_ref_model = False  # nothing to replace
        try:
            super().__post_init__()
        except ValueError as error:
            batch, generations = self.generation_batch_size or 0, self.num_generations or 0
            if generations < 2 or batch % generations == 0:
                raise
            raise InputError(
                f"`num_generations: {generations}` does not divide the {batch} completions of a rollout "
                f"(`per_device_train_batch_size` {self.per_device_train_batch_size} x `steps_per_generation` "
                f"{self.steps_per_generation} x {self.world_size} process(es)): every question needs all its answers "
                f"in one rollout. Set `per_device_train_batch_size: {generations}`, or another `num_generations`"
            ) from error
