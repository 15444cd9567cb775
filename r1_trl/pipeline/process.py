"""One stage as a process that ends when the pipeline does, whatever ends it."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import IO

PR_SET_PDEATHSIG = 1  # linux/prctl.h


def die_with_parent() -> None:
    """From now on the end of the parent process is the end of this one. Linux alone can do so."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def stage_words(command: str, config: Path, accelerate_config: Path | None) -> list[str]:
    """The command of a stage, as a process.

    Args:
        command (`str`): Words after `r1-trl`.
        config (`Path`): Its settings.
        accelerate_config (`Path`, *optional*): Runs under `accelerate launch`, whose processes are started by this
            module: they are children of `accelerate`, which dies with the pipeline.

    >>> stage_words("sft", Path("sft.yaml"), None)[1:]
    ['-m', 'r1_trl', 'sft', '--config', 'sft.yaml']
    """
    words = [*command.split(), "--config", str(config)]
    if accelerate_config is None:
        return [sys.executable, "-m", "r1_trl", *words]
    launch = ["-m", "accelerate.commands.launch", "--quiet", "--config_file", str(accelerate_config)]
    return [sys.executable, *launch, "-m", __name__, *words]


def run_stage(words: list[str], environment: Mapping[str, str], lock: IO[str]) -> int:
    """Runs a stage to its end; what it prints goes where the pipeline's own output goes.

    Args:
        words (`list[str]`): As [`stage_words`] returns them.
        environment (`Mapping[str, str]`): Variables that are set unless the user has set them.
        lock (`IO[str]`): The pipeline's lock: the stage and whatever it starts hold it as their standard input.

    Returns:
        `int`: The exit code, as a shell has it: 128 + the signal where one ended the stage.
    """
    code = subprocess.run(
        words, stdin=lock, env={**environment, **os.environ}, preexec_fn=die_with_parent, check=False
    ).returncode
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    from r1_trl.cli import main

    die_with_parent()
    sys.exit(main())
