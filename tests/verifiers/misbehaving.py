"""Verifiers that do what they should not, by their answer."""

from __future__ import annotations

import ctypes
import os
import time


def verify(answer, solution, args):
    if answer == "sleep":
        time.sleep(60)
    elif answer == "stuck in C":
        return 9**9**9 == 4
    elif answer == "memory":
        return len(bytearray(8 * 2**30)) == 4
    elif answer == "crash":
        ctypes.string_at(0)
    elif answer == "leave":
        os._exit(3)
    elif answer == "deep":
        return verify_deeply(0)
    elif answer == "bug":
        return 1 / 0
    elif answer == "odd verdict":
        return "yes"
    elif answer == "print":
        print("x" * 100_000)
    elif answer.startswith("after "):
        time.sleep(float(answer.removeprefix("after ")))
    return answer != "wrong"


def verify_otherwise(answer, solution, args):
    """Another kind."""
    return verify(answer, solution, args)


def verify_for_ever(answer, solution, args):
    time.sleep(60)


def verify_deeply(depth):
    return verify_deeply(depth + 1)
