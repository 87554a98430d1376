"""Names: snake case, numbers, scopes."""

from __future__ import annotations

from collections import Counter

import pytest

from gradtape.config import naming


@pytest.mark.parametrize(
    ("name", "snake"),
    [
        ("Dense", "dense"),
        ("Conv2D", "conv2d"),
        ("MaxPooling2D", "max_pooling2d"),
        ("GlobalAveragePooling1D", "global_average_pooling1d"),
        ("InputLayer", "input_layer"),
        ("ReLU", "re_lu"),
        ("LSTM", "lstm"),
    ],
)
def test_snake_case_is_that_of_keras(name, snake):
    assert naming.snake_case(name) == snake


def test_numbers_count_each_prefix():
    taken: Counter[str] = Counter()
    names = [naming.unique_name(p, taken) for p in ("a", "b", "a", "a")]
    assert names == ["a", "b", "a_1", "a_2"]


def test_names_begin_anew_after_a_reset():
    naming.reset_names()
    first = naming.unique_name("thing")
    naming.unique_name("thing")
    naming.reset_names()
    assert naming.unique_name("thing") == first == "thing"


def test_scopes_nest_and_close_after_errors():
    with naming.name_scope("net"), naming.name_scope("dense"):
        assert naming.scoped("kernel") == "net/dense/kernel"
    with pytest.raises(RuntimeError), naming.name_scope("net"):
        raise RuntimeError
    assert naming.scoped("kernel") == "kernel"
