"""The command line of bubblewrap: what a confined program sees, and what may be in the way of it.

| | as a user | as root |
|---|---|---|
| the program runs as | the user, in a user namespace of its own | a user id that nobody has, in root's namespace |
| because | there is no other way without privileges | the kernel does not limit the number of root's processes |
"""

from __future__ import annotations

import os
import platform
import re
import secrets
import shutil
import subprocess
import sys
import sysconfig
from functools import cache
from pathlib import Path

from r1_trl.errors import InputError

PATH = "/usr/local/bin:/usr/bin:/bin"
PROGRAM = "/program"  # the folder of the given files, read-only
# Of /usr and beside it, what programs and compilers need to start; /nix/store is NixOS's /usr.
_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store")
_LINKING = ("/etc/alternatives", "/etc/ld.so.cache")
END_WITH_PARENT = ("setpriv", "--pdeathsig", "KILL")
_FIRST_UID, _UIDS = 1_900_000_000, 200_000_000  # a range that no distribution and no systemd gives away


def require_linux() -> None:
    """Refuses other systems.

    Raises:
        [`~r1_trl.errors.InputError`]: This is none.
    """
    if not sys.platform.startswith("linux"):
        raise InputError(
            f"the code verifier needs Linux: bubblewrap, its sandbox, does not exist on {sys.platform}. Run it in a "
            "virtual machine with Linux or, on Windows, in WSL 2"
        )


@cache
def find_bubblewrap() -> str:
    """Path of bubblewrap.

    Raises:
        [`~r1_trl.errors.InputError`]: It is not there, or cannot be on this system.
    """
    require_linux()
    found = shutil.which("bwrap")
    if found is None:
        raise InputError(
            "the code verifier needs bubblewrap, and there is no `bwrap` on the PATH: apt-get install bubblewrap "
            "(Debian, Ubuntu), dnf install bubblewrap (Fedora), pacman -S bubblewrap (Arch)"
        )
    return found


@cache
def python_path() -> str:
    """The interpreter for confined programs: the one that this virtual environment, if any, was made from.

    >>> Path(python_path()).is_file()
    True
    """
    executable = getattr(sys, "_base_executable", None) or sys.executable
    return os.path.realpath(executable)


@cache
def supports(option: str) -> bool:
    """Whether this bubblewrap knows an option, such as `--size` (from 0.8 on)."""
    shown = subprocess.run([find_bubblewrap(), "--help"], capture_output=True, text=True, check=False)
    return re.search(rf"^\s*{option}\b", shown.stdout, re.MULTILINE) is not None


@cache
def is_real_root() -> bool:
    """Whether this is root of the machine, rather than of a user namespace as in a rootless container."""
    return os.geteuid() == 0 and Path("/proc/self/uid_map").read_text().split() == ["0", "0", "4294967295"]


def confined(command: list[str], files: dict[str, int], filter_fd: int, scratch_bytes: int) -> list[str]:
    """The command line that runs a command confined.

    Args:
        command (`list[str]`): What becomes process 1 of the sandbox.
        files (`dict[str, int]`): Names in `/program`, and file descriptors to copy them from.
        filter_fd (`int`): Where to read the system-call filter from.
        scratch_bytes (`int`): Size of `/tmp`, the working directory and the one place to write to.
    """
    line = [find_bubblewrap(), *_namespaces(), "--cap-drop", "ALL", "--seccomp", str(filter_fd)]
    if is_real_root():
        # for process 1 alone: to start the program as a `stranger`, and to find what that leaves behind
        line += [part for name in ("CAP_SETUID", "CAP_SETGID", "CAP_KILL") for part in ("--cap-add", name)]
    line += [*_system_folders(), "--proc", "/proc", "--dev", "/dev"]
    for name, fd in files.items():
        line += ["--perms", "0555", "--file", str(fd), f"{PROGRAM}/{name}"]
    line += ["--remount-ro", "/dev", "--perms", "1777"]
    line += ["--size", str(scratch_bytes)] if supports("--size") else []
    return [*line, "--tmpfs", "/tmp", "--remount-ro", "/", "--chdir", "/tmp", "--", *command]


