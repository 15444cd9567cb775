"""Which releases of TRL the trainer is made for: it overrides private methods, which a minor release may change."""

from __future__ import annotations

from packaging.specifiers import SpecifierSet

from r1_trl.errors import InputError

SUPPORTED = ">=1.16,<1.17"


def check_trl_version(version: str) -> None:
    """Refuses a TRL whose private methods may be others.

    Args:
        version (`str`): The installed one.

    Raises:
        InputError: It is not supported.

    >>> check_trl_version("2.0.0")
    Traceback (most recent call last):
    r1_trl.errors.InputError: TRL 2.0.0 is not supported: r1-trl needs trl>=1.16,<1.17. pip install "trl>=1.16,<1.17"
    """
    if version not in SpecifierSet(SUPPORTED):
        raise InputError(f'TRL {version} is not supported: r1-trl needs trl{SUPPORTED}. pip install "trl{SUPPORTED}"')
