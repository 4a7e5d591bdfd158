"""One thread, repeatable hypothesis, and no state of Accelerate that leaks between tests."""

import signal
import sys
from collections.abc import Iterator

import pytest
import torch
from hypothesis import settings

collect_ignore_glob = ["conftest.py", "*/conftest.py"]  # several of one name, no doctests
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
torch.set_num_threads(1)
settings.register_profile("house", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("house")


@pytest.fixture(autouse=True)
def fresh_accelerate() -> Iterator[None]:
    """Accelerate keeps its settings in singletons: what one test chose must not reach the next."""
    yield
    state = sys.modules.get("accelerate.state")
    if state is not None:
        state.AcceleratorState._reset_state(reset_partial_state=True)
        state.GradientState._reset_state()
