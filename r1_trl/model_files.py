"""Where a model's files are: in a folder, in the package, or on the Hub."""

from __future__ import annotations

from pathlib import Path

from transformers.utils import cached_file

from r1_trl.miniature import PREFIX, resolve_model_path


def local_path(name: str) -> str:
    """The folder behind a name; any other name, such as a Hub id, is returned as it is.

    >>> local_path("Qwen/Qwen2.5-7B")
    'Qwen/Qwen2.5-7B'
    """
    path = resolve_model_path(name)
    folder = Path(path).expanduser()
    return str(folder) if folder.is_dir() else path


def locate_base(name: str) -> str:
    """Where an adapter's base is, by the name in `adapter_config.json`.

    PEFT saves where the embedded base lay, which is somewhere else on another machine.

    >>> locate_base("/somewhere/else/r1_trl/miniature/base") == resolve_model_path("miniature:base")
    True
    """
    folder = Path(name).expanduser()
    if not folder.exists() and folder.parts[-3:] == ("r1_trl", "miniature", "base"):
        return resolve_model_path(f"{PREFIX}base")
    return local_path(name)


def find_file(path: str, name: str, revision: str = "main") -> Path | None:
    """A file of a folder or of a Hub repository, or `None`.

    >>> find_file(resolve_model_path("miniature:base"), "config.json").name
    'config.json'
    """
    if Path(path).is_dir():
        return Path(path) / name if (Path(path) / name).is_file() else None
    try:
        found = cached_file(path, name, revision=revision)
    except OSError:
        return None
    return None if found is None else Path(found)
