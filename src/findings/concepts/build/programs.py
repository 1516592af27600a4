"""Breaks working Python programs in one place and runs their tests: which mutants fail, and with which error; which rewritten ones still pass.

Run by code-errors.ts when the labelled texts are made, never by Monoscope itself:

    PYTHONHASHSEED=0 python3 programs.py < HumanEval.jsonl > programs.jsonl

Reads tasks of HumanEval, one a line, and writes one line a program: {"task", "kind", "edit": "none" | "mutant" | "rewrite", "text", "error"}.
"""

import ast
import hashlib
import json
import os
import random
import re
import resource
import sys
import tempfile

LINES = 2_000_000  # that a program and its tests may run: counted, so that fast and slow machines keep the same programs
SECONDS = 20  # of the processor, for what runs no lines
BYTES = 1 << 30
MAX_CHARACTERS = 850  # some 250 tokens
MAX_DOCSTRING = 330  # whole sentences, if they end before
EACH = 2  # mutants, and rewrites, that are kept of a task and kind
TRIES = 12

ERRORS = {
    "name-error": {"NameError", "UnboundLocalError"},
    "division-by-zero": {"ZeroDivisionError"},
    "off-by-one": {"AssertionError", "IndexError"},
    "type-error": {"TypeError"},
    "wrong-operator": {"AssertionError"},
}


class TooLong(BaseException):
    pass


def counting(lines):
    """A trace function that ends a program after so many lines."""

    def trace(frame, event, argument):
        nonlocal lines
        lines -= 1
        if lines < 0:
            raise TooLong
        return trace

    return trace


def run(program, task):
    """The name of the error that the program's tests end with; "" where they pass, "TooLong" or "killed" where they do not end."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
        resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES))
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
        quiet = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(quiet, stream)
        sys.setrecursionlimit(2000)
        random.seed(0)  # some tests draw what they try
        said = ""
        try:
            scope = {"__name__": "program"}
            sys.settrace(counting(LINES))
            exec(compile(program, "program.py", "exec"), scope)
            exec(compile(task["test"], "test.py", "exec"), scope)
            scope["check"](scope[task["entry_point"]])
        except BaseException as error:
            said = type(error).__name__
        sys.settrace(None)
        os.write(writing, said.encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as answer:
        said = answer.read().decode()
    _, status = os.waitpid(child, 0)
    return said if status == 0 else "killed"


def shortened(prompt):
    """The prompt with its docstring cut before the examples."""

    def cut(match):
        body = re.split(r">>>|\n\s*\n|\b(?:For )?[Ee]xamples?\b|\bConstraints\b|\bNote\b|==>?|\be\.g\.|\b[Ii]t must be implemented", match.group(2))[0]
        body = " ".join(body.split())
        if len(body) > MAX_DOCSTRING and ". " in body[:MAX_DOCSTRING]:
            body = body[:MAX_DOCSTRING].rsplit(". ", 1)[0] + "."
        return f'{match.group(1)}"""{body}"""'

    # The last docstring is the task's own; helpers before it have theirs.
    start = max(prompt.rfind('"""', 0, prompt.rstrip().rfind('"""')), prompt.rfind("'''", 0, prompt.rstrip().rfind("'''")))
    if start < 0:
        return prompt
    return prompt[:start] + re.sub(r'()(?:"""|\'\'\')(.*?)(?:"""|\'\'\')', cut, prompt[start:], flags=re.S)


