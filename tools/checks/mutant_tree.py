# SPDX-License-Identifier: MIT
"""A copy of the tree with a build of its own, in which one fault at a time is planted and tests are run."""
import filecmp
import json
import os
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass

OPTIONS = ["-Dtests=enabled", "-Dtool=enabled", "-Doptimization=1", "-Ddebug=false"]
EXIT_SKIP = 77


class TreeError(Exception):
    """What cannot be built or run though nothing is planted."""


@dataclass
class Test:
    name: str
    suite: str
    command: list
    folder: str
    environment: dict
    limit_s: float
    targets: list


def _is_ours(name):
    return not (name.startswith("build") or name in (".git", "sample", "__pycache__"))


def _copy(source, target):
    """Makes `target` the same as `source`; what is the same already keeps its times, so that it is not built again."""
    os.makedirs(target, exist_ok=True)
    wanted = {entry.name: entry for entry in os.scandir(source) if _is_ours(entry.name)}
    for entry in list(os.scandir(target)):
        ours = wanted.get(entry.name)
        if entry.is_dir(follow_symlinks=False) and not (ours and ours.is_dir(follow_symlinks=False)):
            shutil.rmtree(entry.path)
        elif not entry.is_dir(follow_symlinks=False) and not ours:
            os.remove(entry.path)
    for name, entry in wanted.items():
        place = os.path.join(target, name)
        if entry.is_dir(follow_symlinks=False):
            _copy(entry.path, place)
        elif not os.path.exists(place) or not filecmp.cmp(entry.path, place, shallow=False):
            shutil.copy(entry.path, place)


class Tree:
    def __init__(self, root, folder, cores):
        self.source = os.path.join(folder, "tree")
        self.build = os.path.join(folder, "build")
        self.scratch = os.path.join(folder, "tmp")
        self.cores = cores
        self.tests = {}
        _copy(root, self.source)
        self._set_up()
        self._read_tests()

    def _set_up(self):
        for again in (False, True):
            if os.path.exists(os.path.join(self.build, "build.ninja")):
                done = self._run_tool(["ninja", "-C", self.build, "build.ninja"])
            else:
                done = self._run_tool(["meson", "setup", self.build, self.source, *OPTIONS])
            if done.returncode == 0:
                return
            if again:
                raise TreeError(done.stdout)
            shutil.rmtree(self.build, ignore_errors=True)

    @staticmethod
    def _run_tool(command):
        return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, errors="replace", check=False)

    def _read_tests(self):
        def information(name):
            with open(os.path.join(self.build, "meson-info", f"intro-{name}.json"), encoding="utf-8") as file:
                return json.load(file)

        files = {target["id"]: target["filename"] for target in information("targets")}
        for test in information("tests"):
            targets = [os.path.relpath(file, self.build) for one in test["depends"] for file in files[one]]
            self.tests[test["name"]] = Test(
                test["name"], test["suite"][0].split(":")[-1], test["cmd"], test["workdir"] or self.build, test["env"],
                test["timeout"], targets)

    def write(self, path, text):
        with open(os.path.join(self.source, path), "w", encoding="utf-8") as file:
            file.write(text)

    def make(self, tests):
        """What is said where it cannot be built, else None."""
        targets = sorted({target for test in tests for target in test.targets})
        if not targets:
            return None
        done = self._run_tool(["ninja", "-C", self.build, f"-j{self.cores}", *targets])
        return done.stdout if done.returncode else None

    def run(self, test, limit_s):
        """Whether it holds ("passed", "failed" or "hung"), and for how long it ran."""
        shutil.rmtree(self.scratch, ignore_errors=True)
        os.makedirs(self.scratch, exist_ok=True)
        environment = dict(os.environ, TMPDIR=self.scratch, **test.environment)
        start = time.monotonic()
        with subprocess.Popen(test.command, cwd=test.folder, env=environment, stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True) as process:
            try:
                code = process.wait(limit_s)
                word = "passed" if code in (0, EXIT_SKIP) else "failed"
            except subprocess.TimeoutExpired:
                word = "hung"
            try: # whom it has left behind goes with it
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        return word, time.monotonic() - start
