#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Counts the cases of the last `meson test` run in a build directory: prints "PASSED FAILED SKIPPED".

usage: totals.py BUILD_DIRECTORY [SUITE]..., or totals.py --self-test. With suites, only theirs were meant to run.

Why not meson's own sums: they count programs, and a program that says nothing counts there as skipped. The
JSON log has one program a line with its result and whole output (the JUnit log is not even well-formed XML
once a test prints a control character). What failed or was skipped is shown on stderr, since meson hides
the comments that say why.
"""
import glob
import json
import os
import re
import sys

CASE = re.compile(r"(not )?ok\b[^#]*(?:#\s*(skip|todo))?", re.IGNORECASE)
EMPTY_PLAN = re.compile(r"^1\.\.0\b", re.MULTILINE)
BAD = {"FAIL", "TIMEOUT", "INTERRUPT", "UNEXPECTEDPASS", "ERROR"}
EXIT_SKIP = 77


def count(program):
    """(passed, failed, skipped) of one line of the log."""
    passed = failed = skipped = skipped_not_ok = 0
    output = program.get("stdout") or ""
    for line in output.splitlines():
        case = CASE.match(line)
        if not case:
            continue
        bad, directive = case.group(1), (case.group(2) or "").lower()
        if directive == "todo":  # a known fault is not a pass; one that is gone must lose its mark
            skipped, failed = (skipped + 1, failed) if bad else (skipped, failed + 1)
        elif directive == "skip":
            skipped += 1
            skipped_not_ok += bool(bad)
        elif bad:
            failed += 1
        else:
            passed += 1
    result = program["result"]
    if result == "FAIL" and skipped_not_ok and not failed:
        result = "OK"  # cmocka's skip() says "not ok # SKIP", which meson takes for a failure
    if result in BAD:  # crashed, timed out or lost cases: at least one failure
        return passed, max(failed, 1), skipped
    if passed + failed + skipped:
        return passed, failed, skipped
    if result != "SKIP":
        return 1, 0, 0
    meant = program.get("returncode") == EXIT_SKIP or EMPTY_PLAN.search(output)
    return (0, 0, 1) if meant else (0, 1, 0)


def show_failed(program):
    lines = (program.get("stdout") or "").splitlines() + (program.get("stderr") or "").splitlines()
    said = [line for line in lines if not line.startswith("ok ")]
    print(f"--- {program['name']}: {program['result']}", *said[-60:], sep="\n", file=sys.stderr)


def show_skipped(program):
    lines = [line for line in (program.get("stdout") or "").splitlines() if re.search(r"# *(skip|todo)", line, re.I)]
    print(*(f"     skipped: {program['name']}: {line}" for line in lines), sep="\n", file=sys.stderr)


def self_test():
    def one(result, stdout="", returncode=0):
        return count({"result": result, "stdout": stdout, "returncode": returncode})

    assert one("OK", "1..2\nok 1 - a\nok 2 - b\n") == (2, 0, 0)
    assert one("FAIL", "1..3\nok 1 - a\nnot ok 2 - b\n# why\n# not ok - group\nok 3 # SKIP no disk\n") == (1, 1, 1)
    assert one("ERROR", "1..3\nok 1 - a\n", -11) == (1, 1, 0)
    assert one("TIMEOUT") == (0, 1, 0)
    assert one("FAIL", "1..2\nok 1 - a\nnot ok 2 # SKIP b\n# ok - group\n") == (1, 0, 1)
    assert one("ERROR", "1..2\nok 1 - a\nnot ok 2 # SKIP b\n", 1) == (1, 1, 1)
    assert one("OK", "not ok 1 - a # TODO later\nok 2 - okay\n") == (1, 0, 1)
    assert one("UNEXPECTEDPASS", "ok 1 - a # TODO later\n") == (0, 1, 0)
    assert one("SKIP", "1..0 # SKIP no ring\n") == (0, 0, 1)
    assert one("SKIP", "", EXIT_SKIP) == (0, 0, 1)
    assert one("SKIP", "[ RUN ] not TAP at all\n") == (0, 1, 0)
    assert one("OK", "just an exit code\n") == (1, 0, 0)


def main():
    if sys.argv[1:] == ["--self-test"]:
        self_test()
        return
    build = sys.argv[1]
    suites = {"tresor:" + suite for suite in sys.argv[2:]}
    with open(os.path.join(build, "meson-info", "intro-tests.json"), encoding="utf-8") as tests:
        missing = sum(not suites or bool(suites & set(test["suite"])) for test in json.load(tests))
    totals = [0, 0, 0]
    # Meson adds the name of a wrapper; what is of an older run has been removed.
    (name,) = glob.glob(os.path.join(build, "meson-logs", "testlog*.json"))
    with open(name, encoding="utf-8") as log:
        for line in log:
            program = json.loads(line)
            counts = count(program)
            totals = [total + n for total, n in zip(totals, counts)]
            missing -= 1
            if counts[1]:
                show_failed(program)
            elif counts[2]:
                show_skipped(program)
    if missing > 0:  # the run itself broke
        print(f"--- {missing} test programs did not run", file=sys.stderr)
        totals[1] += missing
    print(*totals)


main()
