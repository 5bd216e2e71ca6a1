"""Where the runs of a study are made: in this process, in processes of this machine, on a cluster."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import TYPE_CHECKING, Protocol

from mcusim.core import BadArgument, parse_bytes
from mcusim.studies.cluster import Cluster
from mcusim.studies.point import FAILED
from mcusim.studies.work import ATTEMPTS, Ending, Job, alone, train_point

if TYPE_CHECKING:
    from mcusim.data.dataset import Dataset


class Executor(Protocol):
    """Takes jobs and gives their outcomes in the order in which they end."""

    room: int
    """Jobs at a time."""

    def submit(self, job: Job, name: str, data: Dataset) -> None:
        """Begin a job on the data set of that name; there is room for it."""

    def outcome(self) -> Ending:
        """Return the outcome of a job that has ended, waiting for one."""

    def close(self) -> None:
        """Stop: runs that are under way keep a checkpoint."""


class Here:
    """One job at a time, in this process; they share fronts and features."""

    room = 1

    def __init__(self) -> None:
        from mcusim.engine.front import Fronts

        self._jobs: deque[tuple[Job, Dataset]] = deque()
        self._fronts = Fronts()

    def submit(self, job: Job, name: str, data: Dataset) -> None:
        """Keep the job until its outcome is asked for."""
        self._jobs.append((job, data))

    def outcome(self) -> Ending:
        """Train the next job."""
        return train_point(*self._jobs.popleft(), self._fronts)

    def close(self) -> None:
        """Nothing is under way."""


class Processes:
    """Processes of this machine, one core each; they share the caches of prepared data.

    The runs that one makes, one after the other, share fronts and features in its memory.

    Args:
        count: of processes.
        memory: most bytes of data that one may hold, e.g. ``4096MiB``; a run that needs more fails.

    Raises:
        BadArgument: if there would be none.
    """

    def __init__(self, count: int, memory: str | None = None) -> None:
        if count < 1:
            raise BadArgument(f"{count} workers", "train nothing", "give at least 1")
        self.room = count
        self._memory = None if memory is None else parse_bytes(memory)
        self._context = multiprocessing.get_context("spawn")
        self._idle: list[tuple[BaseProcess, Connection]] = []
        self._busy: dict[Connection, tuple[BaseProcess, Job, str, Dataset]] = {}
        self._attempts: dict[str, int] = {}

    def submit(self, job: Job, name: str, data: Dataset) -> None:
        """Send the job to a process that has nothing to do."""
        process, line = self._idle.pop() if self._idle else self._started()
        self._busy[line] = (process, job, name, data)
        with suppress(OSError):  # it died: noticed when its outcome is waited for
            line.send((job, name))
            if line.recv():
                line.send(data)

    def outcome(self) -> Ending:
        """Wait for the next job to end; one whose process died begins again in another."""
        while True:
            (line, *_) = wait(list(self._busy))
            assert isinstance(line, Connection)
            process, job, name, data = self._busy.pop(line)
            try:
                found: Ending = line.recv()
            except (EOFError, OSError):
                process.join(5)
                line.close()
                died = self._attempts[job.key] = self._attempts.get(job.key, 0) + 1
                if died >= ATTEMPTS:
                    reason = f"its process died {died} times (exit code {process.exitcode})"
                    return Ending(job.key, FAILED, reason)
                self.submit(job, name, data)
                continue
            self._idle.append((process, line))
            return found

    def close(self) -> None:
        """End the processes; those that train keep a checkpoint first."""
        running = [process for process, *_ in self._busy.values()]
        for process in running:
            process.terminate()
        for _, line in self._idle:
            line.close()
        for process in [*running, *(process for process, _ in self._idle)]:
            process.join(60)
        self._idle, self._busy = [], {}

    def _started(self) -> tuple[BaseProcess, Connection]:
        here, there = self._context.Pipe()
        process = self._context.Process(
            target=_serve, args=(there, os.getpid(), self._memory), daemon=True, name="mcusim-worker"
        )
        before = dict(os.environ)
        alone()
        try:
            process.start()
        finally:
            os.environ.clear()
            os.environ.update(before)
        there.close()
        return process, here


def _serve(line: Connection, parent: int, memory: int | None) -> None:
    """Train what comes down the line until it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the study hears it, and says what is to be done
    threading.Thread(target=_follow, args=(parent,), daemon=True).start()
    if memory is not None:
        _bound(memory)
    from mcusim.engine.front import Fronts

    known: dict[str, Dataset] = {}
    # Of a process whose memory is bounded, a quarter is for features.
    fronts = Fronts() if memory is None else Fronts(memory // 4)
    with suppress(EOFError, OSError, KeyboardInterrupt):
        while True:
            job, name = line.recv()
            line.send(name not in known)
            if name not in known:
                known = {name: line.recv()}
            line.send(train_point(job, known[name], fronts))


def _follow(parent: int) -> None:
    """End with the study: a run that is under way keeps a checkpoint."""
    while os.getppid() == parent:
        time.sleep(1)
    os.kill(os.getpid(), signal.SIGTERM)


def _bound(memory: int) -> None:
    import resource

    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))


def executor(workers: int, scheduler: str | None, memory: str | None, *, seconds: float = 10.0) -> Executor:
    """Return where to train: on a cluster if one is named, in processes if there is more than one worker."""
    if scheduler is not None:
        return Cluster(scheduler, seconds=seconds)
    if workers == 1 and memory is None:
        return Here()
    return Processes(workers, memory)
