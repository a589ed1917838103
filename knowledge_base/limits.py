"""What one piece of work may take: time and memory, watched inside the worker that does it.

A piece of work beyond its time is ended by an exception; where that cannot be delivered (native
code that hangs), the process is ended a little later. An allocation beyond the memory fails like
any other failed allocation, so that a worker is not killed for it, nor its neighbours.
"""

from __future__ import annotations

import faulthandler
import os
import resource
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from types import FrameType

_GRACE = 30.0
"""Seconds between the exception and the end of the process."""
_LONGEST = 30 * 24 * 3600.0
"""Seconds that a timer takes anywhere."""
_LEAST_MEMORY = 3 * 2**30


@dataclass(frozen=True)
class Limits:
    """What one piece of work may take.

    Attributes:
        seconds: Wall time; far more than any run of the benchmark needs.
        memory: Private memory of the process in bytes, or None for no limit.
    """

    seconds: float = 1800.0
    memory: int | None = None


def share_of_memory(workers: int) -> int:
    """Bytes for each of so many workers on this machine."""
    physical = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return max(_LEAST_MEMORY, int(0.9 * physical / workers))


_AGAIN = 0.1
"""Seconds between alarms once the time is over: what is raised in a finalizer or a callback of the
garbage collector is swallowed there."""


class OutOfTimeError(BaseException):
    """The time of a piece of work is over; no ``except Exception`` on the way may catch it."""


@contextmanager
def limited(limits: Limits) -> Iterator[None]:
    """Do what is inside within the limits.

    Raises:
        OutOfTimeError: It took too long.
    """
    seconds = min(limits.seconds, _LONGEST)
    with ExitStack() as stack:
        if limits.memory is not None:
            before = resource.getrlimit(resource.RLIMIT_DATA)
            resource.setrlimit(resource.RLIMIT_DATA, (limits.memory, before[1]))
            stack.callback(resource.setrlimit, resource.RLIMIT_DATA, before)
        if threading.current_thread() is threading.main_thread():  # others get no signals
            old = signal.signal(signal.SIGALRM, _out_of_time)
            stack.callback(signal.signal, signal.SIGALRM, old)
            signal.setitimer(signal.ITIMER_REAL, seconds, _AGAIN)
            stack.callback(signal.setitimer, signal.ITIMER_REAL, 0.0)
            silent = stack.enter_context(open(os.devnull, "w"))
            faulthandler.dump_traceback_later(seconds + _GRACE, exit=True, file=silent)
            stack.callback(faulthandler.cancel_dump_traceback_later)
        yield


def _out_of_time(number: int, frame: FrameType | None) -> None:
    raise OutOfTimeError
