"""The add-on's texts in other languages: a JSON file for each, by Blender's name of it, from English to its own.

Blender translates names, tooltips and labels itself; what is not in a file stays English.
"""

from __future__ import annotations

import json
from pathlib import Path

import bpy

# Blender looks up an operator's name under the second, everything else under the first.
CONTEXTS = ("*", "Operator")


def texts() -> dict[str, dict[tuple[str, str], str]]:
    """All languages as Blender takes them: language -> (context, English) -> text."""
    found = {}
    for file in sorted(Path(__file__).parent.glob("*.json")):
        language = json.loads(file.read_text(encoding="utf-8"))
        found[file.stem] = {
            (context, text): other for text, other in language.items() for context in CONTEXTS
        }
    return found


def register() -> None:
    bpy.app.translations.register(__package__, texts())


def unregister() -> None:
    bpy.app.translations.unregister(__package__)
