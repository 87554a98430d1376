"""Augmentation layers: what they do to images, image by image, and that runs can be repeated."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradtape as gt
from gradtape import layers

RNG = np.random.default_rng(0)
X = RNG.uniform(size=(64, 6, 8, 3)).astype("f")

EVERY: list[Any] = [
    lambda **s: layers.RandomFlip(**s),
    lambda **s: layers.RandomTranslation(0.2, (-0.1, 0.3), "constant", fill_value=0.5, **s),
    lambda **s: layers.RandomRotation(0.1, "nearest", "nearest", **s),
    lambda **s: layers.RandomZoom((0.1, 0.2), 0.3, "wrap", **s),
    lambda **s: layers.RandomErasing(0.9, (0.1, 0.2), 0.5, (0, 1), **s),
    lambda **s: layers.RandomErasing(**s),
    lambda **s: layers.RandomCrop(4, 5, **s),
]
NAMES = ["flip", "translation", "rotation", "zoom", "erasing", "noise", "crop"]


@pytest.mark.parametrize("make", EVERY[:-1], ids=NAMES[:-1])
def test_images_pass_if_not_training_and_as_in_keras_training_is_the_default(make: Any) -> None:
    np.testing.assert_array_equal(make()(X, training=False).numpy(), X)
    for settings in ({}, {"training": True}):
        assert (make(seed=1)(X, **settings).numpy() != X).any()
    model = gt.Sequential([gt.Input((6, 8, 3)), make(seed=1)])
    np.testing.assert_array_equal(model.predict(X, verbose=0), X)
    assert (model(X).numpy() != X).any()
    assert make().compute_output_shape((None, 6, 8, 3)) == (None, 6, 8, 3)


@pytest.mark.parametrize("make", EVERY, ids=NAMES)
def test_equal_seeds_draw_the_same_and_every_call_draws_anew(make: Any) -> None:
    one, other = make(seed=5), make(seed=5)
    first, again = (layer(X, training=True).numpy() for layer in (one, other))
    np.testing.assert_array_equal(first, again)
    assert (one(X, training=True).numpy() != first).any()


@pytest.mark.parametrize("make", EVERY, ids=NAMES)
def test_every_image_has_numbers_of_its_own(make: Any) -> None:
    same = np.broadcast_to(X[:1], X.shape)
    out = make(seed=2)(same, training=True).numpy()
    assert len({image.tobytes() for image in out}) > 1


@pytest.mark.parametrize("make", EVERY, ids=NAMES)
def test_a_saved_layer_goes_on_where_it_was(make: Any, tmp_path: Any) -> None:
    model = gt.Sequential([gt.Input((6, 8, 3)), make(seed=3)])
    model(X, training=True)
    model.save(tmp_path / "m.npz")
    again = gt.load_model(tmp_path / "m.npz")
    np.testing.assert_array_equal(model(X, training=True).numpy(), again(X, training=True).numpy())


@pytest.mark.parametrize("make", EVERY, ids=NAMES)
def test_channels_first_is_the_same_the_other_way_round(make: Any) -> None:
    last = make(seed=4)(X, training=True).numpy()
    layer = make(seed=4, data_format="channels_first")
    first = layer(X.transpose(0, 3, 1, 2), training=True)
    if NAMES[EVERY.index(make)] != "noise":
        np.testing.assert_allclose(first.numpy().transpose(0, 2, 3, 1), last, rtol=1e-6)
    assert layer.compute_output_shape((None, 3, 6, 8)) == (None, *first.shape[1:])
    with pytest.raises(ValueError, match="data_format must be"):
        make(data_format="last")


@pytest.mark.parametrize("make", EVERY, ids=NAMES)
def test_integers_become_floats_and_empty_batches_pass(make: Any) -> None:
    assert make()((X * 255).astype("u1"), training=True).dtype == np.float32
    assert len(make()(X[:0], training=True)) == 0


@pytest.mark.parametrize("make", EVERY, ids=NAMES)
def test_gradients_go_back_to_the_pixels_that_were_used(make: Any) -> None:
    layer, again = make(seed=6, dtype="float64"), make(seed=6, dtype="float64")
    x = gt.tensor(X[:3].astype("d"), requires_grad=True)
    step = RNG.normal(size=x.shape)
    y = layer(x, training=True)
    cotangent = RNG.normal(size=y.shape)
    y.backward(cotangent)
    change = again(x.numpy() + step, training=True).numpy() - y.numpy()
    assert (change * cotangent).sum() == pytest.approx((step * x.grad.numpy()).sum())


@pytest.mark.parametrize("make", EVERY, ids=NAMES)
def test_they_are_made_again_from_their_configuration(make: Any) -> None:
    config = gt.saving.serialize(make(seed=7, name="a"))
    assert gt.saving.serialize(gt.saving.deserialize(config)) == config


@pytest.mark.parametrize("make", EVERY, ids=NAMES)
def test_one_image_is_a_batch_of_one(make: Any) -> None:
    batch = make(seed=8)(X[:1], training=True).numpy()
    np.testing.assert_array_equal(make(seed=8)(X[0], training=True).numpy(), batch[0])
    assert make().compute_output_shape((6, 8, 3)) == batch.shape[1:]


@pytest.mark.parametrize("make", EVERY, ids=NAMES)
def test_labels_and_masks_come_along(make: Any) -> None:
    data = {"images": X, "labels": np.eye(64, dtype="f"), "segmentation_masks": X[..., :1]}
    out = make(seed=9)(data, training=True)
    np.testing.assert_array_equal(out["images"].numpy(), make(seed=9)(X, training=True).numpy())
    np.testing.assert_array_equal(out["labels"].numpy(), data["labels"])
    assert out["segmentation_masks"].shape == (*out["images"].shape[:3], 1)
    with pytest.raises(ValueError, match=r"takes images, or a dict with 'images'.*'boxes'"):
        make()({"images": X, "boxes": X})


def test_masks_move_as_their_images_do() -> None:
    masks = (X[..., :1] > 0.5).astype("f")
    for layer in (layers.RandomRotation(0.2, seed=1), layers.RandomCrop(3, 3, seed=1)):
        out = layer({"images": masks, "segmentation_masks": masks}, training=True)
        moved, image = (out[k].numpy() for k in ("segmentation_masks", "images"))
        assert set(np.unique(moved)) == {0.0, 1.0}
        clear = abs(image - 0.5) > 0.499
        np.testing.assert_array_equal(moved[clear], np.rint(image[clear]))
        assert clear.any()


def test_only_images_are_taken() -> None:
    with pytest.raises(ValueError, match=r"RandomFlip 'f' expected .* rank 4.*channel axis"):
        layers.RandomFlip(name="f")(gt.Input((28, 28)))
    with pytest.raises(ValueError, match=r"RandomFlip 'f' expected .* rank 4"):
        layers.RandomFlip(name="f")(np.ones((2, 28)))


# Each of them


@pytest.mark.parametrize(
    ("mode", "axes"), [("horizontal", [2]), ("vertical", [1]), ("horizontal_and_vertical", [1, 2])]
)
def test_flips_mirror_about_half_of_the_images(mode: str, axes: list[int]) -> None:
    x = np.repeat(X, 8, axis=0)
    out = layers.RandomFlip(mode, seed=1)(x, training=True).numpy()
    ways = [x, np.flip(x, axes)]
    hits = np.array([[np.array_equal(a, b) for a, b in zip(out, w, strict=True)] for w in ways])
    assert hits.any(axis=0).all()
    share = 1 / len(ways)
    deviation = np.sqrt(share * (1 - share) / len(x))
    np.testing.assert_allclose(hits.mean(axis=1), share, atol=5 * deviation)


def test_translation_by_fixed_shares_moves_down_and_right() -> None:
    layer = layers.RandomTranslation((1 / 3, 1 / 3), (0.25, 0.25), "constant", fill_value=9.0)
    out = layer(X, training=True).numpy()
    np.testing.assert_allclose(out[:, 2:, 2:], X[:, :-2, :-2], rtol=1e-5)
    np.testing.assert_allclose(out[:, :2], 9, rtol=1e-5)
    up = layers.RandomTranslation((-0.5, -0.5), (0.0, 0.0), "wrap")(X, training=True).numpy()
    np.testing.assert_allclose(up, np.roll(X, -3, axis=1), rtol=1e-5)


def test_translations_stay_within_their_factors() -> None:
    layer = layers.RandomTranslation(0.5, (0.1, 0.25), seed=1)
    maps = layer.maps((1000, 6, 8, 3), np.random.default_rng(0))
    down, right = -maps[:, 5] / 6, -maps[:, 2] / 8
    assert -0.5 <= down.min() < -0.45 and 0.45 < down.max() <= 0.5
    assert 0.1 <= right.min() < 0.11 and 0.24 < right.max() <= 0.25


def test_rotation_turns_anticlockwise_about_the_centre() -> None:
    x = X[:, :, 1:7]
    layer = layers.RandomRotation((0.25, 0.25))
    np.testing.assert_allclose(
        layer(x, training=True).numpy(), np.rot90(x, axes=(1, 2)), rtol=1e-4, atol=1e-5
    )
    half = layers.RandomRotation((0.5, 0.5))(X, training=True).numpy()
    np.testing.assert_allclose(half, X[:, ::-1, ::-1], rtol=1e-4, atol=1e-5)


def test_zoom_in_and_out_about_the_centre() -> None:
    line = np.arange(9, dtype="f").reshape(1, 1, 9, 1).repeat(5, axis=1)
    near = layers.RandomZoom((0.0, 0.0), (-0.5, -0.5))(line, training=True).numpy()
    np.testing.assert_allclose(near[0, 0, :, 0], np.linspace(2, 6, 9), rtol=1e-6)
    far = layers.RandomZoom((0.0, 0.0), (1.0, 1.0), "nearest")(line, training=True).numpy()
    np.testing.assert_allclose(far[0, 0, :, 0], [0, 0, 0, 2, 4, 6, 8, 8, 8], atol=1e-6)


def test_zoom_of_one_factor_keeps_the_aspect_ratio() -> None:
    maps = layers.RandomZoom(0.5).maps((100, 6, 8, 3), np.random.default_rng(0))
    np.testing.assert_array_equal(maps[:, 0], maps[:, 4])
    assert maps[:, 0].min() < 0.55 and maps[:, 0].max() > 1.45
    both = layers.RandomZoom(0.5, 0.5).maps((100, 6, 8, 3), np.random.default_rng(0))
    assert (both[:, 0] != both[:, 4]).any()


def test_erasing_covers_one_rectangle() -> None:
    x = np.full((300, 20, 30, 1), 0.25, "f")
    layer = layers.RandomErasing((1, 1), (0.04, 0.25), fill_value=0.75, value_range=(0, 1), seed=1)
    covered = layer(x, training=True).numpy()[..., 0] == 0.75
    rows, columns = covered.any(axis=2), covered.any(axis=1)
    np.testing.assert_array_equal(covered, rows[:, :, None] & columns[:, None, :])
    for inside, length in ((rows, 20), (columns, 30)):
        counts = inside.sum(axis=1)
        edges = np.diff(inside.astype(int), axis=1, prepend=0, append=0)
        assert (np.abs(edges).sum(axis=1) == 2).all(), "more than one stretch"
        assert 0.2 * length - 1 <= counts.min() and counts.max() <= 0.5 * length + 1
        assert counts.std() > 1
    assert (layer(x, training=True).numpy()[~covered[..., None]] != 0.5).all()


@pytest.mark.parametrize(("factor", "share"), [(1.0, 0.5), (0.4, 0.2), ((0.3, 0.3), 0.3), (0, 0)])
def test_erasing_takes_a_share_of_the_images(factor: Any, share: float) -> None:
    x = np.zeros((2000, 4, 4, 1), "f")
    layer = layers.RandomErasing(factor, (0.5, 0.5), 1.0, (0, 1), seed=1)
    erased = layer(x, training=True).numpy().any(axis=(1, 2, 3))
    assert erased.mean() == pytest.approx(share, abs=0.05)


def test_erasing_fills_with_noise_or_a_colour_within_the_range() -> None:
    x = np.full((100, 8, 8, 3), 0.5, "f")
    noise = layers.RandomErasing((1, 1), (1, 1), None, (0, 1), seed=1)(x, training=True).numpy()
    assert noise.min() == 0 and noise.max() == 1 and 0.3 < noise.mean() < 0.5
    colour = layers.RandomErasing((1, 1), (1, 1), [0.1, 2.0, 0.3], (0, 1))(x, training=True)
    np.testing.assert_allclose(colour.numpy(), np.broadcast_to([0.1, 1.0, 0.3], x.shape), rtol=1e-6)
    with pytest.raises(ValueError, match="fill_value has 2 numbers, the images have 3 channels"):
        layers.RandomErasing((1, 1), fill_value=[1, 2])(x, training=True)


def test_crops_are_parts_of_their_images_and_the_middle_otherwise() -> None:
    layer = layers.RandomCrop(4, 5, seed=1)
    out = layer(X, training=True).numpy()
    places = []
    for image, part in zip(X, out, strict=True):
        found = [
            (i, j) for i in range(3) for j in range(4)
            if np.array_equal(image[i : i + 4, j : j + 5], part)
        ]  # fmt: skip
        assert len(found) == 1
        places += found
    assert len(set(places)) == 12
    np.testing.assert_array_equal(layer(X, training=False).numpy(), X[:, 1:5, 1:6])
    assert layer.compute_output_shape((None, None, None, 3)) == (None, 4, 5, 3)
    small = layers.RandomCrop(12, 8)(X, training=True)  # 6x4 in the middle, enlarged
    wanted = layers.Resizing(12, 8)(X[:, :, 2:6])
    np.testing.assert_array_equal(small.numpy(), wanted.numpy())


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: layers.RandomFlip("diagonal"), "mode is 'horizontal'"),
        (lambda: layers.RandomRotation(1.5), r"factor is a number or two.*\[-1, 1\].*1.5"),
        (lambda: layers.RandomRotation("a"), "factor is a number"),
        (lambda: layers.RandomTranslation(0.1, (0, 1, 2)), "width_factor is a number"),
        (lambda: layers.RandomTranslation(0.1, float("nan")), "width_factor is a number"),
        (lambda: layers.RandomZoom(-1), r"height_factor .*\(-1, 1\]"),
        (lambda: layers.RandomZoom(0.1, (-1, 0)), "width_factor"),
        (lambda: layers.RandomErasing((-0.1, 1)), r"factor is a number.*\[0, 1\]"),
        (lambda: layers.RandomErasing(scale=2), "scale is a number"),
        (lambda: layers.RandomErasing(value_range=(1, 0)), "value_range is"),
        (lambda: layers.RandomRotation(0.1, "mirror"), "fill_mode must be one of"),
        (lambda: layers.RandomRotation(0.1, interpolation="cubic"), "interpolation must be one of"),
        (lambda: layers.RandomCrop(0, 3), "height must be a positive integer"),
    ],
)
def test_settings_out_of_range(make: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()
