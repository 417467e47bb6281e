"""The pages: links that lead somewhere, and names of commands, options, operators and settings that there are."""

import ast
import dataclasses
import re
from pathlib import Path

import pytest

from fomm_core import api, cli, protocol

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
SCRIPTING = (ROOT / "docs" / "scripting.md").read_text(encoding="utf-8")
NOTEBOOK = ROOT / "examples" / "says_hello.ipynb"


def anchors(page):
    """What GitHub calls a page's headings."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", [*PAGES, NOTEBOOK], ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert not broken


def operators():
    for path in sorted((ROOT / "vangogh_blender" / "operators").glob("*.py")):
        yield from re.findall(r'bl_idname = "vangogh\.(\w+)"', path.read_text(encoding="utf-8"))


def test_every_operator_is_in_the_page_and_no_other():
    named = set(re.findall(r"`(?:bpy\.ops\.vangogh\.)?(\w+)\(", SCRIPTING)) | {"animate"}
    known = set(operators())
    assert known <= named
    assert set(re.findall(r"bpy\.ops\.vangogh\.(\w+)", SCRIPTING)) <= known


def test_every_setting_of_animate_is_in_the_page():
    tree = ast.parse((ROOT / "vangogh_blender" / "properties.py").read_text(encoding="utf-8"))
    (settings,) = (
        node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "JobSettings"
    )
    names = [item.target.id for item in settings.body if isinstance(item, ast.AnnAssign)]
    assert names
    assert not [name for name in names if f"`{name}`" not in SCRIPTING]


def test_the_commands_are_there():
    commands = next(
        action for action in cli.parser()._actions if hasattr(action, "choices") and action.choices
    )
    assert not [name for name in commands.choices if f"`{name}" not in SCRIPTING]


def test_what_the_page_says_of_the_api_is_there():
    for name in re.findall(r"api\.(\w+)", SCRIPTING):
        assert hasattr(api, name) or name == "api"
    known = {field.name for field in dataclasses.fields(protocol.Job)} | {"report", "load", "stop", "first"}
    for call in re.findall(r"api\.(?:animate|prepare)\(([^)]*)\)", SCRIPTING):
        assert set(re.findall(r"(\w+)=", call)) <= known
