"""Faults are chosen by a seed, which is told: the same seed makes the same faults."""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any

import pytest

from tests.collecting import asked_for

HERE = Path(__file__).parent
SEED = pytest.StashKey[str]()

pytest.register_assert_rewrite(*(f"tests.faults.{name}" for name in ("history", "installation", "onlookers", "users")))


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out what nobody asked for: `make test-faults`."""
    return None if asked_for(HERE, config) else True


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--some N`. It is known where this directory is named."""
    parser.addoption("--some", type=int, metavar="N", help="only N of the tests of faults, chosen by the seed")


def pytest_configure(config: pytest.Config) -> None:
    """A seed for the run: FAULT_SEED if that is set."""
    told = getattr(config, "workerinput", {}).get("fault seed")
    config.stash[SEED] = told or os.environ.get("FAULT_SEED") or str(random.SystemRandom().randrange(10**9))


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """All workers have to choose the same."""
    node.workerinput["fault seed"] = node.config.stash[SEED]


def pytest_report_header(config: pytest.Config) -> str:
    """How to repeat a run."""
    return f"faults: FAULT_SEED={config.stash[SEED]} makes the same ones again"


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep some of the tests of faults, if only some are asked for."""
    some: int | None = config.getoption("--some", None)
    faults = [item for item in items if is_about_faults(item.path)]
    if some is None or len(faults) <= some:
        return
    chosen = random.Random(config.stash[SEED]).sample(faults, some)
    left_out = [item for item in faults if item not in chosen]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


def is_about_faults(path: Path) -> bool:
    """Whether a file of tests breaks things: what is in this directory, and what says so in that of the cluster."""
    return HERE in path.parents or path.match("tests/cluster/test_faults_*.py")


@pytest.fixture
def dice(request: pytest.FixtureRequest) -> random.Random:
    """Chance; the same for a test of this name whenever the seed is."""
    return random.Random(f"{request.config.stash[SEED]} {request.node.name}")
