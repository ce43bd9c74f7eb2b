"""A Kubernetes of our own on loopback: etcd, kube-apiserver, kube-controller-manager.

There is no scheduler and no node: pods stay Pending until a test plays the kubelet (`kubelet.py`).
Nothing of it outlives the block, and nothing outlives us.
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import secrets
import signal
import ssl
import subprocess
import tempfile
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import aiohttp

from tests.ports import reserved_port

_SCRIPT: Final = Path(__file__).parents[2] / "scripts" / "kubernetes-control-plane"
_CONTROLLERS: Final = ("deployment", "replicaset", "namespace", "garbagecollector", "serviceaccount")
"""The operator deploys Deployments; namespaces and owners have to clean up after themselves."""
_READY_SECONDS: Final = 60.0
"""Usual is five, four of them for the API server; several workers start at once on two cores."""
_POLL_SECONDS: Final = 0.05
_PR_SET_PDEATHSIG: Final = 1


class ControlPlaneError(Exception):
    """It can't be found or does not start; the message has what its log said last."""


def find_programs() -> Path:
    """The directory with the three programs, where the script finds it. Raises `ControlPlaneError`; builds nothing."""
    found = subprocess.run([_SCRIPT, "--no-build"], capture_output=True, text=True, check=False)
    if found.returncode:
        raise ControlPlaneError(found.stderr.strip())
    return Path(found.stdout.splitlines()[-1])


@dataclass(frozen=True, kw_only=True)
class ControlPlane:
    """A running Kubernetes whose API server may be stopped and started again on the same address."""

    url: str
    ca_file: Path
    token: str = field(repr=False)
    """Of a user in `system:masters`, who may do everything."""
    directory: Path
    """Holds the kubeconfigs and a log of each program."""
    _etcd: _Program = field(repr=False)
    _api_server: _Program = field(repr=False)
    _controllers: _Program = field(repr=False)

    @property
    def kubeconfig(self) -> Path:
        """A kubeconfig of the one who may do everything."""
        return self.kubeconfig_with(self.token)

    def kubeconfig_with(self, token: str) -> Path:
        """A kubeconfig for the bearer of this token, such as that of a service account."""
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
            "clusters": [{"name": "test", "cluster": {"server": self.url, "certificate-authority": str(self.ca_file)}}],
            "users": [{"name": "test", "user": {"token": token}}],
        }
        path = self.directory / f"kubeconfig-{secrets.token_hex(4)}"
        path.write_text(json.dumps(config))
        return path

    async def stop_api_server(self) -> None:
        """End it as the loss of its machine would: connections break at once, watches too."""
        await self._api_server.kill()

    async def start_api_server(self) -> None:
        """Start it and wait until it serves. What it stored is all there.

        The controllers start anew too: those that were refused wait up to half a minute before they watch again.
        """
        await self._controllers.kill()
        await self._api_server.start()
        await self._wait_for("/readyz", "the API server")
        await self._controllers.start()

    async def restart_api_server(self) -> None:
        """Stop it and start it; takes about four seconds."""
        await self.stop_api_server()
        await self.start_api_server()

    async def _start(self) -> None:
        await self._etcd.start()
        await self.start_api_server()
        # Made by a controller, so its being there means that they work.
        await self._wait_for("/api/v1/namespaces/default/serviceaccounts/default", "what the controllers make")

    async def _stop(self) -> None:
        for program in reversed(self._programs):
            await program.kill()

    async def _wait_for(self, path: str, what: str) -> None:
        """Ask until the answer is 200, for as long as all programs run."""
        answer = "no answer"
        headers = {"Authorization": f"Bearer {self.token}"}
        trust = ssl.create_default_context(cafile=self.ca_file)
        # Of its own: the connections of an earlier API server are broken.
        async with aiohttp.ClientSession(headers=headers, connector=aiohttp.TCPConnector(ssl=trust)) as session:
            try:
                async with asyncio.timeout(_READY_SECONDS):
                    while answer != "200":
                        self._check_all_run()
                        answer = await _ask(session, self.url + path)
                        await asyncio.sleep(0 if answer == "200" else _POLL_SECONDS)
            except TimeoutError as error:
                endings = "\n".join(program.ending() for program in self._programs if program.runs)
                raise ControlPlaneError(
                    f"Waited {_READY_SECONDS:.0f} s for {what}; the last answer was: {answer}\n{endings}"
                ) from error

    @property
    def _programs(self) -> tuple[_Program, ...]:
        return self._etcd, self._api_server, self._controllers

    def _check_all_run(self) -> None:
        for program in self._programs:
            if program.ended is not None:
                raise ControlPlaneError(f"{program.name} ended with status {program.ended}. {program.ending()}")


@asynccontextmanager
async def control_plane(programs: Path | None = None) -> AsyncIterator[ControlPlane]:
    """A Kubernetes until the block ends. Raises `ControlPlaneError`.

    Enter it from the main thread: its programs are killed when the thread that started them ends.
    """
    programs = programs or find_programs()
    async with AsyncExitStack() as stack:
        place = stack.enter_context(tempfile.TemporaryDirectory(prefix="octomesh-control-plane-"))
        etcd, peers, api = (stack.enter_context(reserved_port()) for _ in range(3))
        plane = _planned(programs, Path(place), etcd=etcd, peers=peers, api=api)
        stack.push_async_callback(plane._stop)
        await plane._start()
        yield plane


