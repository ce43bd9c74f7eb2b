"""The house keeps its own rules: imports go one way, locks fit pyproject.toml, no file names a registry."""

import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT: dict[str, Any] = PYPROJECT["project"]
LOCKS = sorted(path.name for path in ROOT.glob("requirements*.lock"))

# Put together here, so that this file does not name them either.
REGISTRIES = [
    ".".join(host)
    for host in (
        ("pypi", "org"),
        ("files", "pythonhosted", "org"),
        ("registry", "npmjs", "org"),
        ("deb", "debian", "org"),
    )
]


def committed_files() -> Iterable[Path]:
    """Also what is about to be committed: files that are new and not ignored."""
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("this is not a git checkout, so nothing tells which files are committed")
    listing = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    paths = (ROOT / name for name in listing.stdout.split("\0") if name)
    return [path for path in paths if path.is_file()]


def pins(lock: str) -> dict[str, Requirement]:
    lines = re.findall(r"^[A-Za-z0-9].*?(?= \\$)", (ROOT / lock).read_text(), re.MULTILINE)
    requirements = map(Requirement, lines)
    return {canonicalize_name(requirement.name): requirement for requirement in requirements}


def pinned_version(pin: Requirement) -> str:
    (specifier,) = pin.specifier
    assert specifier.operator == "==", f"{pin} is not pinned to one version"
    return specifier.version


def out_of_step(wanted: list[str], lock: str) -> list[str]:
    locked = pins(lock)
    faults = []
    for requirement in map(Requirement, wanted):
        pin = locked.get(canonicalize_name(requirement.name))
        if pin is None:
            faults.append(f"{requirement} is not in {lock}; run make lock")
        elif not requirement.specifier.contains(pinned_version(pin), prereleases=True):
            faults.append(f"{requirement} is asked for, {lock} has {pinned_version(pin)}; run make lock")
    return faults


def test_imports_go_only_in_the_directions_the_contracts_allow() -> None:
    lint_imports = Path(sys.executable).with_name("lint-imports")
    checked = subprocess.run(
        [lint_imports, "--no-cache", "--no-logo"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_no_committed_file_names_a_package_registry() -> None:
    named = [
        f"{path.relative_to(ROOT)} names {host}"
        for path in committed_files()
        for host in REGISTRIES
        if host.encode() in path.read_bytes()
    ]
    assert not named


def test_there_is_a_lock_for_running_embedding_building_developing_and_browsing() -> None:
    assert LOCKS == [
        "requirements-browser.lock",
        "requirements-build.lock",
        "requirements-dev.lock",
        "requirements-embedded.lock",
        "requirements.lock",
    ]


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_has_no_address_of_any_index(lock: str) -> None:
    text = (ROOT / lock).read_text()
    assert not re.findall(r".*(?:://|--index|--extra-index|--find-links| @ ).*", text)


@pytest.mark.parametrize("lock", LOCKS)
def test_every_package_in_a_lock_has_one_version_and_a_hash(lock: str) -> None:
    # A pin, its hashes, a comment on who asked for it; whatever else stands there fails.
    entry = re.compile(r"\S+==.+ \\\n(?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+(?:    #.*\n)*")
    text = (ROOT / lock).read_text()
    assert entry.sub("", text) == ""
    assert len(entry.findall(text)) == len(pins(lock)) > 0


@pytest.mark.parametrize(
    ("lock", "wanted"),
    [
        ("requirements.lock", PROJECT["dependencies"]),
        ("requirements-embedded.lock", PROJECT["optional-dependencies"]["embedded"]),
        ("requirements-browser.lock", PROJECT["optional-dependencies"]["browser"]),
        ("requirements-build.lock", PYPROJECT["build-system"]["requires"]),
        (
            "requirements-dev.lock",
            [
                *PROJECT["dependencies"],
                *PROJECT["optional-dependencies"]["embedded"],
                *PROJECT["optional-dependencies"]["dev"],
            ],
        ),
    ],
)
def test_a_lock_fits_what_pyproject_asks_for(lock: str, wanted: list[str]) -> None:
    assert out_of_step(wanted, lock) == []


@pytest.mark.parametrize("lock", LOCKS)
def test_what_was_tested_is_what_runs(lock: str) -> None:
    tested, locked = pins("requirements-dev.lock"), pins(lock)
    differing = [name for name in locked.keys() & tested.keys() if locked[name].specifier != tested[name].specifier]
    assert not differing


def test_the_lock_of_the_image_has_no_embedded_mongod() -> None:
    embedded = pins("requirements-embedded.lock")
    assert embedded
    assert not pins("requirements.lock").keys() & embedded.keys()


def test_a_lock_that_is_out_of_step_is_noticed() -> None:
    assert out_of_step(["starlette<1"], "requirements.lock")
    assert out_of_step(["no-such-package"], "requirements.lock")
