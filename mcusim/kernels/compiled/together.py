"""Kernels that nobody compiled yet, compiled by several processes at once into the cache that they share.

numba compiles under one lock, so threads would not help. A helper is a process that compiles what it reads
from its standard input, a line a kernel, and answers each with a line; it ends with that input. The kernels
are there for whom they are asked for, with or without help: a helper that cannot start, or dies, costs
nothing but its time.
"""

from __future__ import annotations

import gc
import os
import sys
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from importlib import import_module
from subprocess import DEVNULL, PIPE, Popen
from threading import Thread
from typing import Any

from numba import types

from mcusim.kernels.compiled.compiler import undisturbed

Wanted = tuple[Any, tuple[Any, ...]]
"""A kernel, and the types of its arguments."""
WORTH = 4
"""Kernels for which a helper is started: it takes as long to start as two take to compile."""
MOST = 3
SERVE = f"import sys; sys.path[:] = {{path!r}}; from {__name__} import serve; serve()"


def compile_together(wanted: Iterable[Wanted]) -> None:
    """Compile what is neither in this process nor on disk, with the help of other cores."""
    missing = deque(dict.fromkeys(each for each in wanted if not _exists(*each)))
    helpers: list[Popen[str]] = []
    with suppress(OSError):
        helpers += (_started() for _ in range(min(len(missing) // WORTH, _cores() - 1, MOST)))
    threads = [Thread(target=_hand_out, args=(helper, missing), daemon=True) for helper in helpers]
    try:
        for thread in threads:
            thread.start()
        while missing:
            with suppress(IndexError), undisturbed():  # another may have taken the last
                while True:
                    kernel, signature = missing.popleft()
                    kernel.compile(signature)
            for thread in threads:
                thread.join()
    finally:
        for helper in helpers:
            helper.kill()
            helper.communicate()


def serve() -> None:
    """Compile what is asked for, as a helper."""
    gc.disable()
    for line in sys.stdin:
        module, name, *arguments = line.split()
        getattr(import_module(module), name).compile(tuple(getattr(types, each) for each in arguments))
        print(name, flush=True)


def _exists(kernel: Any, signature: tuple[Any, ...]) -> bool:
    """Return True if a kernel is compiled, or on disk, or if no disk would hold it for another process."""
    files = getattr(kernel._cache, "_cache_file", None)
    if signature in kernel.overloads or files is None:
        return True
    try:
        return bool(files._load_index())
    except Exception:  # a damaged pickle raises nearly anything
        return False


def _cores() -> int:
    """Return the cores that this process may run on, 1 where its program cannot be started once more."""
    if not sys.executable or getattr(sys, "frozen", False):
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _started() -> Popen[str]:
    command = [sys.executable, "-c", SERVE.format(path=sys.path)]
    return Popen(command, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, text=True)


def _hand_out(helper: Popen[str], missing: deque[Wanted]) -> None:
    """Let a helper compile what is missing, from the end, until nothing is or it ends."""
    assert helper.stdin is not None
    assert helper.stdout is not None
    with suppress(IndexError):  # another took the last
        while True:
            asked = kernel, signature = missing.pop()
            words = kernel.py_func.__module__, kernel.py_func.__name__, *map(str, signature)
            answer = ""
            with suppress(OSError):
                print(*words, file=helper.stdin, flush=True)
                answer = helper.stdout.readline()
            if not answer:
                missing.append(asked)
                return
