"""The clock by which leases are measured."""

from __future__ import annotations

import time


def boot_time() -> float:
    """Seconds that also pass while the process is frozen or the machine sleeps, as they do for everybody else."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
