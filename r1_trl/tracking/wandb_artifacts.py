"""Artifacts in W&B with their lineage: what a stage writes, and what it was made from.

A note beside the files, `wandb/artifacts.json`, says under which name they were logged, so that a later stage knows
that its input is an artifact. It is then declared from the same files: their hash is that of the logged version, so
W&B joins the two, and an offline run needs no server to name its input.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from r1_trl.files import write_json
from r1_trl.tracking.run_folder import read_json, run_name
from r1_trl.tracking.wandb_errors import no_error_of_tracking

_NOTE = Path("wandb") / "artifacts.json"
# What a stage writes beside its model, partly after the model is logged.
_NO_MODEL = {"stage.json", "trainer_state.json", "training_args.bin", "pipeline.json"}


def log_artifact(path: Path | str, name: str | None = None, type: str | None = None) -> None:
    """Logs a file, or the model in a folder, as an output of the W&B run that is open. Without one, does nothing.

    Args:
        path (`Path` or `str`): A file; or a folder, of which its own files are taken and no checkpoints or records.
        name (`str`, *optional*): Of the artifact. Defaults to the last two parts of the path.
        type (`str`, *optional*): Such as `"model"`, `"dataset"` or `"report"`. Defaults to `"adapter"`, `"model"` or,
            for a file, `"dataset"`.

    >>> log_artifact("runs/r1/adapter")
    """
    run, path = _open_run(), Path(path)
    if run is None:
        return
    note = {"name": _clean(name or run_name(path)), "type": type or _kind(path)}
    with no_error_of_tracking(f"`{path}` as an artifact"):
        run.log_artifact(_artifact(path, note))
        file, key = _note_of(path)
        write_json(file, {**read_json(file), key: note})


def use_artifact(path: Path | str) -> None:
    """Declares what an earlier stage has logged an input of the W&B run that is open.

    Args:
        path (`Path` or `str`): As it was given to [`log_artifact`]. Anything that was never logged, such as a model of
            the Hub, is passed over.

    >>> use_artifact("Qwen/Qwen2.5-1.5B")
    """
    run, path = _open_run(), Path(path)
    if run is None:
        return
    file, key = _note_of(path)
    note = read_json(file).get(key)
    if note is not None:
        with no_error_of_tracking(f"`{path}` as an input"):
            # `Run.use_artifact` is the same, but refuses to work offline.
            run._log_artifact(_artifact(path, note), is_user_created=True, use_after_commit=True)


def log_lineage(arguments: Mapping[str, Any], output: Path | str) -> None:
    """Declares the inputs of a stage and logs its output, in the W&B run that is open.

    Args:
        arguments (`Mapping`): The stage's settings: its model, its dataset and its mixture are looked at.
        output (`Path` or `str`): Folder or file that it has written.
    """
    for path in _inputs(arguments):
        use_artifact(path)
    log_artifact(output)


def _inputs(arguments: Mapping[str, Any]) -> Iterator[str]:
    named = [arguments.get("model_name_or_path"), arguments.get("dataset_name")]
    named += [entry.get("path") for entry in arguments.get("datasets") or [] if isinstance(entry, Mapping)]
    yield from dict.fromkeys(str(path) for path in named if path)


def _open_run() -> Any:
    try:
        import wandb
    except ImportError:
        return None
    return wandb.run


def _artifact(path: Path, note: Mapping[str, str]) -> Any:
    import wandb

    artifact = wandb.Artifact(note["name"], note["type"])
    files = [path] if path.is_file() else sorted(file for file in path.iterdir() if _is_of_model(file))
    for file in files:
        artifact.add_file(str(file))
    return artifact


def _is_of_model(file: Path) -> bool:
    return file.is_file() and file.name not in _NO_MODEL and not file.name.startswith(".")


def _kind(path: Path) -> str:
    if path.is_file():
        return "dataset"
    return "adapter" if (path / "adapter_config.json").is_file() else "model"


def _note_of(path: Path) -> tuple[Path, str]:
    return (path.parent / _NOTE, path.name) if path.is_file() else (path / _NOTE, ".")


def _clean(name: str) -> str:
    """W&B takes letters, digits, dots, dashes and underscores."""
    return re.sub(r"[^\w.-]", "-", name, flags=re.ASCII).strip("-")
