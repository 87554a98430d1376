"""Files of other programs: no name promises their formats, and loading one names its format."""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

import gradtape as gt
from gradtape.saving.foreign import FORMATS


def net() -> gt.Sequential:
    return gt.Sequential([gt.Input((3,)), gt.layers.Dense(2)])


@pytest.mark.parametrize("suffix", [*FORMATS, ".H5", ".weights.h5", ".xyz", ".tar.gz", ".npz.bak"])
def test_no_file_gets_the_suffix_of_another_format(tmp_path: Path, suffix: str) -> None:
    model, path = net(), tmp_path / f"net{suffix}"
    for save in (model.save, model.save_weights):
        with pytest.raises(ValueError, match=r"Save it as '.*net.*\.npz'") as error:
            save(path)
        assert suffix.rpartition(".")[2].lower() in str(error.value)
    for template in (path, tmp_path / f"{{epoch:02d}}-{{val_loss:.2f}}{suffix}"):
        with pytest.raises(ValueError, match="Cannot save as"):
            gt.callbacks.ModelCheckpoint(template)
    assert not list(tmp_path.iterdir())


def zipped(*members: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as file:
        for name in members:
            file.writestr(name, "{}")
    return stream.getvalue()


def saved_arrays() -> bytes:
    stream = io.BytesIO()
    np.savez(stream, a=np.zeros(3), b=np.ones(2))
    return stream.getvalue()


GENUINE = {
    "HDF5": b"\x89HDF\r\n\x1a\n" + bytes(100),
    r"Keras \(\.keras\)": zipped("metadata.json", "config.json", "model.weights.h5"),
    "PyTorch": zipped("archive/data.pkl", "archive/version", "archive/data/0"),
    "TorchScript": zipped("net/constants.pkl", "net/code/__torch__.py"),
    "before version 1.6": pickle.dumps(0x1950A86A20F9469CFC6C, protocol=2) + b"\x80\x02M\xe9\x03.",
    "pickle": pickle.dumps({"a": 1}),
    "safetensors": struct.pack("<Q", 60)
    + b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}',
    "ONNX": b"\x08\x08\x12\x07pytorch\x1a\x052.1.0:\x80",
    "TensorFlow Lite": b"\x1c\0\0\0TFL3" + bytes(60),
    "SavedModel": b"\x08\x01\x12\xa5\x0e*",
    "GGUF": b"GGUF\x03\0\0\0",
    "npy": b"\x93NUMPY\x01\0v\0{'descr'",
    r"np\.savez": saved_arrays(),
}


@pytest.mark.parametrize("name", GENUINE)
def test_a_genuine_file_of_another_program_is_called_by_its_format(
    tmp_path: Path, name: str
) -> None:
    path = tmp_path / "net"
    path.write_bytes(GENUINE[name])
    for load in (gt.load_model, net().load_weights):
        with pytest.raises(ValueError, match=name) as error:
            load(path)
        assert repr(str(path)) in str(error.value) and "set_weights" in str(error.value)


def test_files_of_ours_are_known_by_their_content(tmp_path: Path) -> None:
    """Earlier versions saved under any suffix."""
    net().save(tmp_path / "net.npz")
    (tmp_path / "net.npz").rename(tmp_path / "net.keras")
    assert gt.load_model(tmp_path / "net.keras").count_params() == 8
