"""Scripts that say ``import keras`` train the same numbers when they say gradtape instead.

Dropout is not among them: whom it drops is drawn in another way.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradtape as gt

os.environ["KERAS_BACKEND"] = "torch"

SCRIPTS = sorted(Path(__file__).with_name("examples").glob("*.py"))


def loaded(path: Path, package: str) -> dict[str, Any]:
    """What a script defines, with its import lines naming this package."""
    text = path.read_text(encoding="utf-8")
    if package != "keras":
        text = re.sub(r"^import keras$", f"import {package} as keras", text, flags=re.M)
        text = re.sub(r"^from keras import", f"from {package} import", text, flags=re.M)
    names: dict[str, Any] = {"__name__": path.stem}
    exec(compile(text, str(path), "exec"), names)
    return names


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_only_the_import_line_differs(path: Path) -> None:
    (images, labels), _ = gt.datasets.load("mnist_sample")
    images, labels = images[:400], labels[:400].astype("int32")
    theirs, ours = loaded(path, "keras"), loaded(path, "gradtape")
    model, mine = theirs["build"](), ours["build"]()
    mine.set_weights(model.get_weights())
    assert mine.count_params() == model.count_params()
    expected = theirs["train"](model, images, labels)
    found = ours["train"](mine, images, labels)
    assert set(found) == set(expected)
    for key, values in expected.items():
        # float32 sums in another order; steps of Adam and RMSprop double a difference now and then.
        np.testing.assert_allclose(found[key], values, rtol=2e-3, atol=2e-4, err_msg=key)
    for one, other in zip(mine.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-2, atol=2e-3)
