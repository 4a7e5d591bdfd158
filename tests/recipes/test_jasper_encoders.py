"""The recipe on encoders: how the scene is read, what a bank is asked, and what the page reads."""

from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from limen._core.errors import UsageError
from limen.report.table import Table
from limen.report.trace import Trace
from limen.run import Cell
from limen.run.recipe import Recipe
from limen.spectral import Wavelengths

RECIPE = Path(__file__).parents[2] / "recipes" / "jasper_encoders.py"
NM = np.linspace(420.0, 980.0, 12)


@pytest.fixture(scope="module")
def module():
    return Recipe(RECIPE).module


@pytest.fixture(scope="module")
def scene(module):
    """Mixtures of three smooth spectra, the strongest of which is a pixel's class."""
    stream = np.random.default_rng(0)
    pure = np.stack([np.exp(-(((NM - middle) / 150) ** 2)) for middle in (480, 700, 920)])
    shares = stream.dirichlet([0.2] * 3, size=(2, 12, 20))
    values, classes = 0.6 * shares @ pure, shares.argmax(-1)
    even = np.ones(len(NM))
    colours = np.stack([np.exp(-(((NM - middle) / 60) ** 2)) for middle in (600, 550, 450)])
    return module.Scene(
        *values, *classes, bands=Wavelengths(NM), light=(even, even), red_green_blue=colours
    )


@pytest.fixture
def folder(module, tmp_path):
    """Files like those of the crop: each value tells its row, column and band."""
    for name in module.FILES.values():
        (tmp_path / name).parent.mkdir(exist_ok=True)
    rows, columns = np.divmod(np.arange(10_000), 100)
    image = (10 * rows + columns).reshape(100, 100)
    flat = image.reshape(-1, order="F")  # down the columns first
    cube = np.stack([flat + band for band in range(12)]).astype(np.uint16)
    shares = np.zeros((100, 100, 2))
    shares[:, :30, 0] = shares[:, 30:, 1] = 1
    savemat(tmp_path / module.FILES["cube"], {"Y": cube, "S_GT": shares})
    text = {
        "chosen": [str(i + 1) for i in range(12)],
        "nm": [f"{nm:.1f}" for nm in NM[::-1]],
        "sun": ["words first", "wavelength,global,direct", "280,1,1,1", "4000,1,1,1"],
        "rgb": ["nm,red,green,blue", "400,1,0,0", "700,1,0.5,0"],
        "silicon": ["DATA:", "  0.3 4.0 0.1", "  1.2 4.0 0.1", "REST:"],
    }
    for name, lines in text.items():
        (tmp_path / module.FILES[name]).write_text("\n".join(lines), encoding="utf-8")
    return tmp_path


def asked(module, name, k=3, **settings):
    return {**module._settings(module.BANK, name, k=k, rule="full_well"), "steps": 3, **settings}


def tables(page):
    return {one.title: one for one in page.records if isinstance(one, Table)}


def test_missing_data_are_refused_before_any_work(module, tmp_path):
    with pytest.raises(UsageError, match=r"must hold cubes/Jasper.mat.*; use --data"):
        module.cells(tmp_path)


def test_every_bank_is_asked_with_three_to_sixteen_channels_under_both_rules(module, folder):
    cells = module.cells(folder)
    assert len({cell.key for cell in cells}) == len(cells)
    found = [c.settings for c in cells if c.settings.get("encoder") == module.TRAINED]
    banks = {(one["k"], one["rule"]) for one in found if one["kind"] == module.BANK}
    assert banks == {(k, rule) for k in range(3, 17) for rule in module.RULES}


def test_a_folder_of_several_rooms_is_looked_through(module, folder):
    assert module._folder(folder) == folder
    (folder.parent / "rooms").mkdir()
    folder.rename(folder.parent / "rooms" / "spectral")
    assert module._folder(folder.parent / "rooms").name == "spectral"


