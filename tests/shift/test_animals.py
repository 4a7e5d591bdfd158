"""The 45 animals as facts: what was published adds up, and where it does not, it is told."""

import os
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest

from limen.shift.animals import animals
from limen.shift.counter import counter
from limen.shift.photos import Photos
from limen.shift.published import results

PRAIRIE_CHICKEN = 83
MODELS = ("ViT-B/32", "ViT-B/16", "ViT-L/14")


def counts(*, chickens: int) -> np.ndarray:
    """Printed counts, with another number of common prairie chickens."""
    found = np.array([one.printed for one in animals()])
    found[[one.index for one in animals()].index(PRAIRIE_CHICKEN), 0] = chickens
    return found


def counted(model: str):
    """What `counter` makes of photos of which as many are named rightly as was published."""
    labels, group, predicted = [], [], []
    for one, sizes in zip(animals(), counts(chickens=259).tolist(), strict=True):
        for place, size in enumerate(sizes):
            right = round(one.accuracies[model][place] * size)
            labels += [one.index] * size
            group += [place] * size
            predicted += [one.index] * right + [999] * (size - right)
    photos = Photos([str(i) for i in range(len(labels))], labels, group)
    return counter(np.array(predicted), photos, resamples=200)


def published(model: str):
    return next(r for r in results() if r.name == f"{model} LAION400M")


def test_there_are_45_in_the_order_of_their_indices():
    indices = [one.index for one in animals()]
    assert len(set(indices)) == 45
    assert indices == sorted(indices)
    assert [one.id for one in animals()] == list(range(1, 46))


def test_wordnet_numbers_rise_with_the_indices():
    wnids = [one.wnid for one in animals()]
    assert wnids == sorted(wnids)
    assert len(set(wnids)) == 45


def test_the_two_backgrounds_of_an_animal_differ():
    assert all(one.common != one.counter for one in animals())


def test_printed_counts_add_up_to_the_stated_totals():
    """7,174 and 5,926: with 25 prairie chickens, as printed."""
    assert np.array([one.printed for one in animals()]).sum(0).tolist() == [7174, 5926]


@pytest.mark.parametrize("model", MODELS)
def test_accuracies_are_shares_of_the_printed_counts_but_for_one_class(model):
    off = []
    for one in animals():
        for share, size in zip(one.accuracies[model], one.printed, strict=True):
            if abs(round(share * size) / size - share) > 0.5001e-4:
                off.append(one.index)
    assert off == [PRAIRIE_CHICKEN]


@pytest.mark.parametrize("model", MODELS)
def test_the_one_class_is_a_share_of_259(model):
    share = next(one for one in animals() if one.index == PRAIRIE_CHICKEN).accuracies[model][0]
    assert round(share * 259) / 259 == pytest.approx(share, abs=0.5001e-4)


@pytest.mark.parametrize("model", MODELS)
def test_class_accuracies_average_to_the_published_ones(model):
    """Within 0.06 points: both tables are rounded, and were not made from one file."""
    found, told = counted(model), published(model)
    assert 100 * found.common == pytest.approx(100 * told.common, abs=0.06)
    assert 100 * found.counter == pytest.approx(100 * told.counter, abs=0.06)
    assert 100 * found.drop == pytest.approx(100 * told.drop, abs=0.06)


@pytest.mark.parametrize(
    ("model", "points"), [("ViT-B/32", 0.83), ("ViT-B/16", 0.81), ("ViT-L/14", 0.73)]
)
def test_standard_error_of_the_drop_with_classes_fixed(model, points):
    assert 100 * counted(model).error_fixed["drop"] == pytest.approx(points, abs=0.005)


@pytest.mark.parametrize(
    ("model", "points"), [("ViT-B/32", 2.03), ("ViT-B/16", 2.19), ("ViT-L/14", 2.28)]
)
def test_standard_error_of_the_drop_with_classes_resampled(model, points):
    """The reference numbers are themselves bootstrap estimates: 0.05 points apart at most."""
    assert 100 * counted(model).error_resampled["drop"] == pytest.approx(points, abs=0.05)


def test_two_classes_are_easier_on_counter_photos_of_two_models():
    """Beaver under ViT-B/16 and ViT-L/14."""
    below = {
        (one.name, model)
        for one in animals()
        for model in MODELS
        if one.accuracies[model][0] < one.accuracies[model][1]
    }
    assert below == {("beaver", "ViT-B/16"), ("beaver", "ViT-L/14")}


def test_the_name_is_the_first_synonym():
    assert next(one for one in animals() if one.index == 296).name == "ice bear"


def test_the_facts_cannot_be_changed():
    with pytest.raises(AttributeError):
        animals()[0].index = 3


@pytest.mark.data
def test_indices_and_names_are_imagenets():
    """Sorted WordNet numbers of one photo a class give ImageNet's indices."""
    folder = os.environ.get("LIMEN_DATA")
    path = Path(folder or ".") / "images" / "imagenet_one_per_class_256px.zip"
    if folder is None or not path.is_file():
        pytest.skip("LIMEN_DATA holds no photo a class")
    with ZipFile(path) as archive:
        names = sorted(Path(name).stem for name in archive.namelist())
    assert len(names) == 1000
    for one in animals():
        wnid, _, name = names[one.index].partition("_")
        assert (wnid, name.replace("_", " ").lower()) == (one.wnid, one.name.lower())
