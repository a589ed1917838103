"""The same items on a Ray cluster: two workers here, one of them killed in the middle."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from knowledge_base.executor import make_executor
from knowledge_base.journal import Journal
from knowledge_base.limits import Limits
from knowledge_base.reference import reference_recipes
from knowledge_base.state import State
from probes.errors import UserError

RECIPES = [recipe for recipe in reference_recipes() if recipe.optimizer.name == "muon"]
"""They are never stacked: the cluster is at work for some seconds."""
BUILDER = """
import sys, pathlib
from knowledge_base.build import build
from knowledge_base.reference import reference_recipes
recipes = [recipe for recipe in reference_recipes() if recipe.optimizer.name == "muon"]
build(pathlib.Path(sys.argv[1]), tasks=["wine-mlp-1"], workers=2, stages=["reference"],
      recipes=recipes, executor="ray")
"""


def installed() -> bool:
    return importlib.util.find_spec("ray") is not None


def loopback_only() -> list[str]:
    """Words before a command that give it no network but loopback, where the system lets us."""
    words = ["unshare", "--map-root-user", "--net", "sh", "-c",
             'ip link set lo up && exec "$@"', "sh"]  # fmt: skip
    try:
        tried = subprocess.run([*words, "true"], capture_output=True, check=False)
    except FileNotFoundError:
        return []
    return words if tried.returncode == 0 else []


def processes(session: int) -> dict[int, str]:
    """Command lines of the processes of a session that run, by process id."""
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            if int(fields[3]) == session and fields[0] != "Z":
                found[int(entry.name)] = (entry / "cmdline").read_bytes().decode()
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def test_without_ray_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)  # an import of it fails
    with pytest.raises(UserError, match=r"pip install 'optimizer-advisor\[ray\]'"):
        make_executor("ray", None, Limits())


@pytest.mark.slow
@pytest.mark.skipif(not installed(), reason="Ray is not installed")
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_killed_worker_of_a_cluster_loses_nothing(tmp_path: Path) -> None:
    store = tmp_path / "journal.log"
    inside = loopback_only()
    # where nobody else can reach it, Ray need not write a token into the user's home
    environment = {**os.environ, "RAY_AUTH_MODE": "disabled"} if inside else None
    command = [*inside, sys.executable, "-c", BUILDER, str(store)]
    builder = subprocess.Popen(command, start_new_session=True, env=environment)
    end = time.monotonic() + 180
    try:
        killed = 0
        while builder.poll() is None and not killed:
            assert time.monotonic() < end, "it takes too long"
            time.sleep(0.02)
            if not State.of(Journal(store)).runs:
                continue
            at_work = [number for number, line in processes(builder.pid).items()
                       if line.startswith("ray::attempt")]  # fmt: skip
            for worker in at_work[:1]:
                os.kill(worker, signal.SIGKILL)
                killed += 1
        assert builder.wait(timeout=180) == 0
        assert killed == 1
    finally:
        for process in processes(builder.pid):  # where something failed, Ray's own are left
            os.kill(process, signal.SIGKILL)
    state = State.of(Journal(store))
    assert set(state.runs) == {("wine-mlp-1", recipe.key, 0) for recipe in RECIPES}
    assert (state.failed, state.damaged) == ({}, [])
    assert sum(kind == "run" for kind, _ in Journal(store).read()) == len(RECIPES)
