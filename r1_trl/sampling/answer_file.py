"""The answers of a run in an append-only JSONL file, one a line, that a kill at any moment leaves usable.

Beside `samples.jsonl` stands `samples.run.json`: the settings that the answers were sampled with, and, for samplers
that can only go on from some points ([`ExactSampler`]), the last such point: how many bytes of answers came before it,
and the sampler's state there. It also has the seconds that sampling has taken, over all starts.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from filelock import FileLock, Timeout

from r1_trl.errors import InputError
from r1_trl.files import write_json
from r1_trl.sampling.sampler import Sample
from r1_trl.tracking.run_folder import read_json

Key = tuple[int, int]  # question, sample
CLOCK = 10.0  # seconds after which the time taken is written again, where no point to go on from does so


class AnswerFile:
    """An open file of answers. Use it as a context manager; one process at a time may.

    Args:
        path (`Path`): Such as `runs/evaluation/samples.jsonl`.
        settings (`Mapping`): JSON of what the answers depend on: hashes of questions and model, temperature.
        exact (`bool`): Only what comes before the last point to go on from counts; otherwise every whole line.

    Raises:
        InputError: The file holds answers of other settings, is damaged, or is in use by another process.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "samples.jsonl"
    >>> with AnswerFile(path, {"temperature": 0.6}, exact=False) as file:
    ...     file.append((0, 0), Sample("4", 2, False))
    >>> _ = path.open("a").write('{"question": 0, "sam')  # killed
    >>> with AnswerFile(path, {"temperature": 0.6}, exact=False) as file:
    ...     file.answers
    {(0, 0): Sample(completion='4', num_tokens=2, truncated=False, refusal=None)}
    """

    def __init__(self, path: Path, settings: Mapping[str, Any], exact: bool) -> None:
        self.path = path
        self.settings: dict[str, Any] = json.loads(json.dumps(settings))
        self.exact = exact
        self.answers: dict[Key, Sample] = {}
        self.state: str | None = None
        self._seconds = 0.0  # of earlier starts
        self._untold = False  # whether answers came since the time was written
        self._lock = FileLock(f"{path}.lock", timeout=0)

    def __enter__(self) -> AnswerFile:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._opened = self._written = time.monotonic()
        try:
            self._lock.acquire()
        except Timeout:
            raise InputError(
                f"{self.path} is in use by another process: wait for it, or name another folder"
            ) from None
        try:
            self._file: BinaryIO = self._open()
        except BaseException:
            self._release()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        if self._untold and not self.exact:
            self._write_run(self._file.tell(), None)
        self._file.close()
        self._release()

    def append(self, key: Key, sample: Sample, state: str | None = None) -> None:
        """Writes one answer.

        Args:
            key (`tuple[int, int]`): Index of the question, and of the answer among those to the question.
            sample (`Sample`): The answer.
            state (`str`, *optional*): The sampler's, where it can go on after this answer.
        """
        line = {"question": key[0], "sample": key[1], **sample._asdict()}
        if sample.refusal is None:
            del line["refusal"]
        self._file.write(json.dumps(line, ensure_ascii=False).encode() + b"\n")
        self._file.flush()
        self.answers[key] = sample
        self._untold = True
        if state is not None or (not self.exact and time.monotonic() - self._written > CLOCK):
            self._write_run(self._file.tell(), state)

    def _open(self) -> BinaryIO:
        kept = 0
        if self.path.exists():
            run = self._read_run()
            self.state = run.get("state")
            self._seconds = run.get("seconds", 0.0)
            kept, self.answers = read_answers(self.path, run.get("bytes", 0) if self.exact else None)
        else:
            self._write_run(0, None)
        file = self.path.open("ab")
        file.truncate(kept)
        return file

    def _read_run(self) -> dict[str, Any]:
        try:
            run: dict[str, Any] = json.loads(run_path(self.path).read_text(encoding="utf-8"))
            old = run["settings"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{self.path} is there, but {run_path(self.path).name}, which says how it was sampled, cannot be read "
                f"({error}). Move both away, or name another `output_dir`"
            ) from error
        differing = [name for name in {**old, **self.settings} if old.get(name) != self.settings.get(name)]
        if differing:
            name = differing[0]
            raise InputError(
                f"{self.path} holds answers of another run: `{name}` was `{old.get(name)}` there and is "
                f"`{self.settings.get(name)}` now. Name another `output_dir`, or move that file and "
                f"{run_path(self.path).name} away"
            )
        return run

    def _write_run(self, size: int, state: str | None) -> None:
        self._written, self._untold = time.monotonic(), False
        seconds = round(self._seconds + self._written - self._opened, 3)
        run = {"settings": self.settings, "bytes": size, "state": state, "seconds": seconds}
        write_json(run_path(self.path), run)

    def _release(self) -> None:
        Path(self._lock.lock_file).unlink(missing_ok=True)  # before the release: nobody can have taken it yet
        self._lock.release()


def run_path(path: Path) -> Path:
    """The file of the settings that stands beside a file of answers.

    >>> run_path(Path("samples.jsonl")).name
    'samples.run.json'
    """
    return path.with_suffix(".run.json")


def sampled_seconds(path: Path) -> float:
    """How long sampling into a file has taken so far, over all starts; 0 where there is none.

    >>> sampled_seconds(Path("nowhere/samples.jsonl"))
    0.0
    """
    return float(read_json(run_path(path)).get("seconds", 0.0))


def remove_answers(path: Path) -> None:
    """Deletes a file of answers and the one beside it."""
    path.unlink(missing_ok=True)  # first: without answers, the settings alone bind nobody
    run_path(path).unlink(missing_ok=True)


def read_answers(path: Path, size: int | None = None) -> tuple[int, dict[Key, Sample]]:
    """Reads the whole lines of a file of answers.

    Args:
        path (`Path`): The file.
        size (`int`, *optional*): Only the first so many bytes count. Defaults to all whole lines; what follows the
            last line break was being written when the process was killed.

    Returns:
        `tuple[int, dict]`: How many bytes hold them, and the answers by question and sample.

    Raises:
        InputError: A whole line is no answer, or the file is shorter than `size`: something else has changed it.
    """
    if size is not None and path.stat().st_size < size:
        raise InputError(f"{path} has {path.stat().st_size} bytes of the {size} that were written: move it away")
    whole = 0
    answers: dict[Key, Sample] = {}
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.endswith(b"\n") or whole == size:
                break
            try:
                row = json.loads(line)
                key = (row.pop("question"), row.pop("sample"))
                sample = Sample(**row)
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise InputError(f"{path}, line {number} is no answer ({error}): move the file away") from error
            if key in answers:
                raise InputError(
                    f"{path}, line {number}: question {key[0]} has two samples {key[1]}: move the file away"
                )
            answers[key] = sample
            whole += len(line)
    return whole, answers
