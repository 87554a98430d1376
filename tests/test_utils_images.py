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


# What folders hold beside the classes


def test_what_is_hidden_is_no_class_and_no_image(folder):
    (folder / ".ipynb_checkpoints").mkdir()
    (folder / "a" / ".ipynb_checkpoints").mkdir()
    pixels = Image.fromarray(np.zeros((2, 2), np.uint8))
    pixels.save(folder / ".ipynb_checkpoints" / "x.png")
    pixels.save(folder / "a" / ".ipynb_checkpoints" / "0-checkpoint.png")
    for name in ("Thumbs.db", ".DS_Store", "._0.png"):
        (folder / name).write_bytes(b"no image")
        (folder / "b" / name).write_bytes(b"no image")
    batches = read(folder)
    assert batches.class_names == ["a", "b"]
    assert batches[0][1].tolist() == [0] * 6 + [1] * 4
    assert read(folder, labels=None)[0][0].shape == (10, 4, 4, 3)


def test_a_class_without_images_keeps_its_number_and_is_mentioned(folder):
    (folder / "aa").mkdir()
    with pytest.warns(UserWarning, match="No images found of 'aa'"):
        batches = read(folder)
    assert batches.class_names == ["a", "aa", "b"] and batches[0][1].tolist() == [0] * 6 + [2] * 4
    chosen = read(folder, class_names=["b", "a"])
    assert chosen.class_names == ["b", "a"] and chosen[0][1].tolist() == [0] * 4 + [1] * 6


def test_links_in_a_circle_end(folder):
    for place in (folder, folder / "a"):
        (place / "around").symlink_to(folder, target_is_directory=True)
    (folder / "a" / "self").symlink_to(folder / "a", target_is_directory=True)
    (folder / "a" / "more").symlink_to(folder / "b", target_is_directory=True)
    for follow_links, of_a in ((False, 6), (True, 10)):
        batches = read(folder, follow_links=follow_links)
        assert batches.class_names == ["a", "b"]
        assert batches[0][1].tolist() == [0] * of_a + [1] * 4


def test_a_class_may_be_a_link_to_a_folder_elsewhere(folder, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (folder / "b").rename(elsewhere / "b")
    (folder / "b").symlink_to(elsewhere / "b", target_is_directory=True)
    assert read(folder)[0][1].tolist() == [0] * 6 + [1] * 4


# Files of every kind

COLOURS = np.random.default_rng(1).integers(0, 256, (6, 5, 3), np.uint8)


def in_mode(mode: str) -> Image.Image:
    """An image in a mode of Pillow's, of the colours above where it has colours."""
    image = Image.fromarray(COLOURS)
    if mode == "LAB":
        return Image.frombytes("LAB", image.size, image.tobytes())
    if mode == "PA":
        return image.convert("P").convert("PA")
    return image.convert(mode)


@pytest.mark.parametrize(
    ("mode", "suffix"),
    [
        *((m, "png") for m in ("1", "L", "LA", "P", "RGB", "RGBA")),
        *((m, "tif") for m in ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK")),
        *((m, "tif") for m in ("YCbCr", "LAB")),
        *((m, "jpg") for m in ("L", "RGB", "CMYK")),
    ],
)
def test_every_mode_of_8_bits_is_read_as_pillow_sees_it(tmp_path, mode, suffix):
    path = tmp_path / f"x.{suffix}"
    in_mode(mode).save(path)
    try:
        with Image.open(path) as opened:
            opened.convert("RGB")
    except (ImportError, OSError, ValueError):  # Pillow does not always read what it writes
        with pytest.raises(OSError, match=rf"x\.{suffix}' cannot be read as an image"):
            utils.load_img(path)
        return
    for color_mode, wanted, channels in (
        ("grayscale", "L", 1),
        ("rgb", "RGB", 3),
        ("rgba", "RGBA", 4),
    ):
        found = utils.img_to_array(utils.load_img(path, color_mode))
        with Image.open(path) as opened:
            if opened.mode == "LAB":
                opened = opened.convert("RGB")
            expected = np.asarray(opened.convert(wanted), np.float32).reshape(6, 5, channels)
        assert found.shape == (6, 5, channels)
        np.testing.assert_array_equal(found, expected)
        smaller = utils.load_img(path, color_mode, (3, 4), "bilinear")
        assert utils.img_to_array(smaller).shape == (3, 4, channels)


def test_transparency_of_a_palette_is_kept(tmp_path):
    palette = Image.fromarray(np.array([[0, 1]], np.uint8), "P")
    palette.putpalette([10, 20, 30, 40, 50, 60])
    palette.save(tmp_path / "x.png", transparency=0)
    found = utils.img_to_array(utils.load_img(tmp_path / "x.png", "rgba"))
    assert found.tolist() == [[[10, 20, 30, 0], [40, 50, 60, 255]]]


GREY = np.array([[0, 900, 1800], [255, 256, 65535]])


@pytest.mark.parametrize("name", ["x.png", "x.tif", "big-endian.tif", "32 bits.tif"])
def test_grey_of_16_bits_keeps_its_values(tmp_path, name):
    image = Image.fromarray(GREY.astype(np.int32 if "32" in name else np.uint16))
    if "big" in name:
        image = image.convert("I").convert("I;16B")
    image.save(tmp_path / name)
    found = utils.img_to_array(utils.load_img(tmp_path / name, "grayscale"))
    assert found[..., 0].tolist() == GREY.tolist() and found.dtype == np.float32
    for how in ("nearest", "bilinear", "lanczos"):
        larger = utils.load_img(tmp_path / name, "grayscale", (4, 6), how)
        assert np.asarray(larger).max() > 60_000
    if "32" in name:
        with pytest.raises(ValueError, match=r"32 bits\.tif' holds numbers from 0 to 65535"):
            utils.load_img(tmp_path / name)
    else:
        colours = utils.img_to_array(utils.load_img(tmp_path / name))
        assert colours[..., 2].tolist() == (GREY >> 8).tolist()
        assert utils.img_to_array(utils.load_img(tmp_path / name, "rgba")).shape == (2, 3, 4)


def test_floats_keep_their_values_or_are_refused(tmp_path):
    values = np.array([[0.25, -1.5], [300.0, 7.0]], np.float32)
    Image.fromarray(values).save(tmp_path / "x.tif")
    found = utils.img_to_array(utils.load_img(tmp_path / "x.tif", "grayscale"))
    np.testing.assert_array_equal(found[..., 0], values)
    with pytest.raises(ValueError, match=r"from -1\.5 to 300, expected whole ones from 0 to 255"):
        utils.load_img(tmp_path / "x.tif")
    Image.fromarray(np.array([[0, 255]], np.float32)).save(tmp_path / "y.tif")
    assert utils.img_to_array(utils.load_img(tmp_path / "y.tif")).tolist() == [[[0] * 3, [255] * 3]]


def test_a_folder_of_deep_grey_keeps_its_values(tmp_path):
    (tmp_path / "a").mkdir()
    Image.fromarray(np.full((4, 4), 30_000, np.uint16)).save(tmp_path / "a" / "x.png")
    (x,) = read(tmp_path, label_mode=None, color_mode="grayscale")[0]
    assert (x == 30_000).all()


@pytest.mark.parametrize("suffix", ["png", "jpg", "gif", "bmp", "tif"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.7])
def test_a_damaged_image_names_its_file(folder, suffix, share):
    path = folder / "a" / f"2.{suffix}"
    whole = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8))
    whole.save(path)
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(OSError, match=rf"2\.{suffix}' cannot be read as an image"):
        utils.load_img(path)
    if suffix != "tif":  # which is none of the files that are looked for
        with pytest.raises(OSError, match=rf"2\.{suffix}' cannot be read as an image"):
            list(read(folder, batch_size=4))