def _planned(programs: Path, directory: Path, *, etcd: int, peers: int, api: int) -> ControlPlane:
    certificate, key = _certificate(directory)
    token = secrets.token_urlsafe(24)
    tokens = directory / "tokens.csv"
    tokens.write_text(f'{token},admin,admin,"system:masters"\n')
    etcd_url, peers_url = f"http://127.0.0.1:{etcd}", f"http://127.0.0.1:{peers}"

    def program(name: str, *options: str) -> _Program:
        return _Program(name=name, arguments=(str(programs / name), *options), log=directory / f"{name}.log")

    plane = ControlPlane(
        url=f"https://127.0.0.1:{api}",
        ca_file=certificate,
        token=token,
        directory=directory,
        _etcd=program(
            "etcd",
            f"--data-dir={directory / 'etcd'}",
            f"--listen-client-urls={etcd_url}",
            f"--advertise-client-urls={etcd_url}",
            f"--listen-peer-urls={peers_url}",
            f"--initial-advertise-peer-urls={peers_url}",
            f"--initial-cluster=default={peers_url}",
            "--unsafe-no-fsync",  # nothing here has to outlive the machine
        ),
        _api_server=program(
            "kube-apiserver",
            f"--etcd-servers={etcd_url}",
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",  # or it looks for a network, which a container may not have
            "--endpoint-reconciler-type=none",  # ... and would write that address down, which may not be loopback
            f"--secure-port={api}",
            f"--tls-cert-file={certificate}",
            f"--tls-private-key-file={key}",
            f"--token-auth-file={tokens}",
            "--authorization-mode=RBAC",
            f"--service-account-key-file={certificate}",
            f"--service-account-signing-key-file={key}",
            "--service-account-issuer=https://kubernetes.default.svc",
            "--service-cluster-ip-range=10.0.0.0/24",
            # Pods would wait for a token secret that no controller here makes.
            "--disable-admission-plugins=ServiceAccount",
        ),
        _controllers=program(
            "kube-controller-manager",
            f"--kubeconfig={directory / 'kubeconfig-controllers'}",
            f"--controllers={','.join(_CONTROLLERS)}",
            "--leader-elect=false",
            "--port=0",  # nobody asks it for anything
            "--secure-port=0",
            "--kube-api-qps=200",  # the default of 20 makes tests wait
            "--kube-api-burst=400",
        ),
    )
    plane.kubeconfig.rename(directory / "kubeconfig-controllers")
    return plane


def _certificate(directory: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that is its own authority, and its key, which also signs service account tokens.

    The one that kube-apiserver would make lacks what Python 3.13 insists on.
    """
    certificate, key = directory / "server.crt", directory / "server.key"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=127.0.0.1"
    extensions = ["-addext", "subjectAltName=IP:127.0.0.1", "-addext", "keyUsage=critical,digitalSignature,keyCertSign"]
    try:
        subprocess.run(
            [*command.split(), *extensions, "-keyout", key, "-out", certificate],
            capture_output=True,
            text=True,
            check=True,
        )
    except FileNotFoundError as error:
        raise ControlPlaneError("openssl is missing, which makes the certificate: apt-get install openssl") from error
    except subprocess.CalledProcessError as error:
        raise ControlPlaneError(f"openssl made no certificate: {error.stderr.strip()}") from error
    return certificate, key


async def _ask(session: aiohttp.ClientSession, url: str) -> str:
    """The status of the answer, or why there is none."""
    try:
        async with session.get(url) as response:
            return "200" if response.status == 200 else f"{response.status} {(await response.text())[:2000]}"
    except aiohttp.ClientError as error:
        return str(error)


@dataclass(kw_only=True)
class _Program:
    """One of the three, which may run."""

    name: str
    arguments: tuple[str, ...]
    log: Path
    process: Process | None = None

    @property
    def runs(self) -> bool:
        return self.process is not None and self.process.returncode is None

    @property
    def ended(self) -> int | None:
        """The status with which it ended by itself."""
        return self.process.returncode if self.process else None

    async def start(self) -> None:
        if self.runs:
            raise ControlPlaneError(f"{self.name} runs already; stop it first")
        with self.log.open("ab") as log:
            try:
                self.process = await asyncio.create_subprocess_exec(
                    *self.arguments,
                    stdin=DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,  # a Ctrl-C in the terminal is for us
                    preexec_fn=_dying_with(os.getpid()),
                )
            except OSError as error:
                raise ControlPlaneError(f"{self.arguments[0]} can't be run: {error.strerror}") from error

    async def kill(self) -> None:
        """End it at once: there is nothing to save, and a polite API server waits a minute for its watchers."""
        process, self.process = self.process, None
        if process:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    def ending(self) -> str:
        """A sentence with its last lines."""
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return f"The log of {self.name} ends with:" + "".join(f"\n  {line[:300]}" for line in lines[-8:])


def _dying_with(parent: int) -> Callable[[], None]:
    """What the child does first, so that the kernel kills it when we end, however we end."""
    prctl = ctypes.CDLL(None).prctl  # looked up before the fork: after it, only little is safe

    def in_the_child() -> None:
        prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))
        if os.getppid() != parent:  # too late, we ended in between
            os._exit(1)

    return in_the_child