def test_the_scene_is_read_down_its_columns_and_its_bands_are_sorted(module, folder):
    scene = module._scene(folder)
    assert (np.diff(scene.bands.nm) > 0).all()
    assert scene.train.shape == scene.test.shape == (50, 100, 12)
    assert scene.train[3, 7, 0] == pytest.approx((37 + 11) / 1e4)  # the last band is the shortest
    assert scene.test[0, 0, 11] == pytest.approx(500 / 1e4)
    assert (scene.test_classes[:, 30:] == 1).all()
    assert (scene.train_classes[:, :30] == 0).all()


def test_a_colour_camera_sees_nothing_beyond_its_filter(module, folder):
    scene = module._scene(folder)
    assert (scene.red_green_blue[:, scene.bands.nm > 700] == 0).all()
    assert scene.red_green_blue.max() == 1


def test_noise_that_is_learnt_from_is_never_asked(module):
    assert not set(module.TEACHING) & set(module.SEEDS)


def test_errors_are_told_in_decibels_of_the_largest_truth(module):
    truth = np.ones((1, 2, 4))
    found = module._errors(truth - 0.1, truth)
    assert found["psnr"] == pytest.approx(20.0)
    assert found["rmse"] == pytest.approx(0.1)
    assert found["sam"] == pytest.approx(0.0, abs=1e-5)  # arccos near 1


def test_a_class_that_neither_has_is_not_counted(module):
    truth = np.array([0, 0, 2, 2])
    found = module._scores(np.array([0, 2, 2, 2]), truth)
    assert found["mIoU"] == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert found["accuracy"] == 0.75


def test_the_reader_learns_what_a_root_tells(module):
    signal = np.linspace(0, 1, 50)[:, None]
    classes = (np.sqrt(signal[:, 0]) > 0.5).astype(int)
    guess = module._Reader(signal, classes)(signal)
    assert (guess == classes).mean() > 0.9


def test_knowing_the_noise_never_costs(module, scene):
    camera = module._made(asked(module, "Lorentzians"), scene)
    found = module._measured(camera, scene)["psnr"]
    assert np.mean(found[module.AFFINE]) > np.mean(found[module.BLIND])
    assert len(found[module.AFFINE]) == len(module.SEEDS)


def test_random_films_are_told_draw_by_draw(module, scene):
    found = module._drawn(asked(module, module.RANDOM, draws=2), scene)
    assert len(found["psnr"][module.AFFINE]) == len(found["classes"]["mIoU"]) == 2
    assert 0 < found["passed"] < 1


def test_the_error_foretold_is_that_of_the_simulation(module, scene):
    told = module._told(module._made(asked(module, module.NARROW), scene), scene)
    assert told["foretold over simulated"] == pytest.approx(1, abs=0.3)  # one shot strays by 7 %


@pytest.mark.parametrize("name", ["films, trained", "free curves, trained"])
def test_what_is_trained_is_no_worse_than_its_start(module, scene, name):
    made, _ = module.TRAINS[name]
    before = scene.camera(made(3, scene), "full_well")
    after = module._made(asked(module, name, starts=2), scene)
    errors = [
        float(module.predicted_error(one, scene.prior, wavelengths=scene.bands).detach())
        for one in (before, after)
    ]
    assert errors[1] <= errors[0]


def test_every_encoder_can_be_made(module, scene):
    for name in module.ENCODERS:
        camera = module._made(asked(module, name, starts=1, steps=1), scene)
        assert camera.count == 3
    colours = module._made(asked(module, module.RGB), scene)
    assert colours.matrix(scene.bands).shape == (3, 12)


def planted(module):
    """Random films at 30 dB, trained ones at 33; free curves lead under a full well."""
    levels = {module.RANDOM: 30.0, module.TRAINED: 33.0, module.FREE: 40.0, module.NARROW: 38.0}
    done = [(Cell("bounds", {"kind": module.BOUNDS}), bounds(module))]
    for name, level in levels.items():
        for k in (4, 9):
            for rule in module.RULES:
                settings = module._settings(module.BANK, name, k=k, rule=rule)
                done.append((Cell(f"{name} {k} {rule}", settings), result(module, level + k - 9)))
    settings = module._settings(module.TAUGHT, module.NARROW, k=9, rule="full_well")
    done.append((Cell("taught", settings), {"psnr": {"U-Net": [38.5, 38.6, 38.4]}}))
    return done


