from collections.abc import Callable

import pytest
import torch

from limen._core.errors import UsageError
from limen._core.streams import torch_stream
from limen.ood.synth import surrogates
from limen.ood.synth.normalised import Normalised

IMAGES = torch.randn(50, 3, 4, 4, generator=torch_stream(0, "images"))
TABLE = torch.randn(400, 3, generator=torch_stream(0, "table"))
TABLE[:, 1] = TABLE[:, 0]
ALL: dict[str, tuple[Callable, torch.Tensor]] = {
    name: (getattr(surrogates, name), rows)
    for name, rows in {
        "shuffled_columns": TABLE, "uniform_box": IMAGES, "permuted_pixels": IMAGES,
        "shuffled_patches": IMAGES, "rotated": IMAGES, "mixed": IMAGES,
    }.items()
}  # fmt: skip


@pytest.mark.parametrize("name", ALL)
def test_as_many_rows_of_one_shape_change_by_the_stream_alone(name):
    make, rows = ALL[name]
    before = rows.clone()
    one, same, other = (make(rows, torch_stream(seed)) for seed in (0, 0, 1))
    assert one.shape == rows.shape
    assert one.dtype == rows.dtype
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert torch.equal(rows, before)


def test_shuffled_columns_keep_each_column_and_break_their_ties():
    found = surrogates.shuffled_columns(TABLE, torch_stream(0))
    assert torch.equal(found.sort(0).values, TABLE.sort(0).values)
    assert abs(found[:, :2].T.corrcoef()[0, 1]) < 0.2  # was 1; 400 rows: standard error 0.05


def test_permuted_pixels_keep_each_pixels_colour():
    found = surrogates.permuted_pixels(IMAGES, torch_stream(0))
    for image, after in zip(IMAGES, found, strict=True):
        colours, moved = (set(map(tuple, x.flatten(1).T.tolist())) for x in (image, after))
        assert colours == moved


def test_patches_move_as_wholes():
    found = surrogates.shuffled_patches(IMAGES, torch_stream(0))
    for image, after in zip(IMAGES, found, strict=True):
        tiles, moved = (
            {tuple(x[:, i : i + 2, j : j + 2].flatten().tolist()) for i in (0, 2) for j in (0, 2)}
            for x in (image, after)
        )
        assert tiles == moved


def test_each_picture_is_turned_by_one_to_three_quarters():
    found = surrogates.rotated(IMAGES, torch_stream(0))
    turns = [
        next(k for k in (1, 2, 3) if torch.equal(image.rot90(k, (1, 2)), after))
        for image, after in zip(IMAGES, found, strict=True)
    ]
    assert set(turns) == {1, 2, 3}


def test_the_box_holds_all_noise():
    found = surrogates.uniform_box(TABLE, torch_stream(0), widen=1.5)
    middle, half = (TABLE.amax(0) + TABLE.amin(0)) / 2, (TABLE.amax(0) - TABLE.amin(0)) / 2
    assert ((found - middle).abs() <= 1.5 * half).all()
    assert ((found - middle).abs() > 1.4 * half).any()


def test_mixed_rows_lie_between_two_inliers_and_near_neither():
    rows = torch.eye(5)
    found = surrogates.mixed(rows, torch_stream(0), least=0.3)
    assert torch.allclose(found.sum(1), torch.ones(5))
    assert ((found > 0).sum(1) == 2).all()
    assert (found[found > 0] >= 0.3 - 1e-6).all()


def test_settings_out_of_range_are_refused():
    for call in (
        lambda: surrogates.mixed(IMAGES, torch_stream(0), least=0.6),
        lambda: surrogates.mixed(IMAGES[:1], torch_stream(0)),
        lambda: surrogates.shuffled_patches(IMAGES, torch_stream(0), parts=3),
        lambda: surrogates.uniform_box(IMAGES, torch_stream(0), widen=0.0),
    ):
        with pytest.raises(UsageError):
            call()


def test_a_normalised_generator_covers_the_networks_range():
    generator = Normalised(lambda z: z[:, :, None, None].tanh(), (0.5, 0.4), (0.25, 0.2))
    low, high = generator(torch.tensor([[-50.0, -50.0], [50.0, 50.0]])).flatten(1)
    assert torch.allclose(low, torch.tensor([-2.0, -2.0]))
    assert torch.allclose(high, torch.tensor([2.0, 3.0]))