def stranger() -> list[str]:
    """A prefix that makes a command of root's process 1 run as a user id of its own; nothing for other users.

    Process 1 stays root: bubblewrap, which gives up its capabilities, could not take a stranger with it when it dies.
    """
    if not is_real_root():
        return []
    uid = str(_FIRST_UID + secrets.randbelow(_UIDS))
    return ["setpriv", "--reuid", uid, "--regid", uid, "--clear-groups", "--inh-caps=-all"]


@cache
def _namespaces() -> tuple[str, ...]:
    own = ["--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"]
    if not is_real_root():
        own += ["--unshare-user"]
        own += ["--disable-userns"] if supports("--disable-userns") else []
    # As process 1, the command takes all others of its namespace with it, whatever ends it.
    return (*own, "--hostname", "sandbox", "--as-pid-1", "--die-with-parent", "--new-session")


@cache
def _system_folders() -> tuple[str, ...]:
    """Read-only: the system's programs and libraries, and of an interpreter elsewhere its file and its libraries."""
    line: list[str] = []
    libraries = os.path.realpath(Path(sysconfig.get_path("stdlib")).parent)
    interpreter = [path for path in (python_path(), libraries) if not path.startswith(("/usr/", "/nix/store/"))]
    for path in (*_SYSTEM, *_LINKING, *interpreter):
        if os.path.islink(path):
            line += ["--symlink", os.readlink(path), path]
        elif os.path.exists(path):
            # Made by --ro-bind, the folders above would be closed to other users.
            line += ["--dir", os.path.dirname(path), "--ro-bind", path, path]
    return tuple(line)


def explain(message: str) -> InputError:
    """Why no sandbox starts, and what to do, from what bubblewrap says.

    >>> str(explain("bwrap: Unknown option --perms")).endswith('--perms". It is too old: 0.5 is needed')
    True
    """
    said = " ".join(message.split())[:500] or "nothing"
    return InputError(f'the code verifier cannot start bubblewrap here, which says "{said}". {_remedy(message)}')


def _remedy(message: str) -> str:
    root = os.geteuid() == 0
    if "nknown option" in message:
        return "It is too old: 0.5 is needed"
    if _setting("kernel/apparmor_restrict_unprivileged_userns") == "1" and not root:
        return (
            "AppArmor keeps it from user namespaces (kernel.apparmor_restrict_unprivileged_userns is 1, as on Ubuntu "
            "24.04). Give it the profile on the documentation's page about the sandbox; or lift this for every "
            "program: sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0"
        )
    if _setting("kernel/unprivileged_userns_clone") == "0" and not root:
        return "Let it make user namespaces: sudo sysctl kernel.unprivileged_userns_clone=1"
    if _setting("user/max_user_namespaces") == "0" and not root:
        return "Let it make user namespaces: sudo sysctl user.max_user_namespaces=15000"
    needed = "--cap-add SYS_ADMIN --cap-add NET_ADMIN" if root else "--security-opt systempaths=unconfined"
    return (
        "A container must be started with --security-opt seccomp=unconfined --security-opt apparmor=unconfined "
        f"{needed}. Where that is not yours to decide, verifier_args can run the code without a sandbox: "
        '{"allow_unsafe": true}, with R1_TRL_ALLOW_UNSAFE=1 in the environment'
    )


def _setting(name: str) -> str:
    path = Path("/proc/sys", name)
    return path.read_text().strip() if path.exists() else ""


def system_call_filter(program: bytes | None) -> bytes:
    """The filter, or the reason why there is none.

    Raises:
        [`~r1_trl.errors.InputError`]: There is none for this machine.
    """
    if program is None:
        raise InputError(
            f"the code verifier needs x86_64 or aarch64, and this machine is {platform.machine()}: there is no "
            "system-call filter for it in r1_trl/verifiers/seccomp.py"
        )
    return program
