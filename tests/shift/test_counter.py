"""Counting: what a model is, what is invariant, and what is refused."""

from pathlib import Path
from time import perf_counter

import numpy as np
import pytest
import torch

from limen._core.errors import UsageError
from limen.shift.animals import animals
from limen.shift.counter import counter
from limen.shift.labels import LabelSpace, label_space
from limen.shift.models.classifier import Classifier
from limen.shift.models.embeddings import Embeddings
from limen.shift.models.zero_shot import ZeroShot
from limen.shift.photos import Photos
from limen.shift.predict import Sees, predictions

CLASSES = 45


def photos_of(each: int = 2, classes: int = CLASSES) -> Photos:
    """As many photos of every class and group, in an order of no meaning."""
    labels = np.repeat(np.arange(classes), 2 * each)
    group = np.tile(np.repeat([0, 1], each), classes)
    order = np.random.default_rng(0).permutation(len(labels))
    return Photos([f"{i}.jpg" for i in order], labels[order], group[order])


def embedded(photos: Photos, seed: int = 0, names: int = 60, width: int = 16):
    """Images near their texts, the common ones nearer."""
    stream = np.random.default_rng(seed)
    texts = stream.normal(size=(names, width))
    near = np.where(photos.group == 0, 0.8, 0.4)[:, None]
    return near * texts[photos.labels] + stream.normal(size=(len(photos), width)), texts


class Looks:
    """A model that only has `logits`, and counts how often each photo passes."""

    def __init__(self, logits, photos):
        self.row = dict(zip(photos.paths, logits, strict=True))
        self.asked: list[str] = []

    def logits(self, paths):
        self.asked += paths
        return np.stack([self.row[path] for path in paths])


def test_a_perfect_predictor_has_no_drop():
    photos = photos_of()
    found = counter(photos.labels, photos)
    assert (found.common, found.counter, found.drop) == (1.0, 1.0, 0.0)
    assert (found.unbalanced, found.unbalanced_drop) == ((1.0, 1.0), 0.0)
    assert found.error_fixed["drop"] == 0


@pytest.mark.parametrize("named", [0, 44])
def test_a_constant_predictor_is_right_on_one_class_in_45(named):
    photos = photos_of()
    found = counter(np.full(len(photos), named), photos)
    assert found.common == pytest.approx(1 / 45)
    assert found.counter == pytest.approx(1 / 45)


def test_a_name_outside_of_the_classes_is_wrong_everywhere():
    photos = photos_of()
    found = counter(np.full(len(photos), 999), photos)
    assert (found.common, found.counter) == (0.0, 0.0)


def test_only_the_unbalanced_drop_feels_a_class_photographed_twice():
    photos = photos_of(3)
    images, texts = embedded(photos)
    before = counter(Embeddings(images, texts), photos)
    twice = (photos.labels == np.argmax(before.drops)) & (photos.group == 1)
    rows = np.concatenate([np.arange(len(photos)), np.flatnonzero(twice)])
    after = counter(Embeddings(images[rows], texts), photos.take(rows))
    assert after.drop == pytest.approx(before.drop, abs=1e-12)
    assert abs(after.unbalanced_drop - before.unbalanced_drop) > 1e-3


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_photos_changes_nothing(seed):
    photos = photos_of()
    images, texts = embedded(photos, seed)
    order = np.random.default_rng(seed).permutation(len(photos))
    one = counter(Embeddings(images, texts), photos)
    two = counter(Embeddings(images[order], texts), photos.take(order))
    assert one.table.rows == two.table.rows
    assert one.overall.rows == two.overall.rows


@pytest.mark.parametrize("seed", range(3))
def test_the_numbers_of_classes_change_nothing(seed):
    photos = photos_of()
    images, texts = embedded(photos, seed)
    move = np.random.default_rng(seed).permutation(60)  # class i becomes move[i]
    moved = np.empty_like(texts)
    moved[move] = texts
    other = Photos(photos.paths, move[photos.labels], photos.group)
    one, two = counter(Embeddings(images, texts), photos), counter(Embeddings(images, moved), other)
    assert np.sort(one.drops).tolist() == np.sort(two.drops).tolist()
    assert one.drop == pytest.approx(two.drop, abs=1e-12)
    assert one.resampled["drop"].low == pytest.approx(two.resampled["drop"].low, abs=1e-12)
    assert one.error_fixed["drop"] == pytest.approx(two.error_fixed["drop"], abs=1e-12)


@pytest.mark.parametrize("scale", [1e-20, 0.37, 4.0, 1e15])
def test_the_length_of_embeddings_changes_nothing(scale):
    photos = photos_of()
    images, texts = embedded(photos)
    each = scale * np.random.default_rng(1).uniform(0.5, 2, (len(images), 1))
    one = counter(Embeddings(images, texts), photos)
    two = counter(Embeddings(images * each, texts * scale), photos)
    assert one.predicted.tolist() == two.predicted.tolist()