class Edits:
    """Everything that can be changed in the solution, as (start, end, replacement) of the text."""

    def __init__(self, program, first_line):
        self.program = program
        lines = program.split("\n")
        self.starts = [0]
        for line in lines:
            self.starts.append(self.starts[-1] + len(line) + 1)
        self.tree = ast.parse(program)
        self.nodes = [node for node in ast.walk(self.tree) if getattr(node, "lineno", 0) >= first_line]
        self.nodes.sort(key=lambda node: (node.lineno, node.col_offset, type(node).__name__))

    def at(self, node):
        return self.starts[node.lineno - 1] + node.col_offset, self.starts[node.end_lineno - 1] + node.end_col_offset

    def text(self, node):
        start, end = self.at(node)
        return self.program[start:end]

    def between(self, left, right, old, new):
        """The operator between two nodes replaced."""
        start, end = self.at(left)[1], self.at(right)[0]
        gap = self.program[start:end]
        if gap.count(old) != 1:
            return []
        return [[(start, end, gap.replace(old, new))]]

    def replace(self, node, text):
        return [[(*self.at(node), text)]]

    def locals(self):
        names = {}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.arg):
                names.setdefault(node.arg, [])
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                names.setdefault(node.id, [])
        return names

    def apply(self, edit):
        text = self.program
        for start, end, new in sorted(edit, reverse=True):
            text = text[:start] + new + text[end:]
        return text


OPERATORS = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.FloorDiv: "//", ast.Mod: "%"}
COMPARISONS = {ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.In: "in", ast.NotIn: "not in"}
MIRROR = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "==": "==", "!=": "!="}
HABITS = {"len": "length", "range": "xrange", "str": "string", "True": "true", "False": "false", "None": "null", "sorted": "sort", "int": "integer", "max": "maximum", "min": "minimum", "abs": "absolute"}


def compares(e):
    for node in e.nodes:
        if isinstance(node, ast.Compare) and len(node.ops) == 1:
            yield node, node.left, COMPARISONS.get(type(node.ops[0])), node.comparators[0]


def is_range(node):
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "range" and not node.keywords


def integers(e):
    return [n for n in e.nodes if isinstance(n, ast.Constant) and type(n.value) is int]


def name_error(e):
    mutants, rewrites = [], []
    names = e.locals()
    taken = set(names) | {n.id for n in ast.walk(e.tree) if isinstance(n, ast.Name)}
    for node in e.nodes:
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in names:
            for other in (node.id + "s", node.id[:-1], node.id + "_", node.id.capitalize(), node.id.replace("_", "")):
                if other.isidentifier() and other not in taken and other != node.id and len(other) > 1:
                    mutants += e.replace(node, other)
        if isinstance(node, ast.Name) and node.id in HABITS and node.id not in names:
            mutants += e.replace(node, HABITS[node.id])
        if isinstance(node, ast.Constant) and str(node.value) in HABITS and not isinstance(node.value, str):
            mutants += e.replace(node, HABITS[str(node.value)])
    for name in names:
        uses = [n for n in ast.walk(e.tree) if isinstance(n, ast.Name) and n.id == name]
        args = [n for n in ast.walk(e.tree) if isinstance(n, ast.arg) and n.arg == name]
        if args:
            continue  # an argument has its name in the signature, with a type after it
        for other in (name + "s", name + "_", name.capitalize(), name + name[-1]):
            if other not in taken and other.isidentifier():
                rewrites.append([(*e.at(n), other) for n in uses])
    return mutants, rewrites


