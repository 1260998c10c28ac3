# SPDX-License-Identifier: MIT
"""The list of planted faults: test/mutants/*.mutants.

An entry, which ends at an empty line:
    mutant NAME
    why REASON          what the code would do wrong
    in PATH             of the source, from the top of the tree
    by TEST...          the tests that should catch it, the likeliest first
    slow                where they take more than a few seconds, so that no sample has it
    -TEXT               what is replaced, in as many lines as it has; the rest of its first and last line stays
    +TEXT               what it is replaced by; without such a line it is dropped
A line that begins with # says something to its reader.
"""
import os
from dataclasses import dataclass, field


class ListError(Exception):
    """What is wrong with the list, as one line."""


@dataclass
class Mutant:
    where: str  # file and line of the list
    name: str
    why: str = ""
    path: str = ""
    tests: list = field(default_factory=list)
    is_slow: bool = False
    old: list = field(default_factory=list)
    new: list = field(default_factory=list)

    def source(self, root):
        try:
            with open(os.path.join(root, self.path), encoding="utf-8") as file:
                return file.read()
        except OSError as error:
            raise ListError(f"{self.where}: {self.name}: {error.strerror}: {self.path}") from error

    def planted(self, root):
        """The source with the fault in it."""
        text = self.source(root)
        old = "\n".join(self.old)
        count = text.count(old)
        if count != 1:
            raise ListError(f"{self.where}: {self.name}: its text is {count} times in {self.path}, not once")
        return text.replace(old, "\n".join(self.new))


def _read_line(mutant, line, where):
    key, _, rest = line.partition(" ")
    if line[0] == "-":
        mutant.old.append(line[1:])
    elif line[0] == "+":
        mutant.new.append(line[1:])
    elif key == "why":
        mutant.why = rest
    elif key == "in":
        mutant.path = rest
    elif key == "by":
        mutant.tests = rest.split()
    elif line == "slow":
        mutant.is_slow = True
    else:
        raise ListError(f"{where}: what is {key!r}?")


def _read_file(path, shown):
    mutants = []
    is_open = False
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file.read().split("\n"), 1):
            where = f"{shown}:{number}"
            if line.startswith("mutant "):
                mutants.append(Mutant(where, line.partition(" ")[2]))
                is_open = True
            elif not line:
                is_open = False
            elif is_open:
                _read_line(mutants[-1], line, where)
            elif line[0] != "#":
                raise ListError(f"{where}: no mutant begins before this")
    return mutants


def read(root):
    """All entries, whole and of different names."""
    folder = os.path.join(root, "test", "mutants")
    mutants = []
    for name in sorted(os.listdir(folder)):
        if name.endswith(".mutants"):
            mutants += _read_file(os.path.join(folder, name), f"test/mutants/{name}")
    names = set()
    for mutant in mutants:
        if not (mutant.why and mutant.path and mutant.tests and mutant.old) or mutant.old == mutant.new:
            raise ListError(f"{mutant.where}: {mutant.name} lacks something")
        if mutant.name in names:
            raise ListError(f"{mutant.where}: a second {mutant.name}")
        names.add(mutant.name)
    return mutants