@pytest.mark.parametrize("size", [2, 5, 20])
def test_fewer_candidates_never_cost_a_class_its_accuracy(size):
    photos = photos_of(4)
    images, texts = embedded(photos)
    model = Embeddings(images, texts)
    among = counter(model, photos, candidates=label_space(model, photos, size=size))
    assert (among.accuracy >= counter(model, photos).accuracy).all()
    assert among.accuracy.mean() > counter(model, photos).accuracy.mean()


def test_candidates_without_the_true_name_leave_the_class_at_nothing():
    photos = photos_of(1, classes=3)
    found = counter(
        np.eye(4)[photos.labels], photos, candidates=LabelSpace({0: [1, 3], 1: [1], 2: [2, 0]})
    )
    assert found.accuracy[:, 0].tolist() == [0.0, 1.0, 1.0]


def test_every_kind_of_model_is_counted_alike():
    photos = photos_of()
    images, texts = embedded(photos)
    saved = Embeddings(images, texts)
    logits = saved.logits(photos.paths)
    named = Embeddings(images, texts, names=photos.paths)
    kinds = [
        logits, torch.tensor(logits), logits.argmax(1), torch.tensor(logits.argmax(1)),
        logits.tolist(), named, ZeroShot(named, texts, scale=7.0, bias=-1.0),
        Looks(logits, photos),
    ]  # fmt: skip
    expected = counter(saved, photos).predicted.tolist()
    assert all(counter(kind, photos).predicted.tolist() == expected for kind in kinds)


def test_each_photo_passes_once_and_in_order(monkeypatch):
    monkeypatch.setattr("limen.shift.predict._ASKED", 7)
    photos = photos_of()
    model = Looks(np.eye(CLASSES)[photos.labels], photos)
    assert counter(model, photos).drop == 0
    assert model.asked == list(photos.paths)


def test_an_object_with_logits_is_a_model():
    photos = photos_of(1)
    assert isinstance(Looks(np.eye(CLASSES)[photos.labels], photos), Sees)
    assert isinstance(Embeddings([[1.0]], [[1.0]]), Sees)
    assert not isinstance(np.zeros(3), Sees)


def test_ties_go_to_the_lowest_number():
    photos = photos_of(1, classes=2)
    assert predictions(np.zeros((4, 3)), photos)[0].tolist() == [0] * 4
    _, texts = embedded(photos, names=5)
    texts[3] = texts[1]  # as the two cranes of ImageNet
    found, _ = predictions(Embeddings(texts[[3, 3, 1, 1]], texts), photos)
    assert found.tolist() == [1] * 4


def test_a_folder_is_read_and_a_network_looks_at_it(tmp_path):
    image = pytest.importorskip("PIL.Image")
    shades = {"0 dark/common-x": 0, "0 dark/counter-y": 200, "1 light/common-x": 255,
              "1 light/counter-y": 240}  # fmt: skip
    for name, shade in shades.items():
        (tmp_path / name).mkdir(parents=True)
        image.new("L", (2, 2), shade).save(tmp_path / name / "a.png")
    net = torch.nn.Linear(1, 2)
    with torch.no_grad():
        net.weight.copy_(torch.tensor([[-1.0], [1.0]]))
        net.bias.copy_(torch.tensor([0.5, -0.5]))
    model = Classifier(
        net, preprocess=lambda photo: torch.tensor([photo.getpixel((0, 0))[0] / 255]), name="shade"
    )
    found = counter(model, tmp_path)
    assert (found.name, found.common, found.counter) == ("shade", 1.0, 0.5)
    assert found.backgrounds == (("x", "y"), ("x", "y"))
    assert found.mistaken == ("light", "")


