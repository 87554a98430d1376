"""Feeding: what counts as a source of batches, and how epochs are cut from it."""

from __future__ import annotations

import itertools
import threading
import time
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import gradtape as gt
from gradtape.data.data import ArrayData
from gradtape.data.feeding import BatchData, Rounds, data_for, validation_for, yields_batches

X, Y = np.arange(20.0, dtype=np.float32).reshape(10, 2), np.arange(10)
PARTS = [(X[i : i + 3], Y[i : i + 3]) for i in range(0, 10, 3)]


class Parts(gt.utils.PyDataset):
    """Four batches; notes what it is told and by whom it is asked."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.told: list[str] = []
        self.asked: set[str] = set()

    def __len__(self) -> int:
        return len(PARTS)

    def __getitem__(self, index: int) -> Any:
        self.asked.add(threading.current_thread().name)
        return PARTS[index]

    def on_epoch_begin(self) -> None:
        self.told.append("begin")

    def on_epoch_end(self) -> None:
        self.told.append("end")


def once() -> Iterator[Any]:
    yield from PARTS


def firsts(batches: Any) -> list[int]:
    """The first label of each batch."""
    return [int(y[0]) for _, y, _ in batches]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (X, False), (X.tolist(), False), ([X, X], False), ((X, X), False), ({"a": X}, False),
        (gt.tensor([1.0]), False), (range(3), False), (3.0, False), ([(1, 2), (3, 4)], False),
        (PARTS, True), (once(), True), (iter(PARTS), True), (Parts(), True), (map(id, PARTS), True),
    ],
)  # fmt: skip
def test_sources_of_batches_are_told_from_arrays(source: Any, expected: bool) -> None:
    assert yields_batches(source) is expected


@pytest.mark.parametrize("source", [PARTS, once(), Parts(), Parts(workers=3, max_queue_size=2)])
def test_every_source_gives_the_same_batches(source: Any) -> None:
    data = data_for(source)
    assert isinstance(data, BatchData)
    np.testing.assert_array_equal(data.sample().x, PARTS[0][0])  # and it comes again
    for (x, y, w), (x_expected, y_expected) in zip(data.batches(), PARTS, strict=True):
        np.testing.assert_array_equal(x, x_expected)
        np.testing.assert_array_equal(y, y_expected)
        assert w is None


def test_workers_make_batches_in_threads_of_their_own() -> None:
    alone, several = Parts(), Parts(workers=2)
    for source in (alone, several):
        list(data_for(source).batches())
    assert alone.asked == {threading.current_thread().name}
    assert several.asked and threading.current_thread().name not in several.asked


def test_error_of_a_worker_arrives_where_the_batch_is_wanted() -> None:
    class Broken(Parts):
        def __getitem__(self, index: int) -> Any:
            if index == 2:
                raise OSError("disk gone")
            return super().__getitem__(index)

    batches = data_for(Broken(workers=2)).batches()
    assert firsts([next(batches), next(batches)]) == [0, 3]
    with pytest.raises(OSError, match="disk gone"):
        next(batches)


@pytest.mark.parametrize(("workers", "room"), [(2, 1), (2, 3), (5, 2)])
def test_no_more_batches_lie_ready_than_the_queue_has_room_for(workers: int, room: int) -> None:
    class Counted(Parts):
        made = 0

        def __getitem__(self, index: int) -> Any:
            Counted.made += 1
            return super().__getitem__(index % len(PARTS))

        def __len__(self) -> int:
            return 30

    for used, _ in enumerate(data_for(Counted(workers=workers, max_queue_size=room)).batches(), 1):
        time.sleep(0.001)  # in which the workers could make many more
        assert used <= Counted.made <= used + room


def test_a_single_worker_makes_batches_ahead_where_keras_would_take_a_process() -> None:
    source = Parts(workers=1, use_multiprocessing=True)
    list(data_for(source).batches())
    assert threading.current_thread().name not in source.asked


class Reordering(Parts):
    """Has another order after each epoch, and draws numbers for its batches."""

    turn = 0

    def __getitem__(self, index: int) -> Any:
        x, y = super().__getitem__((index + self.turn) % len(PARTS))
        return x * (1 + self.turn), y

    def on_epoch_end(self) -> None:
        self.turn += 1


@pytest.mark.parametrize("steps", [None, 1, 3, 4, 6])
def test_making_batches_ahead_changes_nothing(steps: int | None) -> None:
    found = []
    for workers in (1, 3):
        model, source = network(), Reordering(workers=workers)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of data that ran out
            history = model.fit(source, epochs=4, steps_per_epoch=steps, verbose=0).history
        values = [model.evaluate(source, verbose=0), model.predict(source, verbose=0)]
        found.append((history, *values, *model.get_weights()))
    for got, expected in zip(*found, strict=True):
        np.testing.assert_equal(got, expected)


def _made_ahead() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith("gradtape-data")]


@pytest.mark.filterwarnings("ignore:The data ran out")
@pytest.mark.parametrize("how", ["to its end", "by a callback", "by an error", "by Ctrl-C"])
def test_no_thread_outlives_the_training(how: str) -> None:
    model = network()
    seen = []

    def stop(batch: int, logs: Any) -> None:
        seen.extend(_made_ahead())
        if how == "by a callback":
            model.stop_training = True
        elif how == "by an error":
            raise OSError("disk full")
        elif how == "by Ctrl-C":
            raise KeyboardInterrupt

    callback = gt.callbacks.LambdaCallback(on_train_batch_end=stop)
    raised = None
    try:
        model.fit(Parts(workers=2), epochs=2, steps_per_epoch=3, verbose=0, callbacks=[callback])
    except (OSError, KeyboardInterrupt) as error:
        raised = error  # whose traceback holds what `fit` held
    assert (raised is None) == (how in ("to its end", "by a callback"))
    assert seen and not _made_ahead()


def test_a_generator_is_asked_for_no_more_than_is_used() -> None:
    asked = []

    def endless() -> Iterator[Any]:
        for number in itertools.count():
            asked.append(number)
            yield PARTS[number % 3]

    source = endless()
    model = network()
    model.fit(source, epochs=2, steps_per_epoch=3, verbose=0)
    assert asked == list(range(6))
    model.fit(source, steps_per_epoch=2, verbose=0)
    assert asked == list(range(8))


def test_batches_of_a_sequence_are_shuffled_by_seed_and_epoch() -> None:
    gt.utils.set_random_seed(1)
    data = data_for(Parts(), shuffle=True)
    first, second = firsts(data.batches(0)), firsts(data.batches(1))
    assert sorted(first) == sorted(second) == [0, 3, 6, 9] and first != second
    assert firsts(data.batches(0)) == first and firsts(data.batches(0, start=2)) == first[2:]
    assert firsts(data_for(once(), shuffle=True).batches(0)) == [0, 3, 6, 9]


def test_epochs_without_steps_are_passes() -> None:
    source = Parts()
    rounds = Rounds(data_for(source))
    rounds.rewind()
    assert rounds.steps == 4
    assert [firsts(rounds.round(e)) for e in (0, 1)] == [[0, 3, 6, 9]] * 2
    assert source.told == ["end", "begin", "end", "begin", "end"]


@pytest.mark.parametrize("source", [X, Parts()])
def test_epochs_of_some_steps_go_on_where_the_last_ended(source: Any) -> None:
    given = (source, Y, None, 3) if source is X else (source,)
    rounds = Rounds(data_for(*given), 2)
    assert [firsts(rounds.round(e)) for e in range(3)] == [[0, 3], [6, 9], [0, 3]]
    rounds.rewind()
    assert firsts(rounds.round(3)) == [0, 3]
    rounds = Rounds(data_for(*given), 3, "steps_per_epoch")
    assert firsts(rounds.round(0)) == [0, 3, 6]
    with pytest.warns(UserWarning, match="ran out 2 batches before.*steps_per_epoch=3"):
        assert firsts(rounds.round(1)) == [9]
    assert firsts(rounds.round(2)) == [0, 3, 6]


def test_rounds_resume_at_a_position_in_the_same_order() -> None:
    gt.utils.set_random_seed(2)
    data = ArrayData(X, Y, batch_size=2, shuffle=True)
    whole, again = Rounds(data, 3), Rounds(data, 3)
    first, second = firsts(whole.round(0, 0)), whole.round(1, 3)
    next(second)
    position = whole.position
    assert position == ([0, 0], 4) and len(first) == 3
    again.resume(*position)
    with pytest.warns(UserWarning, match="ran out 1 batch before"):
        rest = firsts(second)
    with pytest.warns(UserWarning, match="ran out 1 batch before"):
        assert firsts(again.round(1, 3, done=1)) == rest
    assert whole.position is None


def test_class_weights_reach_the_samples_of_every_batch() -> None:
    data = data_for(PARTS)
    data.weigh({1: 5.0, 9: 2.0})
    weights = [w.tolist() for _, _, w in data.batches()]
    assert weights == [[1, 5, 1], [1, 1, 1], [1, 1, 1], [2]]
    weighted = data_for([(X, Y, np.ones(10))])
    weighted.weigh({1: 5.0})
    with pytest.raises(ValueError, match="class_weight or sample_weight, not both"):
        weighted.sample()


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: data_for(once(), Y), ValueError, "y must not be given: x is a generator"),
        (lambda: data_for(Parts(), None, Y), ValueError, "sample_weight must not be given"),
        (lambda: data_for(iter(())).sample(), ValueError, "no batches: it ended at once"),
        (lambda: data_for(iter([(1, 2, 3, 4)])).sample(), ValueError, "received 4 elements"),
        (lambda: data_for(iter([(X, Y[:3])])).sample(), ValueError, "batch: x, y and.*x has 10"),
        (lambda: validation_for(X, 3, (1, 1)), ValueError, r"must be \(x, y\).*received ndarray"),
        (lambda: validation_for((X, Y, Y, Y), 3, (1, 1)), ValueError, "received 4 elements"),
        (lambda: Rounds(ArrayData(X), 0, "validation_steps"), ValueError, "validation_steps must"),
        (lambda: gt.utils.PyDataset(), TypeError, "__getitem__"),
        (lambda: Parts(workers=-1), ValueError, "workers must be"),
        (lambda: Parts(max_queue_size=0), ValueError, "max_queue_size must be"),
    ],
)
def test_data_that_cannot_be_meant_is_refused(make: Any, error: Any, words: str) -> None:
    with pytest.raises(error, match=words):
        make()


# In `fit`


def network() -> gt.Sequential:
    gt.utils.set_random_seed(0)
    model = gt.Sequential([gt.Input((2,)), gt.layers.Dense(10, activation="softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def test_generator_that_ends_ends_the_training() -> None:
    model = network()
    with pytest.warns(UserWarning, match="training ends before epoch 2.*steps_per_epoch"):
        history = model.fit(once(), epochs=3, verbose=0)
    assert history.epoch == [0] and len(history.history["loss"]) == 1
    with pytest.raises(ValueError, match="validation_data has no more batches"):
        model.fit(X, Y, epochs=2, validation_data=once(), verbose=0)


def test_every_batch_is_checked_before_it_is_learned() -> None:
    model = network()
    with pytest.raises(ValueError, match="received 77 at index 0"):
        model.fit(iter([PARTS[0], (X[:3], np.array([77, 0, 1]))]), verbose=0)
    assert model.optimizer is not None and model.optimizer.iterations == 1


def test_arrays_alone_can_be_split() -> None:
    with pytest.raises(ValueError, match=r"x is a Parts\. Pass validation_data"):
        network().fit(Parts(), validation_split=0.5, verbose=0)


def test_several_batches_to_a_call_of_the_hooks() -> None:
    calls: list[tuple[str, int]] = []

    def note(what: str) -> Any:
        return lambda batch, logs: calls.append((what, batch))

    model = network()
    model.compile("sgd", "sparse_categorical_crossentropy", steps_per_execution=3)
    hooks = gt.callbacks.LambdaCallback(
        on_train_batch_begin=note("begin"), on_train_batch_end=note("end")
    )
    model.fit(X, Y, 3, verbose=0, callbacks=[hooks])
    assert calls == [("begin", 0), ("end", 2), ("begin", 3), ("end", 3)]
    assert model.optimizer is not None and model.optimizer.iterations == 4
