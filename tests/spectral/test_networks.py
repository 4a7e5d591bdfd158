import numpy as np
import pytest
import torch

import limen
from limen._core.errors import UsageError
from limen._core.streams import numpy_stream, torch_stream
from limen.spectral.camera.camera import Camera
from limen.spectral.camera.noise import Noise
from limen.spectral.codec.codec import Codec
from limen.spectral.codec.mlp import PixelMLP
from limen.spectral.codec.network import Network
from limen.spectral.codec.transformer import SpectralTransformer
from limen.spectral.codec.unet import UNet
from spectral._banks import Bands, random_bank

BANDS = Bands(np.linspace(400, 1000, 10))


def curved(seed=0):
    """Spectra on a curve that no affine map follows from two channels."""
    t = numpy_stream(seed, "curve").random((24, 24, 1))
    return 0.5 + 0.45 * np.sin(2 * np.pi * (t + np.linspace(0, 2, 10) * t))


def nets():
    return [
        PixelMLP(2, 10, width=32),
        UNet(2, 10, width=4, levels=2),
        SpectralTransformer(2, 10, width=4, stages=1),
    ]


def test_the_published_sizes_give_the_published_number_of_weights():
    count = sum(p.numel() for p in SpectralTransformer(3, 31).parameters())
    assert count == pytest.approx(1.62e6, rel=0.005)


@pytest.mark.parametrize("net", nets(), ids=lambda net: type(net).__name__)
class TestEachNetwork:
    def test_frames_of_any_size_keep_it(self, net):
        assert net.eval()(torch.zeros(1, 2, 5, 9)).shape == (1, 10, 5, 9)

    def test_a_network_that_never_moved_decodes_as_lmmse_does(self, net):
        codec = Codec(
            Camera(random_bank(2, 10)), decoder=Network(net, steps=1, lr=1e-12, batch=1, patch=8)
        ).fit(curved(), wavelengths=BANDS)
        plain = Codec(codec.camera).fit(curved(), wavelengths=BANDS)
        counts = codec.camera.capture(curved(1), seed=1, wavelengths=BANDS)
        assert np.allclose(codec.decode(counts), plain.decode(counts), atol=1e-5)

    def test_a_codec_with_it_survives_its_file(self, net, tmp_path):
        decoder = Network(net, steps=2, batch=1, patch=8)
        codec = Codec(Camera(random_bank(2, 10)), decoder=decoder).fit(curved(), wavelengths=BANDS)
        counts = codec.camera.capture(curved(1), seed=1, wavelengths=BANDS)
        again = limen.load(limen.save(decoder, tmp_path / "decoder"))
        signal = torch.as_tensor(counts.channels())
        with torch.no_grad():
            assert torch.equal(again(signal), decoder(signal))


def test_a_network_beats_the_affine_decoder_on_spectra_along_a_curve():
    camera = Camera(random_bank(3, 10), noise=Noise(prnu=0, dsnu=0))
    plain = Codec(camera).fit(curved(), wavelengths=BANDS)
    net = Network(PixelMLP(3, 10, width=32), steps=150, batch=4, patch=24, lr=5e-3)
    learnt = Codec(camera, decoder=net).fit(curved(), wavelengths=BANDS)
    truth = curved(9)  # never seen
    counts = camera.capture(truth, seed=5, wavelengths=BANDS)
    error = [np.square(c.decode(counts) - truth).mean() for c in (plain, learnt)]
    assert error[1] < 0.7 * error[0]


def test_attention_among_planes_does_not_care_where_pixels_stand():
    from limen.spectral.codec.transformer import _Block

    block = _Block(4, 2).eval()
    for layer in (block.place[0], block.place[2], block.feed[2]):
        torch.nn.init.zeros_(layer.weight)
    image = torch.rand(1, 8, 4, 6, generator=torch_stream(0, "image"))
    with torch.no_grad():
        assert torch.allclose(block(image.flip(3)), block(image).flip(3), atol=1e-6)


def test_decoding_before_learning_is_refused():
    with pytest.raises(UsageError, match="must learn"):
        Network(PixelMLP(2, 10))(torch.zeros(4, 4, 2))


def test_an_unknown_loss_names_the_nearest():
    with pytest.raises(UsageError, match="mrae"):
        Network(PixelMLP(2, 10), loss="mre")