def result(module, level):
    near = [level - 0.1, level, level + 0.1]
    decoders = {module.AFFINE: near, module.BOUNDED: near, module.BLIND: [x - 9 for x in near]}
    return {
        "psnr": decoders, "rmse": decoders, "sam": {module.AFFINE: [1.0, 1.0, 1.0]},
        "classes": {"mIoU": [0.7, 0.7, 0.7], "accuracy": [0.8, 0.8, 0.8]}, "seconds": 1.0,
        "condition": 10.0, "passed": 0.5, "foretold over simulated": 1.0,
    }  # fmt: skip


def bounds(module):
    return {
        bands: {
            "components": {str(k): {"psnr": value + 0.1} for k, value in known.items()},
            "classes": {"mIoU": 0.8, "accuracy": 0.9},
        }
        for bands, known in module.COMPONENTS.items()
    } | {"name": "bounds"}  # fmt: skip


@pytest.fixture(scope="module")
def read(module):
    return tables(module.page(planted(module)))


def test_the_page_leads_with_the_bank_that_keeps_most(module, read):
    assert read["Nine channels"].rows[0][0] == module.FREE
    answer = module.page(planted(module)).answer
    assert "free curves, trained keep 40.0 dB" in answer
    assert "training adds 3.00" in answer


def test_what_training_adds_is_read_at_each_number_of_channels(read):
    gains = read["What training adds to PSNR [dB], by channels, full well"]
    assert list(gains.columns[1:]) == ["4", "9"]
    assert gains.rows[0][1:] == [pytest.approx(3.0), pytest.approx(3.0)]
    assert gains.rows[1][1:] == [None, None]  # not run


def test_a_network_is_read_against_affine_decoding_under_the_same_noise(module, read):
    row = next(
        row for row in read["Other decoders, nine channels"].rows
        if row[:2] == [module.NARROW, "full well"]
    )  # fmt: skip
    assert row[-1].value == pytest.approx(0.5)
    assert row[4].value == pytest.approx(-9.0)


def test_each_figure_stands_beside_its_reference(module, read):
    rows = {row[0]: row[1:] for row in read["Beside the reference numbers, PSNR [dB]"].rows}
    assert rows["films, trained, 9 channels, full well"] == [33.0, 33.5, -0.5]
    assert rows["9 principal components of 64 bands, no noise"] == [55.7, 55.6, 0.1]
    classes = read["Beside the reference numbers, mIoU"].rows
    assert ["Gaussians, narrow, 9 channels, full well", 0.7, 0.75, -0.05] in classes


def test_lines_are_drawn_where_all_banks_were_run(module):
    done = planted(module)
    for name in module.SHOWN:
        for k in (4, 9, 16):
            settings = module._settings(module.BANK, name, k=k, rule="full_well")
            done.append((Cell(name, settings), result(module, 30.0)))
    settings = module._settings(module.BANK, module.NARROW, k=12, rule="full_well")
    done.append((Cell("alone", settings), result(module, 30.0)))
    drawn = [one for one in module.page(done).records if isinstance(one, Trace)]
    assert list(drawn[1].steps) == [4, 9, 16]


def test_banks_that_were_not_run_are_named(module):
    facts = module.page(planted(module)).records[-1].items["banks not run"]
    assert "films, trained, full well: 3, 5, 6, 7, 8, 10, 11, 12, 13, 14, 15, 16 channels" in facts
    assert "films fitted to the free curves, full well: 4, 9, 16 channels" in facts


def test_the_page_stands_without_cells(module):
    assert module.page([]).answer == "No cell has been run yet."
