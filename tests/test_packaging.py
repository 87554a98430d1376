"""What is shipped: every source file, the data, the type marker and the licence, nothing else."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from oldest import oldest

ROOT = Path(__file__).parents[1]
PACKAGES = {
    "framework": "gradtape",
    "models": "gradtape/models",
    "datasets": "gradtape/datasets",
}


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project, as a fresh clone would be: nothing left over from earlier builds."""
    copy = tmp_path_factory.mktemp("tree")
    ignore = shutil.ignore_patterns("__pycache__", "*.pyc", "*.nbi", "*.nbc", ".*")
    for name in (*PACKAGES, "tests", "tutorials", "docs", "benchmarks"):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, copy / name, ignore=ignore)
    for path in ROOT.iterdir():
        if path.is_file() and not path.name.startswith("."):
            shutil.copy(path, copy)
    return copy


def files_of(tree: Path, folder: str) -> set[str]:
    """Every file of a folder, relative to it."""
    return {p.relative_to(tree / folder).as_posix() for p in (tree / folder).rglob("*.*")}


def in_package(tree: Path) -> set[str]:
    """The name that each file of the three package folders should have in the wheel."""
    return {
        f"{package}/{name}"
        for folder, package in PACKAGES.items()
        for name in files_of(tree, folder)
    }


@pytest.fixture(scope="module")
def built(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist, and the wheel that was built from the sdist alone."""
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(tree)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    return out


@pytest.fixture(scope="module")
def wheel(built: Path) -> set[str]:
    """The names in the wheel."""
    (path,) = built.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        return set(archive.namelist())


def test_wheel_holds_every_file_of_the_packages(tree: Path, wheel: set[str]) -> None:
    missing = in_package(tree) - wheel
    assert not missing, f"missing from the wheel (setup.cfg: packages, package_data): {missing}"


def test_wheel_holds_types_data_and_licence(wheel: set[str]) -> None:
    assert {"gradtape/py.typed", "gradtape/datasets/mnist_sample.npz"} <= wheel
    assert any(n.endswith("LICENSE") and ".dist-info/" in n for n in wheel)


def test_wheel_installs_gradtape_and_nothing_else(tree: Path, wheel: set[str]) -> None:
    extra = {name for name in wheel if ".dist-info/" not in name} - in_package(tree)
    assert not extra


def test_wheel_declares_what_the_readme_says(built: Path) -> None:
    (path,) = built.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        (name,) = (n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
        metadata = archive.read(name).decode()
    for line in ("Name: gradtape", "Requires-Python: >=3.10", "Provides-Extra: plot"):
        assert line in metadata.splitlines()


def test_sdist_holds_tests_tutorials_and_pages(tree: Path, built: Path) -> None:
    (path,) = built.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    expected = {
        f"{folder}/{name}"
        for folder in (*PACKAGES, "tests", "tutorials")
        for name in files_of(tree, folder)
    }
    expected |= {"CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "Makefile", "README.md"}
    missing = expected - names
    assert not missing, f"missing from the sdist (MANIFEST.in): {missing}"


def test_version_is_said_once(built: Path) -> None:
    import gradtape

    (path,) = built.glob("*.whl")
    assert path.name.split("-")[1] == gradtape.__version__


def test_the_oldest_versions_are_read_from_setup_cfg(tmp_path: Path) -> None:
    (tmp_path / "setup.cfg").write_text(
        "[options]\ninstall_requires =\n    numpy>=2.0\n"
        "[options.extras_require]\nplot =\n    matplotlib>=3.9\nimage =\n    pillow>=9.1\n"
        "test =\n    pytest>=8\n"
    )
    assert oldest(tmp_path / "setup.cfg") == ["numpy==2.0", "matplotlib==3.9", "pillow==9.1"]
    assert {"numpy", "numba", "tqdm", "matplotlib", "pillow"} == {
        line.partition("==")[0] for line in oldest(Path(__file__).parents[1] / "setup.cfg")
    }
