"""Python's own sleep under libfaketime, which refuses its system call where it leaves the monotonic clock alone."""

import select
import time


def sleep(seconds: float) -> None:
    select.select([], [], [], seconds)


time.sleep = sleep
