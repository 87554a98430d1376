"""Images in folders: what is read, in what order, with which labels; and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gradtape import utils


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Images of one colour each: 6 of class a (10, 20, ...), 4 of class b (110, 120, ...)."""
    for name, start, count in (("a", 10, 6), ("b", 110, 4)):
        (tmp_path / name).mkdir()
        for i in range(count):
            pixels = np.full((5 + i, 8, 3), start + 10 * i, np.uint8)
            Image.fromarray(pixels).save(tmp_path / name / f"{i}.png")
    (tmp_path / "a" / "notes.txt").write_text("no image")
    return tmp_path


def read(folder: Path, **settings):
    settings = {"image_size": (4, 4), "shuffle": False, "verbose": False} | settings
    return utils.image_dataset_from_directory(folder, **settings)


def test_folders_are_classes(folder, capsys):
    batches = read(folder, batch_size=4, verbose=True)
    assert capsys.readouterr().out == "Found 10 images of 2 classes.\n"
    assert batches.class_names == ["a", "b"]
    assert len(batches) == 3
    x, y = batches[0]
    assert x.shape == (4, 4, 4, 3) and x.dtype == np.float32 and y.dtype == np.int32
    assert x[:, 0, 0, 0].tolist() == [10, 20, 30, 40] and y.tolist() == [0] * 4
    x, y = batches[2]
    assert x[:, 3, 3, 2].tolist() == [130, 140] and y.tolist() == [1, 1]
    with pytest.raises(IndexError, match="3 batches"):
        batches[3]


@pytest.mark.parametrize(
    ("mode", "labels"), [("categorical", [[1, 0], [0, 1]]), ("binary", [[0], [1]])]
)
def test_labels_in_other_forms(folder, mode, labels):
    _, y = read(folder, label_mode=mode, batch_size=None)[0]
    assert y.dtype == np.float32
    assert y[[0, -1]].tolist() == labels


def test_other_labels_or_none(folder):
    (x,) = read(folder, labels=None, label_mode=None)[0]
    assert x.shape == (10, 4, 4, 3)
    _, y = read(folder, labels=list(range(10)))[0]
    assert y.tolist() == list(range(10))
    _, y = read(folder, class_names=["b", "a"])[0]
    assert y.tolist() == [0] * 4 + [1] * 6


def test_colours_axes_and_proportions(folder):
    assert read(folder, color_mode="grayscale")[0][0].shape == (10, 4, 4, 1)
    assert read(folder, color_mode="rgba")[0][0][0, 0, 0].tolist() == [10, 10, 10, 255]
    assert read(folder, data_format="channels_first")[0][0].shape == (10, 3, 4, 4)
    wide = np.zeros((4, 8, 3), np.uint8)
    wide[:, 2:6] = 200
    Image.fromarray(wide).save(folder / "wide.png")
    kept = utils.load_img(folder / "wide.png", target_size=(4, 4), keep_aspect_ratio=True)
    assert (utils.img_to_array(kept) == 200).all()
    assert (utils.img_to_array(utils.load_img(folder / "wide.png", target_size=(4, 4))) == 0).any()


def test_parts_share_no_image_and_epochs_have_orders(folder):
    whole = {"seed": 1, "shuffle": True, "validation_split": 0.3, "batch_size": 20}
    train, held = read(folder, subset="both", **whole)
    assert len(train[0][0]) == 7 and len(held[0][0]) == 3
    values = [sorted(part[0][0][:, 0, 0, 0].tolist()) for part in (train, held)]
    assert sorted([*values[0], *values[1]]) == [10, 20, 30, 40, 50, 60, 110, 120, 130, 140]
    again = read(folder, subset="validation", **whole)
    assert sorted(again[0][0][:, 0, 0, 0].tolist()) == values[1]
    first = train[0][0][:, 0, 0, 0].tolist()
    train.on_epoch_end()
    second = train[0][0][:, 0, 0, 0].tolist()
    assert first != second and sorted(first) == sorted(second)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"subset": "training"}, "belong together"),
        ({"validation_split": 0.2, "subset": "training", "shuffle": True}, "Pass a seed"),
        ({"validation_split": 1.0, "subset": "both"}, "between 0 and 1"),
        ({"validation_split": 0.01, "subset": "both"}, "none for validation"),
        ({"label_mode": "integer"}, "'int'"),
        ({"color_mode": "grey"}, "Unknown color mode 'grey'"),
        ({"labels": [1, 2]}, "10 images, received 2 labels"),
        ({"class_names": ["a", "c"]}, "are not the folders"),
    ],
)
def test_what_makes_no_sense_is_refused(folder, settings, message):
    with pytest.raises(ValueError, match=message):
        read(folder, **settings)


def test_folders_without_images_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="no folder"):
        read(tmp_path / "nothing")
    (tmp_path / "a").mkdir()
    with pytest.raises(ValueError, match="No images found"):
        read(tmp_path)


def test_arrays_become_images_and_back(tmp_path):
    x = np.random.default_rng(0).integers(0, 256, (5, 4, 3)).astype(np.float32)
    x.flat[:2] = 0, 255
    assert np.array_equal(utils.img_to_array(utils.array_to_img(x)), x)
    first = np.moveaxis(x, -1, 0)
    assert np.array_equal(
        utils.img_to_array(utils.array_to_img(first, "channels_first"), "channels_first"), first
    )
    utils.save_img(tmp_path / "x.png", x[..., :1], scale=False)
    found = utils.load_img(tmp_path / "x.png", color_mode="grayscale")
    assert np.array_equal(utils.img_to_array(found), x[..., :1])
    with pytest.raises(ValueError, match="received \\(5, 4\\)"):
        utils.array_to_img(x[..., 0])
