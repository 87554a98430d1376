"""Settings: counts, verbosity and unknown keywords are refused in words."""

from __future__ import annotations

import numpy as np
import pytest

from gradtape.config.settings import check_verbose, count_of, refuse_unknown


def test_counts_are_whole_and_large_enough() -> None:
    assert count_of(3, "epochs") == 3 and type(count_of(np.int64(3), "epochs")) is int
    assert count_of(0, "epochs", 0) == 0
    with pytest.raises(ValueError, match="epochs must be at least 1, received 0"):
        count_of(0, "epochs")
    with pytest.raises(TypeError, match=r"epochs must be an integer, received 2\.0"):
        count_of(2.0, "epochs")


def test_verbosity() -> None:
    assert [check_verbose(v) for v in ("auto", 0, 1, 2, True)] == [1, 0, 1, 2, 1]
    with pytest.raises(ValueError, match="received 3"):
        check_verbose(3)


def test_unknown_keyword_gets_its_nearest_match() -> None:
    def train(self: object, batch_size: int = 32, epochs: int = 1, **unknown: object) -> None: ...

    with pytest.raises(TypeError) as caught:
        refuse_unknown(train, {"batchsize": 3})
    assert str(caught.value) == (
        "train() has no argument 'batchsize'. Did you mean 'batch_size'? It takes: batch_size, "
        "epochs."
    )
    with pytest.raises(TypeError, match=r"'zzz'\. It takes"):
        refuse_unknown(train, {"zzz": 3})
    refuse_unknown(train, {})
