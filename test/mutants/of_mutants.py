# SPDX-License-Identifier: MIT
"""tools/mutants itself, on a project of a few lines: what is caught, what is not, and what is wrong with a list.

usage: of_mutants.py TOOLS_FOLDER. Prints TAP.
"""
import os
import re
import subprocess
import sys
import tempfile

FILES = {
    "meson.build": """project('small', 'c')
foreach name : ['sums', 'products']
  test(name, executable(name, name + '.c', 'numbers.c'), suite: 'unit', timeout: 5)
endforeach
""",
    "meson_options.txt": "option('tests', type: 'feature')\noption('tool', type: 'feature')\n",
    "numbers.c": """int sum(int a, int b); int product(int a, int b); int unused(int a);
int sum(int a, int b) { return a + b; }
int product(int a, int b) { int all = 0; while (b-- > 0) all += a; return all; }
int unused(int a) { return -a; }
""",
    "sums.c": "int sum(int, int); int main(void) { return sum(2, 3) != 5; }\n",
    "products.c": "int product(int, int); int main(void) { return product(2, 3) != 6; }\n",
}
ENTRIES = {
    "wrong-sum": ("sums", "-a + b;\n+a - b;"),
    "wrong-product": ("sums", "-all += a;\n+all = a;"),
    "endless": ("products", "-b-- > 0\n+b > 0 || a"),
    "dead": ("sums products", "-return -a;\n+return a;"),
    "unbuilt": ("sums", "-int all = 0;\n+int al = 0;"),
}


def write(root, names, more=""):
    os.makedirs(os.path.join(root, "test", "mutants"), exist_ok=True)
    for path, text in FILES.items():
        with open(os.path.join(root, path), "w", encoding="utf-8") as file:
            file.write(text)
    with open(os.path.join(root, "test", "mutants", "all.mutants"), "w", encoding="utf-8") as file:
        for name in names:
            tests, text = ENTRIES[name]
            file.write(f"mutant {name}\nwhy it is wrong\nin numbers.c\nby {tests}\n{text}\n\n")
        file.write(more)


def run(tools, root, *arguments):
    done = subprocess.run([os.path.join(tools, "mutants"), "--root", root, "--slack", "1", *arguments], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    return done.returncode, done.stdout


def finds(output, *patterns):
    return all(re.search(pattern, output, re.MULTILINE) for pattern in patterns)


def cases(tools, root):
    write(root, ["wrong-sum", "wrong-product", "endless"])
    code, output = run(tools, root, "--jobs", "1")
    yield "all that is caught is told with its test", output, code == 0 and finds(
        output, r"^caught wrong-sum by sums \(", r"^caught wrong-product by products .*, which its entry does not name",
        r"^caught endless by products .*, which hung", r"^ +3  by unit", r"^3 planted, 3 caught \(1 by a test that hung\), 0 not")
    code, output = run(tools, root, "--named", "wrong-product")
    yield "with --named no other test is run", output, code == 1 and finds(output, r"^SURVIVED wrong-product")
    with open(os.path.join(root, "numbers.c"), encoding="utf-8") as file:
        yield "the tree is as it was", "", file.read() == FILES["numbers.c"]
    code, output = run(tools, root, "--sample", "1", "--seed", "7")
    again = run(tools, root, "--sample", "1", "--seed", "7")
    yield "a seed is a sample", output, code == 0 and finds(output, r"^1 of 3 mutants") and re.findall(
        "caught ([a-z-]+)", output) == re.findall("caught ([a-z-]+)", again[1])
    write(root, ["dead", "unbuilt", "wrong-sum"])
    code, output = run(tools, root)
    yield "what nothing catches survives, and what cannot be built is broken", output, code == 1 and finds(
        output, r"^SURVIVED dead", r"^BROKEN unbuilt", r"^caught wrong-sum", r"^3 planted, 1 caught .*, 2 not",
        r"^not caught: dead unbuilt$")
    wrong = {
        "a text that is not there": "mutant a\nwhy b\nin numbers.c\nby sums\n-c + d\n+d\n",
        "a text that is there twice": "mutant a\nwhy b\nin numbers.c\nby sums\n-return\n+d\n",
        "a file that is not there": "mutant a\nwhy b\nin letters.c\nby sums\n-a\n+d\n",
        "an entry without a test": "mutant a\nwhy b\nin numbers.c\n-a + b;\n+d\n",
        "a name for the second time": "mutant wrong-sum\nwhy b\nin numbers.c\nby sums\n-a + b;\n+d\n",
    }
    for name, entry in wrong.items():
        write(root, ["wrong-sum"], entry)
        code, output = run(tools, root, "--match")
        yield f"{name} is an error", output, code == 1 and finds(output, r"^test/mutants/all.mutants:\d+: ")
    write(root, ["wrong-sum"], "mutant a\nwhy b\nin numbers.c\nby guesses\n-a + b;\n+d\n")
    code, output = run(tools, root, "wrong-sum")
    yield "a test that there is not is an error", output, code == 1 and finds(output, "no test guesses")
    write(root, ["wrong-sum"])
    code, output = run(tools, root, "--match")
    yield "a list that fits is none", output, code == 0 and finds(output, "^1 mutants fit")


def main():
    bad = 0
    number = 0
    with tempfile.TemporaryDirectory() as root:
        for number, (name, output, holds) in enumerate(cases(sys.argv[1], root), 1):
            bad += not holds
            print(f"{'ok' if holds else 'not ok'} {number} - {name}")
            if not holds:
                print("\n".join("# " + line for line in output.splitlines()))
    print(f"1..{number}")
    return bad > 0


if __name__ == "__main__":
    sys.exit(main())
