"""Files of other programs: their suffixes are not for ours, and their content is called by name."""

from __future__ import annotations

import os
import re
from pathlib import PurePath

#: What other programs save under a suffix.
FORMATS: dict[str, str] = {
    ".ckpt": "checkpoints of TensorFlow and Lightning",
    ".bin": "weights of PyTorch and others",
    ".gguf": "GGUF",
    ".h5": "HDF5, which Keras wrote",
    ".hdf5": "HDF5, which Keras wrote",
    ".joblib": "joblib",
    ".keras": "Keras",
    ".mlmodel": "Core ML",
    ".msgpack": "Flax",
    ".npy": "a single array of NumPy",
    ".onnx": "ONNX",
    ".pb": "TensorFlow",
    ".pickle": "pickle",
    ".pkl": "pickle",
    ".pt": "PyTorch",
    ".pth": "PyTorch",
    ".safetensors": "safetensors",
    ".tflite": "TensorFlow Lite",
}
#: Suffixes of ours. A number is no suffix, but what a name like ``{epoch}-{val_loss:.2f}`` ends in.
OURS = (".npz", ".gt", "")
_NUMBER = re.compile(r"\.\d+")

_MAGIC = (
    (rb"\x89HDF\r\n\x1a\n", "HDF5, as Keras wrote before version 3 (.h5)"),
    (rb"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19", "PyTorch, of before version 1.6 (.pt, .pth)"),
    (rb"\x80[\x02-\x05]", "pickle, which PyTorch and joblib also use"),
    (rb".{7}\x00\{\s*\"", "safetensors"),
    (rb".{4}TFL3", "TensorFlow Lite (.tflite)"),
    (rb"\x08\x01\x12", "TensorFlow (SavedModel, .pb)"),
    (rb"\x08[\x03-\x20][\x12\x1a\x3a\x42]", "ONNX"),
    (rb"GGUF", "GGUF"),
    (rb"\x93NUMPY", "npy, a single array of NumPy"),
    (rb"\x1f\x8b", "gzip"),
    (rb".{257}ustar", "tar"),
)
_MEMBERS = (
    (r"model\.weights\.h5|metadata\.json", "Keras (.keras)"),
    (r"(.*/)?data\.pkl", "PyTorch (.pt, .pth)"),
    (r"(.*/)?constants\.pkl", "TorchScript (.pt)"),
)


def refuse_suffix(path: str | os.PathLike[str]) -> None:
    """Refuse a name that says that the file has a format which it will not have.

    Raises:
        ValueError: the suffix is that of other programs, or of none that is known.
    """
    name = PurePath(os.fspath(path))
    suffix = name.suffix.lower()
    if suffix in OURS or _NUMBER.fullmatch(suffix):
        return
    known = FORMATS.get(suffix)
    what = f"the suffix of {known}" if known else "no suffix of a format that gradtape writes"
    better = re.sub(r"\.weights$", "", name.stem) if known else name.name
    raise ValueError(
        f"Cannot save as {os.fspath(path)!r}: {suffix!r} is {what}; the file would hold gradtape's "
        f"own format. Save it as {str(name.with_name(better + '.npz'))!r}."
    )


def format_of(start: bytes, members: list[str]) -> str | None:
    """The format of a file of another program, or None if it cannot be told.

    Args:
        start: its first bytes, some hundred of them.
        members: of a zip, their names.
    """
    for pattern, name in _MEMBERS:
        if any(re.fullmatch(pattern, member) for member in members):
            return name
    if members and all(member.endswith(".npy") for member in members):
        return "np.savez (there is no config.json)"
    for magic, name in _MAGIC:
        if re.match(magic, start, re.DOTALL):
            return name
    return None
