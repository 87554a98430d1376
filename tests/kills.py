"""Kill training at random moments, go on, and see whether it ends as if nothing had happened.

``python tests/kills.py --kills 500`` (or ``make kills``) starts small trainings, kills them with
SIGKILL at random moments of their life, from the imports to the last file, and starts them again
until one gets to its end. Every file must then be, byte for byte, what a training that was never
killed leaves, and nothing else may be there.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from glob import glob
from pathlib import Path

TRAIN = "gradtape train mlp --limit 64 --epochs 6 --batch-size 16 --no-picture"
#: Ways to train, by name: the first command, and the one that goes on; ``OUT`` is the folder.
KINDS: dict[str, tuple[str, str]] = {
    "train": (f"{TRAIN} --out OUT", f"{TRAIN} --out OUT --resume"),
    "train, backups within epochs": (
        f"{TRAIN} --out OUT --backup-every 3",
        f"{TRAIN} --out OUT --backup-every 3 --resume",
    ),
    "train, with a picture": (
        f"{TRAIN} --out OUT".replace(" --no-picture", ""),
        f"{TRAIN} --out OUT --resume".replace(" --no-picture", ""),
    ),
    "fit": ("fit OUT epoch", "fit OUT epoch"),
    "fit, backups within epochs": ("fit OUT 3", "fit OUT 3"),
}


#: Kills of one training, so that all kinds have their share.
MOST = 8


def fit(folder: Path, save_freq: str) -> None:
    """A script of a user's: averages, gradients that accumulate, a schedule, and callbacks."""
    import numpy as np

    import gradtape as gt
    from gradtape.config.writing import write_text

    gt.utils.set_random_seed(3)
    folder.mkdir(exist_ok=True)
    x = np.random.default_rng(0).normal(size=(160, 8, 8, 1)).astype(np.float32)
    y = np.eye(2)[(x.mean((1, 2, 3)) > 0).astype(int)]
    model = gt.Sequential(
        [
            gt.Input((8, 8, 1)),
            gt.layers.Conv2D(4, 3, activation="relu"),
            gt.layers.BatchNormalization(),
            gt.layers.Flatten(),
            gt.layers.Dropout(0.3),
            gt.layers.Dense(2, activation="softmax"),
        ]
    )
    rate = gt.optimizers.schedules.CosineDecay(0.01, 40, warmup_target=0.1, warmup_steps=5)
    model.compile(
        gt.optimizers.SGD(
            rate, momentum=0.9, use_ema=True, ema_momentum=0.9, gradient_accumulation_steps=3
        ),
        loss="categorical_crossentropy",
        metrics=["accuracy", gt.metrics.AUC(name="auc")],
    )
    callbacks = gt.callbacks
    history = model.fit(
        x, y, 16, epochs=8, validation_split=0.2, verbose=0,
        callbacks=[
            callbacks.BackupAndRestore(
                folder / "backup", int(save_freq) if save_freq.isdigit() else save_freq,
                double_checkpoint=True,
            ),
            callbacks.SwapEMAWeights(swap_on_epoch=True),
            callbacks.EarlyStopping("val_loss", patience=4, restore_best_weights=True),
            callbacks.ModelCheckpoint(folder / "best.npz", save_best_only=True),
            callbacks.CSVLogger(folder / "log.csv"),
        ],
    )  # fmt: skip
    model.save(folder / "model.npz")
    write_text(folder / "history.json", repr((history.epoch, history.history)))


def start(command: str, folder: Path) -> subprocess.Popen[bytes]:
    """The process of a command of `KINDS`."""
    program, *words = command.replace("OUT", str(folder)).split()
    code = [__file__, "--child"] if program == "fit" else ["-m", "gradtape"]
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "MPLBACKEND": "Agg"}
    return subprocess.Popen(
        [sys.executable, *code, *words],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment, start_new_session=True,
    )  # fmt: skip


