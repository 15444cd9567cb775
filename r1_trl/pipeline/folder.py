"""What a pipeline keeps in its folder: one folder for each stage, and `.pipeline` for itself.

`.pipeline/<stage>.json` is written when a stage starts and `<stage>/pipeline.json` when it has ended, so a stage whose
folder lacks the latter was interrupted. `.pipeline/<stage>.yaml` has the settings that it runs with, secrets included,
so nobody else may read it. `.pipeline/_from.json` has the stages that `--from` is yet to run.
"""

from __future__ import annotations

import fcntl
import json
import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

import yaml

from r1_trl.errors import InputError
from r1_trl.files import write_json

PATIENCE = 30.0  # seconds that the processes of a pipeline which was killed may take to end


@dataclass
class Forced:
    """What `--from` asked for and a run has not come to.

    Args:
        flags (`list`): `--from` and `--only` of the run that goes on; empty when none does.
        stages (`dict[str, str]`): Stages that were not started since -> the stage that `--from` named.
    """

    flags: list[str | None] = field(default_factory=list)
    stages: dict[str, str] = field(default_factory=dict)

    def continues(self, from_stage: str, only: str | None) -> bool:
        """Whether a call with these flags goes on with that run."""
        return self.flags == [from_stage, only]


class PipelineFolder:
    """The folder of a pipeline.

    Args:
        path (`Path`): It need not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.own = path / ".pipeline"

    def record_file(self, stage: str) -> Path:
        """Written when a stage has ended well."""
        return self.path / stage / "pipeline.json"

    def start_file(self, stage: str) -> Path:
        """Written when a stage starts."""
        return self.own / f"{stage}.json"

    def config_file(self, stage: str) -> Path:
        """The settings of a stage, whole."""
        return self.own / f"{stage}.yaml"

    def record(self, stage: str) -> dict[str, Any] | None:
        """What was written when the stage ended, or `None`."""
        return _read(self.record_file(stage))

    def start(self, stage: str) -> dict[str, Any] | None:
        """What was written when the stage started the last time, or `None`."""
        return _read(self.start_file(stage))

    def write_config(self, stage: str, settings: Mapping[str, Any]) -> Path:
        """Writes the settings of a stage, for its command; tokens are among them, so for this user alone."""
        file = self.config_file(stage)
        file.unlink(missing_ok=True)
        with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as opened:
            yaml.safe_dump(dict(settings), opened, sort_keys=False, allow_unicode=True)
        return file

    @property
    def forced(self) -> Forced:
        """What `--from` is yet to run."""
        return Forced(**(_read(self.own / "_from.json") or {}))

    @forced.setter
    def forced(self, forced: Forced) -> None:
        if forced == Forced():
            (self.own / "_from.json").unlink(missing_ok=True)
        else:
            write_json(self.own / "_from.json", asdict(forced))

    def holds(self, stage: str) -> bool:
        """Whether there is anything in the stage's folder."""
        folder = self.path / stage
        return folder.is_dir() and any(folder.iterdir())

    def move_aside(self, stage: str) -> Path | None:
        """Renames the folder of a stage to `<stage>.replaced-N`, the first N that is free; not one that holds nothing.

        >>> import tempfile
        >>> folder = PipelineFolder(Path(tempfile.mkdtemp()))
        >>> (folder.path / "sft" / "checkpoint-5").mkdir(parents=True)
        >>> folder.move_aside("sft").name
        'sft.replaced-1'
        """
        if not self.holds(stage):
            return None
        number = 1
        while (target := self.path / f"{stage}.replaced-{number}").exists():
            number += 1
        return (self.path / stage).rename(target)

    @contextmanager
    def lock(self) -> Iterator[IO[str]]:
        """Keeps a second pipeline out.

        Whatever has the open file as its standard input holds the lock as well. So a stage, and whatever it starts,
        keeps a second pipeline out when the first has been killed.

        Raises:
            InputError: Somebody else holds it.
        """
        self.own.mkdir(parents=True, exist_ok=True)
        with (self.own / "lock").open("a+", encoding="utf-8") as file:
            deadline, told = time.monotonic() + PATIENCE, False
            while not _locked(file):
                if not told:
                    print(f"{self.path}: waiting for the end of what still runs there", file=sys.stderr, flush=True)
                    told = True
                if time.monotonic() > deadline:
                    raise InputError(
                        f"`output_dir: {self.path}`: another pipeline, or a stage of one that was killed, is still "
                        "running there: wait for it, or end it"
                    )
                time.sleep(0.1)
            yield file


def _locked(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _read(file: Path) -> dict[str, Any] | None:
    try:
        content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise InputError(f"{file} is no JSON: {error}. Move it away: the stage then runs again") from error
    return content
