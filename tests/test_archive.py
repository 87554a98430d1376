"""Archives: damaged and hostile files are refused in words, and the model stays as it was."""

from __future__ import annotations

import io
import json
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

import gradtape as gt
from gradtape.layers import Conv2D, Dense, Dropout, Flatten, Input

X = np.random.default_rng(0).normal(size=(3, 6, 6, 1))


def net():
    return gt.Sequential(
        [Input((6, 6, 1)), Conv2D(2, 3), Flatten(), Dropout(0.5), Dense(4, "softmax")]
    )


def members_of(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as file:
        return {name: file.read(name) for name in file.namelist()}


def written(path: Path, members, compression=zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, data in members if isinstance(members, list) else members.items():
            file.writestr(name, data)
    return path


def npy(array, **kwargs) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, **kwargs)
    return stream.getvalue()


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "net"
    net().save(path)
    return path


def refused(path, message=""):
    """The file is refused by both ways of loading, in words, and the model stays as it was."""
    model = net()
    before = model.get_weights()
    for load in (gt.load_model, model.load_weights):
        with pytest.raises(ValueError, match=message) as error:
            load(path)
        assert repr(str(path)) in str(error.value)
    for one, other in zip(model.get_weights(), before, strict=True):
        assert np.array_equal(one, other)


def test_a_truncated_file_is_refused(saved):
    data = saved.read_bytes()
    for length in [0, 1, 30, len(data) // 2, len(data) - 30, len(data) - 1]:
        saved.write_bytes(data[:length])
        refused(saved, "not a file that gradtape saved, or it is damaged")


def test_a_flipped_bit_in_a_weight_is_noticed(saved):
    kernel = members_of(saved)["variables/dense/kernel.npy"]
    data = bytearray(saved.read_bytes())
    data[data.index(kernel) + len(kernel) - 1] ^= 1
    saved.write_bytes(data)
    refused(saved, "damaged.*CRC")


@pytest.mark.parametrize("data", [b"", b"text\n" * 100, b"PK\x05\x06" + b"\0" * 18, b"\x93NUMPY"])
def test_a_file_of_another_kind_is_refused(tmp_path, data):
    path = tmp_path / "other"
    path.write_bytes(data)
    refused(path, "not a file that gradtape saved")


def test_folders_and_missing_files_are_what_they_are(tmp_path):
    with pytest.raises(OSError, match="is a folder"):
        gt.load_model(tmp_path)
    with pytest.raises(FileNotFoundError):
        gt.load_model(tmp_path / "nothing")


def test_compressed_members_are_refused_unread(saved):
    """A few kilobytes could claim gigabytes."""
    members = members_of(saved)
    members["variables/dense/kernel.npy"] = npy(np.zeros(10_000_000))
    refused(written(saved, members, zipfile.ZIP_DEFLATED), "compressed")
    assert saved.stat().st_size < 100_000


def test_members_may_not_claim_more_than_the_file_has(saved):
    data = bytearray(saved.read_bytes())
    with zipfile.ZipFile(saved) as file:
        start = file.start_dir
    at = data.index(b"variables/dense/kernel.npy", start) - 46
    data[at + 20 : at + 28] = (2**31).to_bytes(4, "little") * 2
    saved.write_bytes(data)
    refused(saved, "damaged")


@pytest.mark.parametrize(
    "header",
    [
        {"shape": (10**9, 10**9)},
        {"shape": (3,)},
        {"shape": (-32, -4)},
        {"shape": (32, 4, 0)},
        {"descr": "<f8"},
        {"descr": "|O"},
        {"descr": "<U4"},
        {"descr": "<c8"},
        {"descr": [("a", "<f4")]},
    ],
    ids=str,
)
def test_an_array_that_lies_about_itself_is_refused(saved, header):
    members = members_of(saved)
    name = "variables/dense/kernel.npy"
    stream = io.BytesIO()
    honest = {"descr": "<f4", "fortran_order": False, "shape": (32, 4)}
    np.lib.format.write_array_header_1_0(stream, {**honest, **header})
    members[name] = stream.getvalue() + bytes(32 * 4 * 4)
    refused(written(saved, members), "variables/dense/kernel|damaged")


def test_pickled_objects_are_never_loaded(saved):
    class Trap:
        def __reduce__(self):
            return (os.system, ("false",))

    members = members_of(saved)
    members["variables/dense/kernel.npy"] = npy(np.array([Trap()]), allow_pickle=True)
    refused(written(saved, members), "holds object")


@pytest.mark.parametrize("header", [b"not a dict", b"{", b"(" * 5000, b"__import__('os')"])
def test_a_header_that_is_no_header_is_refused(saved, header):
    members = members_of(saved)
    size = len(header).to_bytes(2, "little")
    members["variables/dense/kernel.npy"] = b"\x93NUMPY\x01\x00" + size + header
    refused(written(saved, members), "damaged")


def test_missing_surplus_and_doubled_members_are_refused(saved, tmp_path):
    members = members_of(saved)
    kernel = "variables/dense/kernel.npy"
    other = tmp_path / "other"
    refused(written(other, {k: v for k, v in members.items() if k != kernel}), "not in the file")
    refused(written(other, {**members, "variables/x.npy": npy(X)}), "x is in the file only")
    refused(written(other, {**members, "run.py": b"1"}), "unknown member 'run.py'")
    refused(written(other, {k: v for k, v in members.items() if "npy" in k}), "no config.json")
    with pytest.warns(UserWarning, match="Duplicate name"):
        written(other, [*members.items(), (kernel, members[kernel])])
    refused(other, "same name")


def test_an_entry_that_swallows_those_after_it_is_noticed(saved):
    """Without it the state of an optimizer was lost, and nobody noticed."""
    model = net()
    model.compile("adam", "mse")
    model.build((None, 6, 6, 1))
    model.save(saved)
    data = bytearray(saved.read_bytes())
    with zipfile.ZipFile(saved) as file:
        start = file.start_dir
    for field in (30, 32):  # the lengths of what is extra, and of a comment
        at = data.index(b"optimizer/iterations.npy", start) - 46 + field
        end = data.index(b"PK\5\6", start) - (at - field + 46 + len("optimizer/iterations.npy"))
        for length in (end, 10):
            damaged = data[:at] + length.to_bytes(2, "little") + data[at + 2 :]
            saved.write_bytes(damaged)
            with pytest.raises(ValueError, match="damaged"):
                gt.load_model(saved)


def test_names_that_look_like_paths_touch_nothing(saved, tmp_path):
    members = members_of(saved)
    members["../outside.npy"] = members["/variables/absolute.npy"] = npy(np.zeros(3))
    before = sorted(p.name for p in tmp_path.parent.iterdir())
    again = gt.load_model(written(saved, members))
    assert again.built
    assert sorted(p.name for p in tmp_path.parent.iterdir()) == before
    members["variables/../../up.npy"] = npy(np.zeros(3))
    refused(written(saved, members), "is in the file only")


def with_config(path: Path, change) -> Path:
    members = members_of(path)
    config = json.loads(members["config.json"])
    change(config)
    members["config.json"] = json.dumps(config).encode()
    return written(path, members)


def layer_of(config, name):
    return next(v for v in config["model"]["config"]["layers"] if v["class_name"].endswith(name))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda c: layer_of(c, "Dense").update(class_name="os>system"),
            "Unknown layer 'os>system'",
        ),
        (lambda c: layer_of(c, "Dense").update(class_name="layers>Dens"), "Did you mean"),
        (lambda c: layer_of(c, "Dense").update(class_name=3), "configuration of a layer"),
        (lambda c: layer_of(c, "Dense").update(config=[]), "configuration of a layer"),
        (lambda c: layer_of(c, "Dense")["config"].update(evil=1), "no argument 'evil'"),
        (lambda c: layer_of(c, "Dense")["config"].update(units="4"), "units must be"),
        (lambda c: layer_of(c, "Dense")["config"].update(units=-4), "units must be"),
        (lambda c: layer_of(c, "Dense")["config"].pop("units"), "units"),
        (lambda c: layer_of(c, "Dense")["config"].update(units=10**15), "in the file"),
        (lambda c: layer_of(c, "Dense")["config"].update(units=10**30), "cannot be made"),
        (lambda c: layer_of(c, "Dense")["config"].update(activation="os.system"), "activation"),
        (lambda c: layer_of(c, "Dense")["config"].update(dtype="object"), "dtype"),
        (lambda c: layer_of(c, "InputLayer")["config"].update(batch_shape=[None, 9, 9, 1]), "file"),
        (lambda c: layer_of(c, "InputLayer")["config"].update(batch_shape="abc"), "cannot be made"),
        (lambda c: layer_of(c, "Conv2D")["config"].update(kernel_size=[3, 10**12]), "Conv2D"),
        (lambda c: c["model"]["config"].pop("layers"), "cannot be made.*layers"),
        (lambda c: c["model"]["config"].update(layers=3), "cannot be made"),
        (lambda c: c["model"]["config"].update(layers=[]), "cannot be made|only"),
        (lambda c: c.update(model=None), "configuration of a model"),
        (lambda c: c.update(model={"class_name": "layers>Dense", "config": {"units": 2}}), "model"),
    ],
    ids=range(20),
)
def test_a_changed_configuration_is_refused(saved, change, message):
    path = with_config(saved, change)
    with pytest.raises(ValueError, match=message) as error:
        gt.load_model(path)
    assert repr(str(path)) in str(error.value)


