"""`r1-trl report RUN [RUN …]`: one HTML file that shows what a run did, or what several did side by side."""

from __future__ import annotations

import argparse
import shlex
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from r1_trl.errors import InputError
from r1_trl.files import whole_file
from r1_trl.tracking.run_folder import Run, read_run

NAME = "report.html"


def main(argv: list[str]) -> None:
    """Runs the command.

    Args:
        argv (`list[str]`): The words after `r1-trl report`.

    Raises:
        InputError: A folder is not there or holds no run.
    """
    parser = argparse.ArgumentParser(
        prog="r1-trl report", description="Write one HTML file that shows what a run did; of several, side by side."
    )
    parser.add_argument(
        "runs", nargs="+", type=Path, metavar="RUN", help="output_dir of a pipeline, quickstart or stage"
    )
    parser.add_argument(
        "--output", type=Path, metavar="FILE", help=f"default: {NAME} in the run's folder, or here for several runs"
    )
    parser.add_argument("--log_artifacts", action="store_true", help="log the file to W&B as an artifact")
    args = parser.parse_args(argv)
    output = args.output or (args.runs[0] / NAME if len(args.runs) == 1 else Path(NAME))
    written = write_report(args.runs, output)
    print(f"{written}: {written.stat().st_size / 1e6:.1f} MB. Open it in a browser")
    if args.log_artifacts:
        from r1_trl.tracking.wandb import open_wandb_run
        from r1_trl.tracking.wandb_artifacts import log_artifact

        with open_wandb_run(written.parent, "report", ["wandb"]):
            log_artifact(written, type="report")


def write_report(runs: Sequence[Path], output: Path) -> Path:
    """Writes the report of one run, or of several side by side.

    Args:
        runs (`Sequence[Path]`): Their folders.
        output (`Path`): The HTML file; its folder is made where it is missing.

    Returns:
        `Path`: The file: whole, or as it was before.

    Raises:
        InputError: A folder is not there or holds no run, or the file cannot be written.
    """
    from r1_trl.report.page import render_comparison, render_run

    found = _with_own_names([read_run(run) for run in runs])
    if output.is_dir():
        raise InputError(f"--output {output}: is a folder: name a file, such as {output / NAME}")
    command = shlex.join(["r1-trl", "report", *map(str, runs)])
    html = render_run(found[0], command) if len(found) == 1 else render_comparison(found, command)
    _write_whole(output, html)
    return output


def tell_report(folder: Path) -> str:
    """Writes the report of a run that has just ended into its folder, and tells where it is, or why there is none.

    >>> tell_report(Path("nowhere"))[:35]
    'No report: `nowhere`: no such folde'
    """
    try:
        return f"Report: {write_report([folder], folder / NAME)}"
    except InputError as error:
        return f"No report: {error}"


@dataclass
class LabelledRun(Run):
    """A run under another name than its folder's."""

    label: str = ""

    @property
    def name(self) -> str:
        """What a reader calls it."""
        return self.label


def _with_own_names(runs: Sequence[Run]) -> list[Run]:
    """Runs whose folders have the same name are told apart by the folder above, and the same folder by a number."""
    labels = _apart([run.name for run in runs], [f"{run.path.resolve().parent.name}/{run.name}" for run in runs])
    labels = _apart(labels, [f"{label} ({place})" for place, label in enumerate(labels, start=1)])
    return [LabelledRun(run.path, run.stages, label) for run, label in zip(runs, labels, strict=True)]


def _apart(labels: Sequence[str], otherwise: Sequence[str]) -> list[str]:
    times = Counter(labels)
    return [longer if times[label] > 1 else label for label, longer in zip(labels, otherwise, strict=True)]


def _write_whole(path: Path, text: str) -> None:
    try:
        with whole_file(path) as unfinished:
            # Half a surrogate pair, from a file of JSON, becomes a reference that browsers show as U+FFFD.
            unfinished.write_text(text, encoding="utf-8", errors="xmlcharrefreplace")
    except OSError as error:
        raise InputError(f"--output {path}: cannot be written: {error}") from error
