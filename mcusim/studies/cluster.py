"""The runs of a study made by the workers of a running Dask cluster."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from mcusim.core import BadArgument
from mcusim.studies.optional import required
from mcusim.studies.point import FAILED
from mcusim.studies.work import ATTEMPTS, Ending, Job, train_point

if TYPE_CHECKING:
    from mcusim.data.dataset import Dataset
    from mcusim.engine.front import Fronts


class Cluster:
    """Workers of a running Dask cluster; each data set is sent to every worker once.

    The runs that a thread of a worker makes, one after the other, share fronts and features in its memory
    until the study ends.

    Args:
        address: of its scheduler, e.g. ``tcp://192.168.1.4:8786``.
        seconds: to wait for an answer.

    Raises:
        MissingPackage: without Dask distributed.
        BadArgument: if no scheduler answers, it has no workers, or one has another version.
    """

    def __init__(self, address: str, *, seconds: float = 10.0) -> None:
        distributed = required("distributed", "a Dask cluster")
        try:
            self._client = distributed.Client(address, timeout=seconds, set_as_default=False)
        except (OSError, ValueError, TimeoutError) as error:
            reason = f"does not answer: {type(error).__name__}"
            raise BadArgument(f"scheduler {address}", reason, "start one with dask scheduler") from error
        self._done: Any = distributed.as_completed(loop=self._client.loop)
        self._sent: dict[str, Any] = {}
        self._jobs: dict[str, Job] = {}
        try:
            self.room = self._workers(address)
        except BaseException:
            self._client.close()
            raise

    def _workers(self, address: str) -> int:
        from mcusim.session.identity import program

        answers = self._client.run(_version, on_error="return")
        if not answers:
            raise BadArgument(f"scheduler {address}", "has no workers", f"start some: dask worker {address}")
        for worker, found in answers.items():
            if found != program():
                what = found.get("version") if isinstance(found, dict) else "no mcusim"
                reason = f"runs {what} with other code, this study {program()['version']}"
                raise BadArgument(f"worker {worker}", reason, "install the same mcusim there")
        return len(answers)

    def submit(self, job: Job, name: str, data: Dataset) -> None:
        """Send the job to the cluster, which begins it again elsewhere if its worker dies."""
        if name not in self._sent:
            self._sent[name] = self._client.scatter(data, broadcast=True, hash=False)
        future = self._client.submit(
            _train_there, job, self._sent[name], key=f"{job.key}-{job.epochs}-{time.monotonic_ns()}",
            retries=ATTEMPTS, pure=False, resources=None,
        )  # fmt: skip
        self._jobs[future.key] = job
        self._done.add(future)

    def outcome(self) -> Ending:
        """Wait for the next job to end."""
        future = next(self._done)
        job = self._jobs.pop(future.key)
        try:
            found: Ending = future.result()
        except Exception as error:
            return Ending(job.key, FAILED, f"{type(error).__name__}: {error}")
        return found

    def close(self) -> None:
        """Take back what was not begun."""
        with suppress(Exception):
            self._client.cancel(list(self._jobs))
            self._client.run(_forget, on_error="ignore")
        self._client.close()


_THERE: dict[int, Fronts] = {}
"""What the runs of a thread share on a worker, where nothing of ours outlives a job."""


def _train_there(job: Job, data: Dataset) -> Ending:
    from mcusim.engine.front import Fronts

    fronts = _THERE.setdefault(threading.get_ident(), Fronts())
    with _unsampled():
        return train_point(job, data, fronts)


@contextmanager
def _unsampled() -> Iterator[None]:
    """Keep the worker from sampling the stack of this thread, which takes it a fourteenth of its core."""
    from distributed import get_worker

    worker = get_worker()
    sampling = worker.periodic_callbacks.get("profile")
    if sampling is None:
        yield
        return

    def resume() -> None:
        if not sampling.is_running():
            sampling.start()

    worker.loop.add_callback(sampling.stop)
    try:
        yield
    finally:
        worker.loop.add_callback(resume)


def _forget() -> None:
    _THERE.clear()


def _version() -> dict[str, str]:
    from mcusim.session.identity import program

    return program()
