"""Published accuracies: the printed drops, the excess list, the testbed."""

import os
from pathlib import Path

import numpy as np
import pytest

from limen._core.errors import UsageError
from limen.shift.published import (
    DISCOVERY,
    place,
    published,
    published_line,
    results,
)
from limen.shift.testbed import read_testbed

DROPS = [  # as printed, in the order of the tables
    23.32, 19.12, 20.95, 17.30, 13.48, 20.94, 16.52, 16.12, 20.00, 14.42, 30.18, 23.51, 22.22,
    24.20, 19.07, 17.59, 15.10, 9.39, 15.96, 10.22, 13.21, 12.61, 9.42, 6.56, 13.49, 10.61, 23.08,
    21.12, 20.31, 17.25, 16.90, 16.10, 18.29, 17.30, 15.37, 13.57, 9.99, 15.48, 11.05, 13.69, 8.30,
    8.07, 7.65,
]  # fmt: skip
EXCESS = {  # points over the ImageNet logit line, computed independently
    "ViT-B/32 LAION400M": -9.87, "ViT-B/32 LAION2B": -6.01, "ViT-B/32 DataComp1B": -5.47,
    "ViT-B/32 OpenAI": -3.84, "ViT-B/16 LAION400M": -2.83, "ViT-B/16 OpenAI": 1.61,
    "ViT-H/14-384 DFN5B": 0.45, "ViT-G/14 LAION2B": -3.77, "ViT-bigG/14 LAION2B": -1.47,
    "RN101 OpenAI": 1.92,
}  # fmt: skip


def test_every_row_of_the_two_tables_is_there():
    families = [result.family for result in results()]
    assert (families.count("CLIP"), families.count("ImageNet")) == (28, 15)
    assert len({result.name for result in results()}) == 43


def test_drops_agree_with_the_printed_ones():
    found = [100 * result.drop for result in results()]
    np.testing.assert_allclose(found, DROPS, atol=0.0101)  # accuracies are rounded to 0.01


@pytest.mark.parametrize("name", EXCESS)
def test_excess_over_the_imagenet_line(name):
    (model,) = [result for result in results() if result.name == name]
    found = place(model.common, model.counter).over_imagenet
    assert round(100 * found, 2) == EXCESS[name]


def test_the_discovery_model_is_left_out_unless_asked_for():
    assert DISCOVERY not in published_line("CLIP").names
    assert DISCOVERY in published_line("CLIP", include_discovery=True).names
    kept = place(0.7, 0.5, include_discovery=True)
    assert place(0.7, 0.5).over_clip < kept.over_clip  # it had pulled the line down
    assert place(0.7, 0.5).over_imagenet == kept.over_imagenet


@pytest.mark.parametrize(("protocol", "size"), [("1 vs 20", 9), ("1 vs 1000, unbalanced", 2)])
def test_excerpts_are_there(protocol, size):
    assert len(published(protocol).rows) == len(results(protocol)) == size


def test_fewer_names_are_never_harder():
    full = {result.name: result for result in results()}
    for result in results("1 vs 20"):
        if result.family != "LVLM":
            assert result.common > full[result.name].common
            assert result.counter > full[result.name].counter


def test_a_placed_model_stands_first_in_its_table_and_last_in_its_picture():
    placed = place(0.8, 0.7, name="mine")
    first = placed.table().rows[0]
    assert first[:5] == ["yours", "mine", 80.0, 70.0, 10.0]
    assert first[5] == round(100 * placed.over_imagenet, 2)
    assert len(placed.table().rows) == 44
    assert placed.scatter().names[-1] == "mine"


@pytest.mark.parametrize(
    "wrong",
    [lambda: results("1 vs 2"), lambda: published_line("SigLIP"), lambda: place(80.0, 70.0)],
    ids=["protocol", "family", "percent"],
)
def test_what_was_not_published_is_refused(wrong):
    with pytest.raises(UsageError):
        wrong()


def test_a_testbed_keeps_models_that_have_both(tmp_path):
    path = tmp_path / "bed.csv"
    path.write_text("model,val,v2\na,80,70\nb,60,\nc,70,60.5\nd,50,41\n")
    bed = read_testbed(path)
    assert bed.accuracies.shape == (4, 2)
    names, _, v2 = bed.pair("val", "v2")
    assert names == ["a", "c", "d"]
    assert v2.tolist() == [0.7, 0.605, 0.41]
    assert bed.line("val", "v2").names == names
    with pytest.raises(UsageError, match="none of 2 settings"):
        bed.pair("val", "v3")


@pytest.mark.parametrize(
    "text", ["", "name,val\na,1\n", "model,val\n", "model,val\na,1,2\n", "model,val\na,x\n",
             "model,val\na,180\n"],
    ids=["empty", "head", "rows", "ragged", "text", "beyond"],
)  # fmt: skip
def test_what_is_no_testbed_is_refused(tmp_path, text):
    path = tmp_path / "bed.csv"
    path.write_text(text)
    with pytest.raises(UsageError):
        read_testbed(path)


def test_a_missing_testbed_is_told(tmp_path):
    with pytest.raises(UsageError, match="no file"):
        read_testbed(tmp_path / "none.csv")


@pytest.mark.data
def test_imagenet_v2_follows_the_line_of_the_testbed():
    folder = os.environ.get("LIMEN_DATA")
    path = Path(folder or "") / "images" / "imagenet_testbed_top1.csv"
    if not folder or not path.is_file():
        pytest.skip("LIMEN_DATA holds no testbed")
    line = read_testbed(path).line("val", "imagenetv2-matched-frequency-format-val")
    assert len(line.names) == 335
    assert (line.slope, line.intercept) == pytest.approx((0.9337, -0.4961), abs=5e-5)
    assert line.r2 == pytest.approx(0.9994, abs=5e-5)
