"""Every public name of Keras in scope is there, or is left out for a reason."""

from __future__ import annotations

import re

import keras_vocabulary
from keras_vocabulary import LEFT_OUT, names


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
