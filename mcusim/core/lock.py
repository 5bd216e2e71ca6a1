"""A lock on an open file: the operating system's, so that it ends with its process, however that ends."""

from __future__ import annotations

import errno
import sys
from typing import IO

BUSY = (errno.EACCES, errno.EAGAIN, errno.EDEADLK)
"""Numbers of the error that says that another process holds it."""

if sys.platform == "win32":

    def lock(file: IO[bytes]) -> None:
        """Lock a file that no other process locks; see below."""
        import msvcrt

        file.seek(1 << 30)  # bytes that nobody reads: those that are locked cannot be read by others
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)

else:

    def lock(file: IO[bytes]) -> None:
        """Lock a file that no other process locks, without waiting; closing it ends the lock.

        Raises:
            OSError: if another process holds it (``BUSY``), or the file system has no locks.
        """
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
