"""A callback that sends the values of each step to TensorBoard, Weights & Biases and the like."""

from pathlib import Path
from typing import Any

from accelerate import Accelerator

from limen.train.state import State


class Track:
    """Log each step's losses and diagnostics through Accelerate's trackers.

    Args:
        project: The project's name there.
        log_with: "tensorboard", "wandb", "mlflow", or whatever else Accelerate knows; its package
            must be installed.
        into: Folder for trackers that write files.
        config: Settings to show beside the curves.

    Example:
        >>> Track("demo", log_with=None).project
        'demo'
    """

    def __init__(
        self,
        project: str,
        *,
        log_with: str | None = "tensorboard",
        into: str | Path | None = None,
        config: dict[str, Any] | None = None,
    ):
        self.project = project
        self._log_with, self._into, self._config = log_with, into, config
        self._accelerator: Accelerator | None = None

    def before_update(self, state: State) -> None:
        """Nothing to see yet."""

    def after_update(self, state: State) -> None:
        """Send the step's values."""
        if self._accelerator is None:
            on_cpu = next(iter(state.params.values())).device.type == "cpu"
            self._accelerator = Accelerator(
                cpu=on_cpu, log_with=self._log_with, project_dir=self._into
            )
            self._accelerator.init_trackers(self.project, config=self._config)
        self._accelerator.log(state.values, step=state.step)

    def close(self) -> None:
        """Let the trackers finish writing."""
        if self._accelerator is not None:
            self._accelerator.end_training()
