"""docs/troubleshooting.md has a section for each kind of error, and quotes only what the code says."""

import ast
import re
from pathlib import Path

from fomm_core.errors import KINDS

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
SOURCES = [
    path for folder in ("fomm_core", "vangogh_blender") for path in sorted((ROOT / folder).rglob("*.py"))
]
SHORTEST = 8  # letters of a quotation that can be looked up


def strings(tree):
    """Every text in the code; in place of a value that is filled in stands "…"."""
    within = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(part.value if isinstance(part, ast.Constant) else "…" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in within:
            yield re.sub(r"\{\w+\}", "…", node.value)


def kinds_raised():
    """The first argument of each `UserError(…)` that is written there as a word, and where."""
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            called = node.func if isinstance(node, ast.Call) else None
            name = getattr(called, "id", getattr(called, "attr", ""))
            if name == "UserError" and node.args and isinstance(node.args[0], ast.Constant):
                yield node.args[0].value, f"{path.relative_to(ROOT)}:{node.lineno}"


def quotations():
    """The pieces of sentences in the first column of the page's tables."""
    for line in PAGE.splitlines():
        if line.startswith("| ") and not line.startswith("| it says"):
            cell = line.split(" | ")[0].removeprefix("| ")
            for sentence in cell.split(" · "):
                yield from (
                    piece.strip(" ;") for piece in sentence.split("…") if len(piece.strip(" ;")) >= SHORTEST
                )


def test_each_kind_has_a_section():
    headings = re.findall(r"^## .*\(`(\w+)`\)$", PAGE, re.M)
    assert sorted(headings) == sorted(KINDS)
    unknown = [f"{where}: {kind}" for kind, where in kinds_raised() if kind not in headings]
    assert not unknown


def test_what_is_quoted_is_what_the_code_says():
    said = [text for path in SOURCES for text in strings(ast.parse(path.read_text(encoding="utf-8")))]
    stale = [piece for piece in quotations() if not any(piece in text for text in said)]
    assert not stale