def division_by_zero(e):
    mutants, rewrites = [], []
    divisors = []
    for node in e.nodes:
        if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Div, ast.FloorDiv, ast.Mod)):
            divisors.append(node.right)
            text = e.text(node.right)
            if isinstance(node.right, ast.Constant) and type(node.right.value) is int:
                mutants += e.replace(node.right, "0")
                rewrites += e.replace(node.right, f"({text} + 0)")
                rewrites += e.replace(node.left, f"({e.text(node.left)} + 0)")
            else:
                mutants += e.replace(node.right, f"({text} - {text})")
                mutants += e.replace(node.right, f"(0 * {text})")
                rewrites += e.replace(node.right, f"({text} - 0)")
                rewrites += e.replace(node.right, f"(1 * {text})")
        if isinstance(node, ast.AugAssign) and isinstance(node.op, (ast.Div, ast.FloorDiv, ast.Mod)):
            divisors.append(node.value)
            mutants += e.replace(node.value, "0")
            rewrites += e.replace(node.value, f"({e.text(node.value)} - 0)")
    used = {n.id for d in divisors for n in ast.walk(d) if isinstance(n, ast.Name)}
    for node in e.nodes:
        if isinstance(node, (ast.For, ast.comprehension)) and isinstance(node.target, ast.Name) and node.target.id in used and is_range(node.iter):
            if len(node.iter.args) >= 2:
                mutants += e.replace(node.iter.args[0], "0") * 3
                if len(node.iter.args) == 2:
                    rewrites += e.replace(node.iter.args[1], f"{e.text(node.iter.args[1])}, 1")
                rewrites += e.replace(node.iter.args[0], f"0 + {e.text(node.iter.args[0])}")
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id in used:
            mutants += e.replace(node.value, "0") * 2
        if isinstance(node, ast.If) and not node.orelse and divisors and len(node.body) == 1 and isinstance(node.body[0], ast.Return):
            start, end = e.at(node)
            begin = e.program.rfind("\n", 0, start)
            mutants += [[(begin, end, "")]] * 2
    return mutants, rewrites


def off_by_one(e):
    mutants, rewrites = [], []
    for node in e.nodes:
        if is_range(node):
            args = node.args
            last = args[0] if len(args) == 1 else args[1]
            text = e.text(last)
            mutants += e.replace(last, f"{text} + 1") + e.replace(last, f"{text} - 1")
            if text.endswith(" + 1"):
                mutants += e.replace(last, text[:-4]) * 3
                rewrites += e.replace(last, f"1 + {text[:-4]}")
            if text.endswith(" - 1"):
                mutants += e.replace(last, text[:-4]) * 3
            if len(args) == 1:
                mutants += e.replace(last, f"1, {text}") * 2
                rewrites += e.replace(last, f"0, {text}") * 2
            else:
                mutants += e.replace(args[0], "1" if e.text(args[0]) == "0" else f"{e.text(args[0])} + 1")
                rewrites += e.replace(last, f"{text} + 1 - 1")
            rewrites += e.replace(last, f"{text} - 1 + 1")
        if isinstance(node, ast.Slice):
            for bound in (node.lower, node.upper):
                if bound is not None:
                    text = e.text(bound)
                    mutants += e.replace(bound, f"{text} + 1") + e.replace(bound, f"{text} - 1")
                    rewrites += e.replace(bound, f"{text} + 1 - 1")
        if isinstance(node, ast.Subscript) and not isinstance(node.slice, ast.Slice):
            text = e.text(node.slice)
            if not isinstance(node.slice, ast.Constant) or type(node.slice.value) is int:
                mutants += e.replace(node.slice, f"{text} + 1")
                rewrites += e.replace(node.slice, f"{text} - 1 + 1")
    for node, left, op, right in compares(e):
        if op in ("<", "<=", ">", ">="):
            mutants += e.between(left, right, op, op.rstrip("=") if op.endswith("=") else op + "=") * 3
            rewrites += e.replace(node, f"{e.text(right)} {MIRROR[op]} {e.text(left)}") * 2
    return mutants, rewrites


def type_error(e):
    mutants, rewrites = [], []
    for node in e.nodes:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and len(node.args) == 1 and not node.keywords:
            inner = e.text(node.args[0])
            if node.func.id in ("str", "int", "len", "float", "list", "set", "sum"):
                mutants += e.replace(node, inner) * 2
            if node.func.id in ("str", "int", "float", "list", "set"):
                rewrites += e.replace(node, f"{node.func.id}({e.text(node)})")
            if node.func.id == "len":
                rewrites += e.replace(node.args[0], f"list({inner})") + e.replace(node, f"int({e.text(node)})")
                mutants += e.replace(node, f"str({e.text(node)})")
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            mutants += e.replace(node.right, f"str({e.text(node.right)})") + e.replace(node.right, f"[{e.text(node.right)}]")
        if isinstance(node, ast.List) and not node.elts:
            rewrites += e.replace(node, "list()")
            mutants += e.replace(node, "None")
        if isinstance(node, ast.Call) and not node.args and isinstance(node.func, ast.Attribute):
            mutants += e.replace(node, f"{e.text(node)}()")
    for node in integers(e):
        mutants += e.replace(node, f'"{node.value}"')
        rewrites += e.replace(node, f'int("{node.value}")')
    return mutants, rewrites


