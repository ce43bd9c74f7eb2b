"""The Dockerfile read as text: no Docker engine is needed to run them, and most faults show without."""

import fnmatch
import json
import os
import re
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

from tests.cli.test_checking import answering

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True, kw_only=True)
class Stage:
    base: str
    name: str
    instructions: list[tuple[str, str]]

    def all(self, keyword: str) -> list[str]:
        return [rest for found, rest in self.instructions if found == keyword]

    def last(self, keyword: str) -> str:
        """The one that counts: of several, Docker takes the last. Empty when there is none."""
        return self.all(keyword)[-1] if self.all(keyword) else ""


def stages(dockerfile: str) -> list[Stage]:
    without_comments = re.sub(r"^\s*#.*\n", "", dockerfile, flags=re.MULTILINE)
    found: list[Stage] = []
    for line in re.sub(r"\\\n", " ", without_comments).splitlines():
        keyword, _, rest = line.strip().partition(" ")
        if keyword.upper() == "FROM":
            base, _, name = rest.strip().partition(" AS ")
            found.append(Stage(base=base.strip(), name=name.strip(), instructions=[]))
        elif keyword:
            found[-1].instructions.append((keyword.upper(), rest.strip()))
    return found


def copied_from_checkout(stage: Stage) -> list[str]:
    words = [rest.split() for rest in stage.all("COPY") + stage.all("ADD")]
    return [source for copy in words if not copy[0].startswith("--from=") for source in copy[:-1]]


def sent_to_the_build(source: str, dockerignore: str) -> bool:
    """Whether .dockerignore lets a top-level name, or what is below it, through; of patterns that match, the last one
    counts.
    """
    top, *below = source.split("/")
    if below:
        return sent_to_the_build(top, dockerignore)
    sent = True
    for line in dockerignore.splitlines():
        pattern = line.strip()
        if pattern and not pattern.startswith("#") and fnmatch.fnmatch(source, pattern.removeprefix("!")):
            sent = pattern.startswith("!")
    return sent


def health_command(stage: Stage) -> str:
    """What Docker hands to a shell to ask a container for its health."""
    return stage.last("HEALTHCHECK").partition("CMD ")[2]


def faults(dockerfile: str) -> list[str]:
    """Everything that is wrong with an image made from this text, in words."""
    found = []
    parsed = stages(dockerfile)
    built = {stage.name for stage in parsed}
    final = parsed[-1]

    if not re.fullmatch(r"[1-9]\d*(:[1-9]\d*)?", final.last("USER")):
        found.append("it runs as root, or as a user whose number Kubernetes cannot see")
    found += [
        f"{stage.base} floats"
        for stage in parsed
        if stage.base not in built and not re.search(r":(?!latest\b)[\w.-]+$|@sha256:", stage.base)
    ]
    found += [
        f"{source} does not exist"
        for stage in parsed
        for source in copied_from_checkout(stage)
        if not (ROOT / source).exists()
    ]
    if not all(re.search(r"\boctomesh healthcheck$", asked.strip()) for asked in health_command(final).split("||")):
        found.append("its health is not checked by octomesh healthcheck")
    if "embedded" in " ".join(rest for stage in parsed for _, rest in stage.instructions):
        found.append("it carries the embedded mongod")
    found += [
        f"unchecked packages: {command}"
        for stage in parsed
        for run in stage.all("RUN")
        for command in run.split("&&")
        if re.search(r"\bpip\b.* (install|wheel|download)\b", command)
        and not ("--require-hashes" in command or "--no-index" in command)
    ]
    if final.all("RUN"):
        found.append("its last stage runs something instead of copying what was built")
    return found


DOCKERFILE = (ROOT / "Dockerfile").read_text()


def test_the_image_has_no_fault() -> None:
    assert faults(DOCKERFILE) == []


