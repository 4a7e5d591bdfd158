"""What no camera, codec or filter can be: one sentence before any work, never a traceback."""

import numpy as np
import pytest
import torch

from limen._core.errors import UsageError
from limen._core.streams import numpy_stream
from limen.spectral import (
    LMMSE,
    Calibration,
    Camera,
    Codec,
    Exposure,
    FreeForm,
    Gaussians,
    Network,
    PixelMLP,
    SpectralPrior,
    ThinFilm,
    Wavelengths,
    design,
    stack_power,
)

BANDS = Wavelengths(np.linspace(400, 700, 16))
SCENE = numpy_stream(0, "scene").random((8, 8, 16)).astype(np.float32)
PRIOR = SpectralPrior.of(SCENE.reshape(-1, 16))
DARK = Camera(FreeForm(np.full((2, 16), -800.0)), exposure=Exposure("full_well"))


def camera(**settings) -> Camera:
    return Camera(Gaussians(np.linspace(430, 670, 4), 50.0), **settings)


def shot(scene, wavelengths=BANDS, *, mosaic=None, **settings):
    return camera(mosaic=mosaic).capture(scene, wavelengths=wavelengths, **settings)


def learnt(net):
    return Codec(camera(), decoder=Network(net, steps=1)).fit(SCENE, wavelengths=BANDS)


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda: camera(mosaic=(2, 2, 1)), "its two sides"),
        (lambda: camera(psf=np.full((3, 3), np.inf)), "psf must be non-negative weights"),
        (lambda: shot(SCENE, np.linspace(400, 700, 16)), r"wrap them: Wavelengths\(nm\)"),
        (lambda: shot(SCENE[None][:0]), "it is empty"),
        (lambda: shot(SCENE + 0j), "real numbers, got complex64"),
        (lambda: shot(SCENE.astype(float) * 1e200), "finite and not negative"),
        (lambda: shot(SCENE, mosaic=(2, 2), origin=(0, 1, 0)), "where a block of 2 x 2 begins"),
        (lambda: DARK.capture(SCENE, wavelengths=BANDS), "they pass none"),
        (lambda: camera().encode(torch.ones(4, 4, 5), BANDS), "16 bands of wavelengths, got 5"),
        (lambda: Codec(camera(), decoder="lmmse").fit(SCENE, wavelengths=BANDS), "got 'lmmse'"),
        (lambda: Codec(camera()).fit(SCENE, wavelengths=BANDS).decode(np.ones((2, 2, 3))),
         "must have 4 channels, got 3"),
        (lambda: learnt(PixelMLP(3, 16)), "take 4 channels and give 16 bands"),
        (lambda: learnt(PixelMLP(4, 5)), "take 4 channels and give 16 bands"),
        (lambda: LMMSE().fit(PRIOR, torch.full((2, 16), torch.nan), variance=torch.ones(2)),
         "must be finite"),
        (lambda: LMMSE().fit(PRIOR, torch.ones(2, 16), variance=-torch.ones(2)), "at least 0"),
        (lambda: design(camera(), SpectralPrior.of(SCENE[..., :5]), wavelengths=BANDS),
         "16 bands of wavelengths, got 5"),
        (lambda: ThinFilm([[90.0]], ["SiO2"], limits=[[600, 20]]), "limits must be"),
        (lambda: ThinFilm([[90.0]], ["SiO2"], limits=[[1, 2], [3, 4]]), "each of 1 layers"),
        (lambda: stack_power(torch.tensor([500.0]), torch.ones(1, 1, dtype=torch.complex128),
                             torch.tensor([[-5.0]])), "at least 0 nm"),
        (lambda: Gaussians([], 50.0), "peaks need a centre each"),
        (lambda: Calibration(np.zeros((2, 2)), np.ones((2, 2)))(np.ones((3, 3))), "frame must be"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_in_a_sentence(made, said):
    with pytest.raises(UsageError, match=said):
        made()


def test_light_beyond_all_measure_saturates():
    counts = shot(1e35 * (SCENE + 0.1))
    assert counts.saturated == 1.0
    assert (counts.values == 4095).all()


def test_sides_of_a_mosaic_may_be_a_list():
    assert camera(mosaic=[2, 2]).mosaic == camera(mosaic=(2, 2)).mosaic


def test_a_tile_that_begins_with_a_block_is_the_frames_own():
    whole = shot(SCENE, mosaic=(2, 2), seed=3).values
    tile = shot(SCENE[4:, 2:], mosaic=(2, 2), seed=3, origin=(0, 4, 2)).values
    assert np.array_equal(tile, whole[4:, 2:])
