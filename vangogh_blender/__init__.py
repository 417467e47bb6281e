"""The Blender side. Importing this package needs no bpy, so that its pure modules run under any Python."""

from __future__ import annotations


def register() -> None:
    """Register everything; called by Blender when the extension is switched on."""
    from . import registration

    registration.register()


def unregister() -> None:
    """Undo `register` and stop the worker; called by Blender when the extension is switched off."""
    from . import registration

    registration.unregister()
