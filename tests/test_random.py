"""Counted randomness: an address is a stream, whatever was drawn before."""

from __future__ import annotations

import hashlib
import threading

import numpy as np
import pytest

from gradtape import random


def test_a_stream_depends_on_seed_and_address_alone():
    random.set_seed(7)
    first = random.generator("shuffle", 3).random(4)
    random.generator("shuffle", 4).random(100)
    assert np.array_equal(random.generator("shuffle", 3).random(4), first)
    random.set_seed(7)
    assert np.array_equal(random.generator("shuffle", 3).random(4), first)


def test_other_seeds_purposes_and_numbers_are_other_streams():
    random.set_seed(7)
    draws = [
        random.generator("shuffle", 3).random(),
        random.generator("shuffle", 4).random(),
        random.generator("dropout", 3).random(),
        random.generator("shuffle", 3, 0).random(),
        random.generator("shuffle", 3, seed=8).random(),
    ]
    random.set_seed(8)
    assert random.generator("shuffle", 3).random() == draws[-1]
    assert len(set(draws)) == len(draws)


def test_the_key_is_the_same_on_every_machine():
    digest = hashlib.blake2b(b"(7, 'shuffle', 3)", digest_size=16).digest()
    low, high = int.from_bytes(digest[:8], "little"), int.from_bytes(digest[8:], "little")
    assert random.key("shuffle", np.int64(3), seed=7).tolist() == [low, high]


def test_setting_the_seed_numbers_the_streams_anew():
    random.set_seed(1)
    before = [random.next_stream() for _ in range(3)]
    random.set_seed(1)
    assert [random.next_stream() for _ in range(3)] == before == [0, 1, 2]
    assert random.get_seed() == 1


def test_streams_are_handed_out_once_to_any_number_of_threads():
    random.set_seed(1)
    taken: list[int] = []
    threads = [
        threading.Thread(target=lambda: taken.extend(random.next_stream() for _ in range(500)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == list(range(2000))


@pytest.mark.parametrize(("seed", "error"), [(1.5, TypeError), ("1", TypeError), (-1, ValueError)])
def test_a_seed_is_a_whole_number(seed, error):
    before = random.get_seed()
    with pytest.raises(error, match="seed must"):
        random.set_seed(seed)
    assert random.get_seed() == before
