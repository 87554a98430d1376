"""Every public name of Keras in scope is there, or is left out for a reason."""

from __future__ import annotations

import re

import keras_modules
import keras_vocabulary
from keras_vocabulary import MODULES, names

from gradtape.left_out import LEFT_OUT


def test_every_name_is_there_or_has_a_reason() -> None:
    assert keras_vocabulary.missing() == []


def test_every_reason_is_needed() -> None:
    """A pattern that meets no missing name has become wrong."""
    gone = [(n.module, n.name) for n in names() if not n.there]
    idle = [
        pattern
        for module, patterns in LEFT_OUT.items()
        for pattern in patterns
        if not any(m == module and re.fullmatch(pattern, n) for m, n in gone)
    ]
    assert idle == []


def test_every_public_module_is_compared_or_has_a_line_that_says_what_is_there() -> None:
    known = list(keras_modules.modules())
    assert len(known) > 60 and set(MODULES) <= set(known)
    assert [m for m in known if m not in MODULES and keras_modules.place(m) is None] == []
    page = keras_vocabulary.page({})
    assert [m for m in known if f"| `{m}` | " not in page] == []


def test_every_line_about_a_module_is_needed() -> None:
    others = [m for m in keras_modules.modules() if m not in MODULES]
    idle = [p for p in keras_modules.OTHERS if not any(re.fullmatch(p, m) for m in others)]
    assert idle == []