def test_a_manifest_is_read(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text(
        "path,label,group,background,class_id\na,owl,common,tree,1\nb,owl,counter,snow,1\n"
    )
    found = counter([1, 0], path)
    assert (found.common, found.counter, found.names) == (1.0, 0.0, ("owl",))


def test_names_say_what_photos_are_mistaken_for():
    photos = photos_of(1, classes=2)
    wrong = np.where(photos.group == 1, 2, photos.labels)
    assert counter(np.eye(3)[wrong], photos, labels=["a", "b", "owl, bird"]).mistaken == (
        "owl", "owl",
    )  # fmt: skip


def test_the_most_frequent_mistake_is_told():
    photos = Photos(list("abcd"), [0] * 4, [0, 1, 1, 1])
    assert counter([0, 5, 3, 3], photos).mistaken == ("3",)
    assert counter([0, 5, 3, 0], photos).mistaken == ("3",)


def test_the_name_is_the_users_or_the_models_own():
    photos = photos_of(1, classes=2)
    assert counter(photos.labels, photos, name="mine").name == "mine"
    assert counter(photos.labels, photos).name == "model"
    assert counter(Embeddings(np.eye(4), np.eye(4)), photos).name == "embeddings"


@pytest.mark.parametrize("columns", [44, 45, 46])
def test_names_of_another_number_than_columns_are_refused(columns):
    photos = photos_of(1)
    names = [f"n{i}" for i in range(columns)]
    logits = np.eye(45)[photos.labels]
    if columns == 45:
        assert counter(logits, photos, labels=names).drop == 0
        return
    with pytest.raises(UsageError, match=f"each of the model's 45 columns, got {columns} names"):
        counter(logits, photos, labels=names)


@pytest.mark.parametrize(
    ("images", "texts", "told"),
    [
        (np.ones((2, 3)), np.ones((5, 4)), "one width"),
        ([[1.0, 0.0], [0.0, 0.0]], np.eye(2), "length 0"),
        (np.eye(2), [[1.0, 0.0], [0.0, 0.0]], "length 0"),
        ([[1.0, np.inf], [0.0, 1.0]], np.eye(2), "finite"),
        ([[1.0, np.nan], [0.0, 1.0]], np.eye(2), "finite"),
    ],
    ids=["width", "empty image", "empty text", "infinite", "nan"],
)
def test_embeddings_that_have_no_cosines_are_refused(images, texts, told):
    photos = Photos(["a", "b"], [0, 0], [0, 1])
    with pytest.raises(UsageError, match=told):
        counter(Embeddings(images, texts), photos)


def test_a_pair_of_unequal_widths_is_refused():
    photos = photos_of(1, classes=2)
    pair = ZeroShot(Embeddings(np.ones((4, 3)), np.ones((2, 3))), np.ones((2, 5)))
    with pytest.raises(UsageError, match="one width"):
        counter(pair, photos)


@pytest.mark.parametrize(
    ("model", "told"),
    [
        ([0, 1, 1], "one row for each of 4 photos"),
        (np.zeros((3, 2)), "one row for each of 4 photos"),
        (np.zeros((4, 1)), "column for class 1"),
        (np.full((4, 2), np.nan), "finite"),
        (np.full((4, 2), np.inf), "finite"),
        ([0.0, 1.0, 1.0, 0.0], "model must be predictions"),
        (np.zeros((4, 2, 2)), "model must be predictions"),
        ([["a", "b"]] * 4, "logits must be numbers"),
        ([[0.0, 1.0], [0.0]], "rows of one length"),
        (torch.nn.Linear(2, 2), "model must be predictions"),
        (Embeddings(np.eye(3), np.eye(3)), "4"),
        (Embeddings(np.eye(4)[:, :1] + 1, np.ones((1, 1))), "column for class 1"),
    ],
    ids=["predictions", "logits", "columns", "nan", "infinite", "fractions", "cube", "words",
         "ragged", "network", "embeddings", "texts"],
)  # fmt: skip
def test_a_model_that_does_not_fit_the_photos_is_refused(model, told):
    with pytest.raises(UsageError, match=told):
        counter(model, photos_of(1, classes=2))


@pytest.mark.parametrize("answer", [np.zeros(2), np.zeros((1, 2))], ids=["flat", "rows"])
def test_a_model_that_does_not_answer_row_by_row_is_refused(answer):
    class Odd:
        def logits(self, paths):
            return answer

    with pytest.raises(UsageError, match="as many rows"):
        counter(Odd(), photos_of(1, classes=2))


def test_a_model_whose_columns_change_is_refused(monkeypatch):
    monkeypatch.setattr("limen.shift.predict._ASKED", 2)
    widths = iter([3, 4])

    class Odd:
        def logits(self, paths):
            return np.zeros((len(paths), next(widths)))

    with pytest.raises(UsageError, match=r"same columns for all photos, got \[3, 4\]"):
        counter(Odd(), photos_of(1, classes=2))


def test_predictions_cannot_be_restricted():
    photos = photos_of(1, classes=2)
    with pytest.raises(UsageError, match="already chosen"):
        counter(photos.labels, photos, candidates=LabelSpace({0: [0], 1: [1]}))


@pytest.mark.parametrize(
    ("option", "told"),
    [({"level": 1.0}, "level must be"), ({"resamples": 0}, "resamples must be")],
    ids=["level", "resamples"],
)
def test_an_option_out_of_range_is_refused_before_a_photo_passes(option, told):
    photos = photos_of(1, classes=2)
    model = Looks(np.eye(2)[photos.labels], photos)
    with pytest.raises(UsageError, match=told):
        counter(model, photos, **option)
    assert not model.asked


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(UsageError, match="no such folder"):
        counter([0], Path(tmp_path / "no"))


@pytest.mark.slow
def test_embeddings_of_13100_photos_and_1000_names_take_less_than_5_seconds():
    """From raw arrays to the tables; what is expected of two cores, met by one."""
    labels = np.array([one.index for one in animals()])[np.arange(13_100) % 45]
    photos = Photos([f"{i}.jpg" for i in range(13_100)], labels, (np.arange(13_100) // 45) % 2)
    images, texts = embedded(photos, names=1000, width=512)
    start = perf_counter()
    found = counter(Embeddings(images, texts), photos)
    assert found.table.rows
    assert found.overall.rows
    assert perf_counter() - start < 5
