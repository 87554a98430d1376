"""The fuzzer's watch sees what reading a file must not do. `make fuzz` and `.ci/run` use it."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz import mutation

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="the watch reads the peak of memory from /proc"
)

#: Watches calls in a process of its own, as neither the hook nor the limit can be taken back.
WATCH = """
import json, os, socket, sys, time
from pathlib import Path
from tests.fuzz import guard
folder = Path(sys.argv[1])
watch, found = guard.Watch(folder), []
for call in json.loads(sys.argv[2]):
    (folder / "file").write_bytes(bytes(100))
    code = eval(f"lambda: {call}")
    began = time.process_time()
    guard.SECONDS = 0.2 if "began" in call else 2.0
    found.append(watch.run(code, 100)[2])
print(json.dumps(found))
"""
#: What a call does, and how the watch names it.
SEEN = [
    ('open(folder / "file", "rb").read()', "[]"),
    ("bytes(40 << 20)", "[]"),
    ('open("/etc/passwd").read()', "opened /etc/passwd"),
    ('open(folder / "file", "ab")', "opened"),
    ('open(folder / ".." / "x", "w")', "opened"),
    ('exec("1")', "exec"),
    ("__import__('this_is_nowhere')", "import"),
    ('os.system("true")', "os.system"),
    ("socket.socket()", "socket"),
    ('os.remove(folder / "file")', "os.remove"),
    ("[b'x' * (1 << 20) for _ in range(90)] and None", "MB for a file of 100 bytes"),
    ("next(1 for _ in iter(int, 1) if time.process_time() > began + 0.3)", "s of processor time"),
]


@pytest.fixture(scope="module")
def faults(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What the watch says of each call."""
    calls = [call for call, _ in SEEN]
    folder = str(tmp_path_factory.mktemp("watched"))
    done = subprocess.run(
        [sys.executable, "-c", WATCH, folder, json.dumps(calls)],
        capture_output=True, text=True, check=False, cwd=Path(__file__).parents[1],
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return dict(zip(calls, map(json.dumps, json.loads(done.stdout)), strict=True))


@pytest.mark.parametrize(("call", "fault"), SEEN)
def test_the_watch_sees_it(faults: dict[str, str], call: str, fault: str) -> None:
    assert fault in faults[call]


def test_mutants_are_the_same_for_the_same_seed_and_differ_otherwise() -> None:
    tree = {"a": [1, {"b": "c"}], "d": None}
    data = bytes(range(200))
    for make in (
        lambda rng: mutation.text_of(rng, mutation.mutated_tree(rng, tree)),
        lambda rng: mutation.changed_bytes(rng, data),
    ):
        assert [make(random.Random(i)) for i in range(20)] == [
            make(random.Random(i)) for i in range(20)
        ]
        assert len({make(random.Random(i)) for i in range(200)}) > 100


def test_a_short_run_finds_no_fault() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz", "--files", "40", "--format", "weights", "--format",
         "idx", "--jobs", "1"],
        capture_output=True, text=True, check=False, cwd=Path(__file__).parents[1],
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "| weights | 40 |" in done.stdout and "| idx | 40 |" in done.stdout
