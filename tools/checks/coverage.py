#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Sums what gcovr saw, outside assertions: lines and branches of each folder of src, and of all.

usage: coverage.py REPORT.json LINES BRANCHES [--missing]; or coverage.py --self-test

REPORT is gcovr's JSON, with paths from the project's root, where this is run. LINES and BRANCHES are the percentages below
which the exit code is 1. --missing names what is not covered. An assertion is left out with all its lines: a branch of it
that is taken is a defect, and what only it looks at is not there in a release.
"""
import json
import os
import re
import sys

ASSERT = re.compile(r"(?<![A-Za-z0-9_])(?:static_)?assert\(")
LITERAL = re.compile(r'"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])+\'|/\*.*?\*/|//[^\n]*', re.DOTALL)


def blank(literal):
    return re.sub(r"[^\n]", " ", literal.group())


def assertion_lines(text):
    """The numbers, from 1 on, of all lines that an assertion is on."""
    code = LITERAL.sub(blank, text)
    lines = set()
    for start in ASSERT.finditer(code):
        depth, end = 1, start.end()
        while depth > 0 and end < len(code):
            depth += {"(": 1, ")": -1}.get(code[end], 0)
            end += 1
        lines.update(range(code.count("\n", 0, start.start()) + 1, code.count("\n", 0, end) + 2))
    return lines


class Sum:
    def __init__(self):
        self.lines = self.lines_hit = self.branches = self.branches_hit = 0

    def add(self, line):
        hits = [branch["count"] > 0 for branch in line["branches"]]
        self.lines += 1
        self.lines_hit += line["count"] > 0
        self.branches += len(hits)
        self.branches_hit += sum(hits)

    def percent(self):
        return share(self.lines_hit, self.lines), share(self.branches_hit, self.branches)

    def row(self, name):
        lines, branches = self.percent()
        return (f"{name:<16} {lines:6.2f}% of {self.lines:5} lines  "
                f"{branches:6.2f}% of {self.branches:5} branches")


def share(part, whole):
    return 100.0 * part / whole if whole else 100.0


def counted(file, text):
    """Its lines, without those of assertions."""
    asserted = assertion_lines(text)
    return [line for line in file["lines"]
            if line["line_number"] not in asserted and not line.get("gcovr/noncode")]


def tell_missing(path, text, lines):
    source = text.splitlines()
    for line in lines:
        hits = [branch["count"] > 0 for branch in line["branches"]]
        number = line["line_number"]
        if line["count"] == 0 or not all(hits):
            what = "line" if line["count"] == 0 else f"{hits.count(False)} of {len(hits)} branches"
            print(f"{path}:{number}: {what}: {source[number - 1].strip()}")


def summarize(report, lines_min, branches_min, missing):
    folders, whole = {}, Sum()
    for file in sorted(report["files"], key=lambda file: file["file"]):
        path = file["file"]
        if not path.startswith("src/"):
            continue
        with open(path, encoding="utf-8") as source:
            text = source.read()
        lines = counted(file, text)
        if missing:
            tell_missing(path, text, lines)
        for line in lines:
            folders.setdefault(os.path.dirname(path), Sum()).add(line)
            whole.add(line)
    for name, folder in sorted(folders.items()):
        print(folder.row(name))
    print(whole.row("all"))
    if whole.lines == 0:
        print("nothing was measured")
        return 1
    lines, branches = whole.percent()
    below = [f"{what} are below {least:g}%" for what, got, least in
             (("lines", lines, lines_min), ("branches", branches, branches_min)) if got < least]
    print(*below, sep="\n", end="\n" if below else "")
    return 1 if below else 0


def self_test():
    text = 'a();\nassert(x == \')\' &&\n  "(" /* ( */);\nb();\nmy_assert(c);\nif (d) assert(e); // (\nf();\n'
    assert assertion_lines(text) == {2, 3, 6}, assertion_lines(text)
    whole = Sum()
    file = {"lines": [
        {"line_number": 1, "count": 4, "branches": [{"count": 4}, {"count": 0}]},
        {"line_number": 2, "count": 4, "branches": [{"count": 0}, {"count": 0}]},
        {"line_number": 4, "count": 0, "branches": []},
        {"line_number": 7, "count": 3, "branches": [], "gcovr/noncode": True},
    ]}
    for line in counted(file, text):
        whole.add(line)
    assert whole.percent() == (50.0, 50.0), whole.percent()
    assert Sum().percent() == (100.0, 100.0)
    assert share(95, 100) == 95.0 and share(0, 0) == 100.0


def main(arguments):
    if arguments == ["--self-test"]:
        self_test()
        return 0
    with open(arguments[0], encoding="utf-8") as file:
        report = json.load(file)
    return summarize(report, float(arguments[1]), float(arguments[2]), "--missing" in arguments[3:])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
