"""The system-call filter of the sandbox: what namespaces and resource limits leave open.

| refused | why |
|---|---|
| `socket`, except unix, IPv4 and IPv6 | AF_VSOCK of a virtual machine reaches its host from any network namespace |
| `unshare`, `setns`, `clone` with namespaces | would give capabilities, and file systems without a size limit |
| System V IPC, POSIX queues, `memfd_create` | memory that no resource limit counts |
| keyrings | belong to the user, not to a namespace |
| `bpf`, `io_uring`, `perf_event_open`, `userfaultfd` | large kernel surface that no answer needs |
"""

from __future__ import annotations

import errno
import platform
import struct

_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}  # AUDIT_ARCH_*
# system call -> its number on each of them
_REFUSED = {
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "shmget": (29, 194),
    "semget": (64, 190),
    "msgget": (68, 186),
    "mq_open": (240, 180),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "unshare": (272, 97),
    "setns": (308, 268),
    "io_uring_setup": (425, 425),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
}
_CLONE, _SOCKET = (56, 220), (41, 198)
_CLONE3 = 435  # its flags lie in memory, out of a filter's sight; where it is missing, libc takes clone
_CLONE_NEW = 0x7E020000  # the flags CLONE_NEW* that make namespaces
_FAMILIES = (1, 2, 10)  # AF_UNIX, AF_INET, AF_INET6
_X32 = 0x40000000  # from here on, x86-64 numbers its calls a second time

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16  # offsets in struct seccomp_data, little-endian
_ALLOW, _ERRNO, _KILL = 0x7FFF0000, 0x00050000, 0x80000000


def filter_program(machine: str | None = None) -> bytes | None:
    """The filter as `bwrap --seccomp` reads it, or `None` where there is no table for the machine.

    Args:
        machine (`str`, *optional*): As `platform.machine()` has it, which is the default.

    >>> len(filter_program("x86_64")) % 8, filter_program("riscv64")
    (0, None)
    """
    machine = platform.machine() if machine is None else machine
    if machine not in _ARCHITECTURES:
        return None
    column = list(_ARCHITECTURES).index(machine)
    allow, kill = (_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, _KILL)
    refuse, missing = (_RETURN, 0, 0, _ERRNO | errno.EPERM), (_RETURN, 0, 0, _ERRNO | errno.ENOSYS)
    # (operation, steps to skip if it holds, steps to skip if not, operand)
    steps = [
        *((_LOAD, 0, 0, _ARCHITECTURE), (_EQUAL, 1, 0, _ARCHITECTURES[machine]), kill),
        *((_LOAD, 0, 0, _NUMBER), (_AT_LEAST, 0, 1, _X32), kill),
        *((_EQUAL, 0, 1, _CLONE3), missing),
    ]
    for numbers in _REFUSED.values():
        steps += [(_EQUAL, 0, 1, numbers[column]), refuse]
    steps += [(_EQUAL, 0, 4, _CLONE[column]), (_LOAD, 0, 0, _FIRST_ARGUMENT), (_ANY_BIT, 0, 1, _CLONE_NEW), refuse]
    steps += [allow, (_EQUAL, 0, len(_FAMILIES) + 2, _SOCKET[column]), (_LOAD, 0, 0, _FIRST_ARGUMENT)]
    steps += [(_EQUAL, len(_FAMILIES) - place, 0, family) for place, family in enumerate(_FAMILIES)]
    steps += [refuse, allow]
    return b"".join(struct.pack("<HBBI", *step) for step in steps)
