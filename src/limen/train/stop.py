"""Asked to stop: the step in hand ends and is saved."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def asked_to_stop(*, active: bool) -> Iterator[threading.Event]:
    """Ctrl-C and SIGTERM set an event, so that the step in hand ends and is saved.

    A second Ctrl-C stops at once. Outside the main thread signals are left alone.

    Args:
        active: False yields an event that nobody sets.

    Yields:
        The event.

    Raises:
        KeyboardInterrupt: The second time.
    """
    asked = threading.Event()
    if not active or threading.current_thread() is not threading.main_thread():
        yield asked
        return

    def ask(_number: int, _frame: object) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
