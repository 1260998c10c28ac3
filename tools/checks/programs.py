#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The test programs of some suites of a build folder, as ninja names them: programs.py FOLDER SUITE..."""
import json
import os
import subprocess
import sys


def main(folder, suites):
    text = subprocess.run(
        ["meson", "introspect", folder, "--tests"], check=True, capture_output=True
    ).stdout
    wanted = set(suites)
    programs = set()
    for test in json.loads(text):
        names = {suite.split(":")[-1] for suite in test["suite"]}
        if names & wanted:
            programs.add(os.path.relpath(test["cmd"][0], folder))
    print("\n".join(sorted(programs)))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