SWAP = {"+": "-", "-": "+", "*": "+", "//": "*", "/": "*", "%": "//"}
TURN = {"==": "!=", "!=": "==", "<": ">", ">": "<", "<=": ">", ">=": "<", "in": "not in", "not in": "in"}


def wrong_operator(e):
    mutants, rewrites = [], []
    for node in e.nodes:
        if isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
            op = OPERATORS[type(node.op)]
            mutants += e.between(node.left, node.right, op, SWAP[op])
            if op in "+*":
                rewrites += e.replace(node, f"{e.text(node.right)} {op} {e.text(node.left)}")
        if isinstance(node, ast.BoolOp):
            old, new = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
            mutants += e.between(node.values[0], node.values[1], old, new) * 2
            if len(node.values) == 2:
                rewrites += e.replace(node, f"{e.text(node.values[1])} {old} {e.text(node.values[0])}")
        if isinstance(node, ast.Name) and node.id in ("min", "max", "any", "all"):
            mutants += e.replace(node, {"min": "max", "max": "min", "any": "all", "all": "any"}[node.id])
        if isinstance(node, ast.Constant) and node.value in (True, False) and type(node.value) is bool:
            mutants += e.replace(node, str(not node.value))
            rewrites += e.replace(node, f"not {not node.value}")
        if isinstance(node, ast.AugAssign) and type(node.op) in OPERATORS:
            op = OPERATORS[type(node.op)]
            mutants += e.between(node.target, node.value, op + "=", SWAP[op] + "=")
            rewrites += e.replace(node, f"{e.text(node.target)} = {e.text(node.target)} {op} {e.text(node.value)}")
    for node, left, op, right in compares(e):
        if op in TURN:
            mutants += e.between(left, right, op, TURN[op]) * 2
        if op in MIRROR:
            rewrites += e.replace(node, f"{e.text(right)} {MIRROR[op]} {e.text(left)}") * 2
        if op in TURN:
            rewrites += e.replace(node, f"(not {e.text(left)} {TURN[op]} {e.text(right)})")
    return mutants, rewrites


KINDS = {
    "name-error": name_error,
    "division-by-zero": division_by_zero,
    "off-by-one": off_by_one,
    "type-error": type_error,
    "wrong-operator": wrong_operator,
}


def drawn(edits, key):
    """Each text once, in an order by hashes."""
    return sorted(set(edits), key=lambda text: hashlib.sha256((key + text).encode()).digest())


def programs(task):
    prompt = shortened(task["prompt"])
    original = prompt.strip() + "\n" + task["canonical_solution"].rstrip() + "\n"
    if not original.isascii() or len(original) > MAX_CHARACTERS or run(original, task) != "":
        return
    yield {"kind": "", "edit": "none", "text": original, "error": ""}
    edits = Edits(original, prompt.strip().count("\n") + 2)
    for kind, make in KINDS.items():
        mutants, rewrites = make(edits)
        for edit, candidates in (("mutant", mutants), ("rewrite", rewrites)):
            kept = 0
            for text in drawn((edits.apply(each) for each in candidates), task["task_id"])[:TRIES]:
                if kept == EACH:
                    break
                try:
                    compile(text, "program.py", "exec")
                except SyntaxError:
                    continue
                error = run(text, task)
                if error in (ERRORS[kind] if edit == "mutant" else {""}):
                    kept += 1
                    yield {"kind": kind, "edit": edit, "text": text, "error": error}


def main():
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for line in sys.stdin:
            task = json.loads(line)
            for program in programs(task):
                print(json.dumps({"task": task["task_id"], **program}), flush=True)


if __name__ == "__main__":
    main()
