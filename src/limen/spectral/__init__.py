"""How little must be seen: filter, mosaic, noise, decoding and understanding, in one chain."""

from typing import TYPE_CHECKING

from limen._core.lazy import lazy

if TYPE_CHECKING:
    from limen.spectral.camera.alignment import Alignment
    from limen.spectral.camera.calibration import Calibration, recover_response
    from limen.spectral.camera.camera import Camera
    from limen.spectral.camera.counts import Counts
    from limen.spectral.camera.exposure import Exposure
    from limen.spectral.camera.matrix import encoding_matrix
    from limen.spectral.camera.measured import MeasuredFilters
    from limen.spectral.camera.mosaic import Mosaic
    from limen.spectral.camera.noise import Noise
    from limen.spectral.codec.codec import Codec
    from limen.spectral.codec.lmmse import LMMSE
    from limen.spectral.codec.mlp import PixelMLP
    from limen.spectral.codec.network import Network
    from limen.spectral.codec.split import halves
    from limen.spectral.codec.statistics import SpectralPrior, channel_noise
    from limen.spectral.codec.transformer import SpectralTransformer
    from limen.spectral.codec.unet import UNet
    from limen.spectral.design import Designed, bayes_loss, design, diversity, predicted_error
    from limen.spectral.encode.floats import encode_floats
    from limen.spectral.encode.integers import encode_exactly, encode_integers, quantised
    from limen.spectral.encode.tiles import Tiles
    from limen.spectral.end_to_end import soft_capture, train_end_to_end
    from limen.spectral.optics.curves import FreeForm, Gaussians, Lorentzians
    from limen.spectral.optics.materials import Material
    from limen.spectral.optics.stack import StackPower, stack_power
    from limen.spectral.optics.thin_film import ThinFilm
    from limen.spectral.rates import Device, Rates, devices, rates
    from limen.spectral.wavelengths import Wavelengths

__all__ = [  # noqa: RUF022  in plain order
    "Alignment",
    "Calibration",
    "Camera",
    "Codec",
    "Counts",
    "Designed",
    "Device",
    "Exposure",
    "FreeForm",
    "Gaussians",
    "LMMSE",
    "Lorentzians",
    "Material",
    "MeasuredFilters",
    "Mosaic",
    "Network",
    "Noise",
    "PixelMLP",
    "Rates",
    "SpectralPrior",
    "SpectralTransformer",
    "StackPower",
    "ThinFilm",
    "Tiles",
    "UNet",
    "Wavelengths",
    "bayes_loss",
    "channel_noise",
    "design",
    "devices",
    "diversity",
    "encode_exactly",
    "encode_floats",
    "encode_integers",
    "encoding_matrix",
    "halves",
    "predicted_error",
    "quantised",
    "rates",
    "recover_response",
    "soft_capture",
    "stack_power",
    "train_end_to_end",
]
__getattr__, __dir__ = lazy(__name__, __file__)
