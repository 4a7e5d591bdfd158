"""Pictures of a batch are cropped, flipped and normalised as one by one."""

import pytest
import torch
from torch.nn.functional import pad

from limen._core.errors import UsageError
from limen.ood.augment import Augment

IMAGES = torch.randint(
    1, 256, (40, 3, 6, 5), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
)
BARE = {"mean": (0.0,), "std": (1.0,)}


def stream(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_every_picture_is_some_crop_of_its_padded_self_or_its_mirror():
    found = Augment(padding=2, **BARE)(IMAGES, stream())
    used = set()
    for image, result in zip(IMAGES / 255, found, strict=True):
        wide = pad(image, [2] * 4)
        crops = {
            (y, x, mirrored): wide[:, y : y + 6, x : x + 5].flip(-1) if mirrored
            else wide[:, y : y + 6, x : x + 5]
            for y in range(5) for x in range(5) for mirrored in (False, True)
        }  # fmt: skip
        (way,) = [way for way, crop in crops.items() if torch.equal(crop, result)]
        used.add(way)
    assert len(used) > 20
    assert {mirrored for *_, mirrored in used} == {False, True}


def test_without_padding_and_flip_it_only_normalises():
    still = Augment(padding=0, flip=False)
    assert torch.equal(still(IMAGES, stream()), still.plain(IMAGES))


def test_bytes_and_floats_of_the_same_picture_agree():
    augment = Augment()
    torch.testing.assert_close(augment(IMAGES, stream(3)), augment(IMAGES / 255, stream(3)))
    torch.testing.assert_close(augment.plain(IMAGES), augment.plain(IMAGES / 255))


def test_normalisation_is_by_channel():
    augment = Augment(mean=(0.0, 0.5, 1.0), std=(1.0, 0.5, 0.25))
    white = augment.plain(torch.full((1, 3, 2, 2), 255, dtype=torch.uint8))
    assert white[0, :, 0, 0].tolist() == [1.0, 1.0, 0.0]


def test_the_stream_decides_and_the_input_stays():
    before = IMAGES.clone()
    one, again, other = (Augment()(IMAGES, stream(s)) for s in (0, 0, 1))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    assert torch.equal(before, IMAGES)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Augment(padding=-1),
        lambda: Augment(std=(0.0, 1.0, 1.0)),
        lambda: Augment(mean=(0.0,)),
        lambda: Augment().plain(torch.zeros(2, 1, 4, 4)),
        lambda: Augment()(torch.zeros(4, 4), stream()),
    ],
)
def test_what_is_no_picture_is_refused(wrong):
    with pytest.raises(UsageError):
        wrong()