@pytest.mark.parametrize(
    ("right", "wrong", "fault"),
    [
        ("USER 65532:65532", "USER octomesh", "root"),
        ("USER 65532:65532", "USER 0", "root"),
        ("USER 65532:65532", "", "root"),
        ("FROM python:3.11-slim", "FROM python:latest", "floats"),
        ("FROM python:3.11-slim", "FROM python", "floats"),
        ("COPY pyproject.toml", "COPY no-such-file", "does not exist"),
        ("CMD octomesh healthcheck", "CMD curl localhost", "health"),
        ("      octomesh healthcheck", "      true", "health"),
        ("-r requirements.lock", "-r requirements.lock -r requirements-embedded.lock", "mongod"),
        ("dist . ", "dist .[embedded] ", "mongod"),
        ("--require-hashes ", "", "unchecked"),
        ("EXPOSE 8000", "RUN apt-get install gcc", "last stage"),
    ],
)
def test_a_fault_put_into_the_dockerfile_is_noticed(right: str, wrong: str, fault: str) -> None:
    assert right in DOCKERFILE
    assert any(fault in found for found in faults(DOCKERFILE.replace(right, wrong)))


def test_every_stage_with_python_has_the_same_base_so_that_the_copied_environment_finds_its_python() -> None:
    (base,) = {stage.base for stage in stages(DOCKERFILE) if not stage.base.startswith("node:")}
    version = base.removeprefix("python:").removesuffix("-slim")
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert SpecifierSet(pyproject["project"]["requires-python"]).contains(version)


def test_the_image_starts_the_server_by_the_command_pyproject_declares() -> None:
    final = stages(DOCKERFILE)[-1]
    (command,) = json.loads(final.last("ENTRYPOINT"))
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert command in pyproject["project"]["scripts"]
    assert json.loads(final.last("CMD")) == ["serve"]


@pytest.mark.parametrize("variable", ["OCTOMESH_PORT", "OCTOMESH_OPERATOR_HEALTH_PORT"])
@pytest.mark.parametrize(("status", "exit_code"), [(200, 0), (503, 1)])
def test_docker_learns_the_health_of_whichever_program_the_container_runs(
    tmp_path: Path, variable: str, status: int, exit_code: int
) -> None:
    program = tmp_path / "octomesh"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m octomesh_graphql "$@"\n')
    program.chmod(0o755)
    nobody = {"OCTOMESH_PORT": "1", "OCTOMESH_OPERATOR_HEALTH_PORT": "1"}  # needs rights to listen on, so nobody does
    with answering(status) as port:
        environment = {
            "PATH": f"{tmp_path}:{os.environ['PATH']}",
            "OCTOMESH_HOST": "0.0.0.0",
            **nobody,
            variable: str(port),
        }
        asked = subprocess.run(
            ["sh", "-c", health_command(stages(DOCKERFILE)[-1])], env=environment, cwd=ROOT, check=False
        )
    assert asked.returncode == exit_code


def test_the_image_says_what_it_is_and_writes_no_bytecode() -> None:
    final = stages(DOCKERFILE)[-1]
    assert "PYTHONDONTWRITEBYTECODE=1" in final.last("ENV")
    for label in ("title", "description", "licenses"):
        assert f"org.opencontainers.image.{label}=" in final.last("LABEL")


def test_the_build_is_sent_what_it_copies_and_nothing_else() -> None:
    dockerignore = (ROOT / ".dockerignore").read_text()
    copied = {source for stage in stages(DOCKERFILE) for source in copied_from_checkout(stage)}
    assert copied
    assert {source for source in copied if not sent_to_the_build(source, dockerignore)} == set()
    assert {path.name for path in ROOT.iterdir() if sent_to_the_build(path.name, dockerignore)} <= {
        source.partition("/")[0] for source in copied
    }


def test_the_pages_are_built_by_a_node_that_is_new_enough_and_from_locked_packages() -> None:
    (pages,) = (stage for stage in stages(DOCKERFILE) if stage.base.startswith("node:"))
    version = re.sub(r"node:([\d.]+).*", r"\1", pages.base)
    asked_for = json.loads((ROOT / "admin" / "package.json").read_text())["engines"]["node"]
    assert f">={version}." in asked_for
    assert pages.all("RUN") == ["npm ci --omit=dev", "npm run build"]