def finish(process: subprocess.Popen[bytes]) -> None:
    """Wait for the end of a training.

    Raises:
        AssertionError: it fails.
    """
    _, said = process.communicate(timeout=600)
    assert process.returncode == 0, said.decode()


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, and every folder as an empty one."""
    found = {str(p.relative_to(folder)): p for p in folder.rglob("*")}
    return {name: p.read_bytes() if p.is_file() else b"" for name, p in found.items()}


def trial(
    kind: str, expected: dict[str, bytes], seconds: float, chance: random.Random, most: int
) -> Counter[str]:
    """One training, killed until it gets to its end, or at most so many times.

    Args:
        expected: what it leaves if it is not killed.
        seconds: how long that takes.

    Returns:
        How often it was killed, by what was there at that time.

    Raises:
        AssertionError: it fails, or leaves something else.
    """
    killed: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "run"
        first, again = KINDS[kind]
        process, unfinished = start(first, folder), set[str]()
        while killed.total() < most and not _killed(process, folder, seconds, chance):
            if process.poll() is not None:
                break
            process.kill()
            process.communicate()
            killed[_stage(folder, unfinished)] += 1
            unfinished = _unfinished(folder)
            # Killed before it said that it began a run, the first command is still the right one.
            process = start(again, folder)
        finish(process)
        left = contents(folder)
        assert left.keys() == expected.keys(), (kind, sorted(left.keys() ^ expected.keys()))
        differ = [name for name in expected if left[name] != expected[name]]
        assert not differ, f"{kind}: {', '.join(differ)} differ after {dict(killed)}"
    return killed


def _killed(
    process: subprocess.Popen[bytes], folder: Path, seconds: float, chance: random.Random
) -> bool:
    """Wait for the moment to kill; whether the training has ended before."""
    end = time.perf_counter() + chance.uniform(0, 1.1 * seconds)
    while time.perf_counter() < end:
        if process.poll() is not None:
            return True
        time.sleep(0.002)
    if chance.random() < 0.3:  # in the middle of the next file that it writes
        before = _unfinished(folder)
        while process.poll() is None and _unfinished(folder) <= before:
            pass
    return process.poll() is not None


def _unfinished(folder: Path) -> set[str]:
    """The files that somebody writes, or has left behind."""
    return {*glob(f"{folder}/.*.tmp"), *glob(f"{folder}/backup/.*.tmp")}


def _stage(folder: Path, before: set[str]) -> str:
    if _unfinished(folder) - before:
        return "while a file was written"
    if not (folder / "backup").exists():
        return "before the first backup" if not (folder / "model.npz").exists() else "at the end"
    return "later"


def reference(kind: str) -> tuple[dict[str, bytes], float]:
    """What a training that is not killed leaves, and how many seconds it takes."""
    with tempfile.TemporaryDirectory() as name:
        folder, began = Path(name) / "run", time.perf_counter()
        finish(start(KINDS[kind][0], folder))
        return contents(folder), time.perf_counter() - began


def main() -> None:
    """Kill as often as the command line says, and say how it went."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kind", choices=KINDS, action="append")
    parser.add_argument("--child", nargs=2, metavar=("FOLDER", "SAVE_FREQ"))
    arguments = parser.parse_args()
    if arguments.child:
        return fit(Path(arguments.child[0]), arguments.child[1])
    chance = random.Random(arguments.seed)
    kinds = arguments.kind or list(KINDS)
    for kind in kinds:
        reference(kind)  # compiles what is not in the cache
    references = {kind: reference(kind) for kind in kinds}
    killed: dict[str, Counter[str]] = {kind: Counter() for kind in kinds}
    total, runs = 0, 0
    while total < arguments.kills:
        kind = kinds[runs % len(kinds)]
        most = min(arguments.kills - total, MOST)
        found = trial(kind, *references[kind], chance, most)
        killed[kind] += found
        total, runs = total + found.total(), runs + 1
        print(f"{total} kills in {runs} runs, all to the same bits", flush=True)
    for kind, found in killed.items():
        print(f"{kind}: {found.total()} kills, {', '.join(f'{n} {k}' for k, n in found.items())}")


if __name__ == "__main__":
    main()