def test_a_missing_image_is_missing(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nothing\.png"):
        utils.load_img(tmp_path / "nothing.png")


# Writing


@pytest.mark.parametrize("name", ["a.jpg", "a.JPEG", "a.img"])
def test_jpeg_leaves_transparency_out(tmp_path, name):
    x = np.full((8, 8, 4), 200.0)
    x[..., 3] = 0
    settings = {"file_format": "JPG"} if name == "a.img" else {}
    with pytest.warns(UserWarning, match="JPEG has no transparency"):
        utils.save_img(tmp_path / name, x, scale=False, **settings)
    with Image.open(tmp_path / name) as found:
        assert (found.format, found.mode) == ("JPEG", "RGB")
        assert np.asarray(found)[4, 4].tolist() == [200, 200, 200]


@pytest.mark.parametrize(
    ("highest", "suffix"), [(255, "png"), (256, "png"), (65535, "tif"), (65536, "tif")]
)
def test_grey_is_written_as_deep_as_it_needs(tmp_path, highest, suffix):
    x = np.array([[[0.0], [highest]]])
    utils.save_img(tmp_path / f"x.{suffix}", x, scale=False)
    found = utils.img_to_array(utils.load_img(tmp_path / f"x.{suffix}", "grayscale"))
    assert found.tolist() == x.tolist()


@pytest.mark.parametrize(
    ("name", "highest", "message"),
    [
        ("x.jpg", 300, "JPEG cannot hold grey values up to 300"),
        ("x.gif", 300, "GIF cannot hold grey values up to 300"),
        ("x.png", 70_000, "PNG cannot hold grey values up to 70000"),
        ("x.pgn", 1, "Unknown image format 'pgn'. Did you mean 'png'"),
        ("x.png", np.nan, "NaN or Inf"),
    ],
)
def test_what_a_format_cannot_hold_is_refused(tmp_path, name, highest, message):
    with pytest.raises(ValueError, match=message):
        utils.save_img(tmp_path / name, np.full((2, 2, 1), highest), scale=False)
    assert not (tmp_path / name).exists()
