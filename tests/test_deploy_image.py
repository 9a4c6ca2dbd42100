# SPDX-License-Identifier: MIT
"""docs/deploy/Dockerfile, built with buildah and run: what is in the image, and how its command behaves.

No registry is asked: the base image is a Debian made by debootstrap from the package mirror of this machine.
That takes a minute and needs root, so it is done where CI_IMAGE=1 asks for it, as `.ci/run` does. The
container runs in namespaces of its own (mounts, processes), as the image's user, on a read-only root.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import minihttp
import storage_backends

from .server.wire import PATIENCE_SECONDS
from .test_deploy import DEPLOY, call, listens, reserved_port

APP = """
import os
from minihttp import App, HttpRouter, internal_mutation

http = HttpRouter()

@internal_mutation
def add(ctx, size_bytes):
    return ctx.db.insert("items", {"size_bytes": size_bytes})

@http.route(path="/items", method="POST")
def post_item(ctx, request):
    ctx.run_mutation(add, size_bytes=len(request.bytes()))
    return {"uid": os.getuid(), "pid": os.getpid()}

app = App(http, modules=[__name__])
"""
_MOUNTS = (
    'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && mount --bind "$1" "$0/data"'
    ' && mount -t proc proc "$0/proc" && shift && exec "$@"'
)


def _output(*command: str | Path) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stderr[-4000:]}"
    return done.stdout


def _debian(folder: Path) -> None:
    """A Debian with python and pip, and waitress as a wheel: the build needs no network."""
    targets = _output(
        "apt-get", "indextargets", "--format", "$(REPO_URI) $(CODENAME) $(COMPONENT)", "Created-By: Packages"
    )
    codename = platform.freedesktop_os_release().get("VERSION_CODENAME", "")
    mirrors = [line.split()[0] for line in targets.splitlines() if line.split()[1:] == [codename, "main"]]
    if not mirrors:
        pytest.skip("apt knows no mirror of this distribution")
    command = [
        "debootstrap",
        "--variant=minbase",
        "--include=python3,python3-pip",
        codename,
        folder,
        mirrors[0],
    ]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        pytest.skip(f"debootstrap made no base image: {done.stdout.splitlines()[-1:]}")
    (folder / "usr/bin/python").symlink_to("python3")
    for marker in folder.glob("usr/lib/python3*/EXTERNALLY-MANAGED"):
        marker.unlink()
    _output(sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", folder / "wheels", "waitress")


class Image:
    """The image built from our Dockerfile, in a store of its own, and its files mounted at `root`."""

    def __init__(self, work: Path) -> None:
        self._store = ("--root", work / "store", "--runroot", work / "run", "--storage-driver", "vfs")
        _debian(work / "debian")
        base = self._buildah("from", "scratch")
        self._buildah("add", "-q", base, work / "debian", "/")
        shutil.rmtree(work / "debian")
        self._buildah("config", "--env", "PIP_NO_INDEX=1", "--env", "PIP_FIND_LINKS=/wheels", base)
        self._buildah("commit", "-q", "--rm", base, "base")
        context = work / "context"
        for package in (minihttp, storage_backends):
            folder = Path(str(package.__file__)).parent
            shutil.copytree(folder, context / folder.name, ignore=shutil.ignore_patterns("__pycache__"))
        (context / "app.py").write_text(APP)
        build = ("build", "--isolation", "chroot", "--format", "docker", "--build-arg", "BASE=localhost/base")
        self._buildah(*build, "-t", "app", "-f", DEPLOY / "Dockerfile", context)
        described = json.loads(self._buildah("inspect", "--type", "image", "app"))
        self.config: dict[str, Any] = described["Docker"]["config"]
        self.layers: list[dict[str, Any]] = json.loads(described["Manifest"])["layers"]
        self.root = Path(self._buildah("mount", self._buildah("from", "app")))

    def _buildah(self, *arguments: str | Path) -> str:
        return _output("buildah", *self._store, *arguments).strip()

    def command(self, *command: str, port: int) -> list[str | Path]:
        """How `command` runs in the container: its user, folder and environment, and nothing of ours."""
        user, folder, variables = (self.config[name] for name in ("User", "WorkingDir", "Env"))
        inside = ["env", "-i", "-C", folder, *variables, f"MINIHTTP_PORT={port}", *command]
        return ["chroot", f"--userspec={user}", self.root, *inside]

    @contextmanager
    def running(self, volume: Path, port: int) -> Iterator[int]:
        """The container, as process 1 of its own; yields its process id here."""
        namespaces = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", _MOUNTS]
        command = [*namespaces, self.root, volume, *self.command(*self.config["Cmd"], port=port)]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        try:
            while not listens(port):
                assert self.process.poll() is None, self.process.communicate()[1]
            pid = self.process.pid
            inside = int(Path(f"/proc/{pid}/task/{pid}/children").read_text())
            try:
                yield inside
            finally:
                # A check failed; --kill-child does not outlive the change of user
                if self.process.poll() is None:
                    os.kill(inside, signal.SIGKILL)
        finally:
            self.process.kill()
            self.log = self.process.communicate(timeout=PATIENCE_SECONDS)[1]

    def remove(self) -> None:
        self._buildah("umount", "--all")
        self._buildah("rm", "--all")
        self._buildah("rmi", "--all", "--force")


@pytest.fixture
def image() -> Iterator[Image]:
    if os.environ.get("CI_IMAGE") != "1":
        pytest.skip("it takes a minute: CI_IMAGE=1 asks for it")
    missing = [name for name in ("buildah", "debootstrap", "unshare", "apt-get") if not shutil.which(name)]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    if subprocess.run(["unshare", "--mount", "--pid", "--fork", "true"], capture_output=True).returncode:
        pytest.skip("only root may make namespaces, and not in every container")
    with tempfile.TemporaryDirectory() as work:  # not below pytest's own folders, which it keeps
        built = Image(Path(work))
        yield built
        built.remove()


def test_the_image_and_its_container(image: Image, tmp_path: Path) -> None:
    """One test, so that the image is built once however the tests are spread."""
    check_files(image)
    with reserved_port() as port:
        check_container(image, tmp_path / "volume", port)


def check_files(image: Image) -> None:
    """The image is small, and nothing in it belongs to its user."""
    added_bytes = sum(layer["size"] for layer in image.layers[1:])
    print(f"the layers above the base have {added_bytes / 1e6:.1f} MB")
    assert 0 < added_bytes < 100e6
    assert image.config["Volumes"] == {"/data": {}} and image.config["User"] == "10001:10001"
    programs = [p for p in image.root.joinpath("srv").rglob("*") if p.is_file()]
    assert programs and not any(p.stat().st_uid == 10001 or p.stat().st_mode & stat.S_IWOTH for p in programs)


def check_container(image: Image, volume: Path, port: int) -> None:
    """The container serves, tells its health, writes to its volume only, and stops when asked."""
    volume.mkdir()
    os.chown(volume, *map(int, image.config["User"].split(":")))
    shell, check = image.config["Healthcheck"]["Test"]
    assert shell == "CMD-SHELL"
    probe = image.command("sh", "-c", check, port=port)
    assert subprocess.run(probe, stderr=subprocess.DEVNULL).returncode == 1  # nothing listens yet
    with image.running(volume, port) as pid:
        # Larger than what stays in memory: it is spooled, and only the volume can be written to.
        status, body = call(f"http://127.0.0.1:{port}/items", bytes(2_000_000))
        assert (status, json.loads(body)) == (200, {"uid": 10001, "pid": 1})
        assert subprocess.run(probe).returncode == 0
        assert (volume / "app.db").stat().st_uid == 10001
        os.kill(pid, signal.SIGTERM)
        assert image.process.wait(PATIENCE_SECONDS) == 0
    assert "no folder for temporary files is writable" in image.log
    assert not (volume / "app.db-wal").exists()  # closed, not cut