def test_a_file_of_another_format_is_refused(saved):
    refused(with_config(saved, lambda c: c.update(format="other")), "not of this format")
    refused(with_config(saved, lambda c: c.update(version=2, format="gradtape")), "version 2")
    members = members_of(saved)
    refused(written(saved, {**members, "config.json": b"[1]"}), "not of this format")
    refused(written(saved, {**members, "config.json": b"{"}), "damaged")
    refused(written(saved, {**members, "config.json": b"[" * 100_000}), "damaged")


def test_nesting_without_end_is_refused(saved):
    before = (
        '{"class_name": "models>Sequential", "config": {"trainable": true, "name": "m", "layers": ['
    )
    after = '], "build_input_shape": null}}'
    for depth in (200, 50_000):
        model = before * depth + after * depth
        config = f'{{"format": "gradtape", "version": 1, "kind": "model", "model": {model}}}'
        members = {**members_of(saved), "config.json": config.encode()}
        with pytest.raises(ValueError, match=r"cannot be made|damaged|does not fit"):
            gt.load_model(written(saved, members))


def test_a_bad_recipe_can_be_left_out(tmp_path):
    model = net()
    model.compile("sgd", "mse")
    model.save(tmp_path / "net")
    path = with_config(tmp_path / "net", lambda c: c["compile"].update(loss="nothing"))
    with pytest.raises(ValueError, match=r"compile=False.*Unknown loss 'nothing'"):
        gt.load_model(path)
    assert np.array_equal(gt.load_model(path, compile=False)(X).numpy(), model(X).numpy())
