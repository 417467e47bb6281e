"""Whether a scene shows paintings in their own colours."""

from __future__ import annotations

import bpy

OWN_COLORS = ("Standard", "Raw")  # AgX and Filmic compress them; Raw is for data, and chosen knowingly


def advice(scene: bpy.types.Scene) -> str:
    """What alters the paintings' colours in this scene, and what to do, as a sentence; empty where nothing does."""
    view = scene.view_settings
    if view.view_transform in OWN_COLORS and view.look == "None":
        return ""
    what = view.view_transform if view.view_transform not in OWN_COLORS else f"The look {view.look}"
    return f"{what} changes a painting's colours; the view transform Standard keeps them."


def use_standard(scene: bpy.types.Scene) -> None:
    """The view transform Standard, without a look. Exposure and gamma stay as they are."""
    scene.view_settings.view_transform = OWN_COLORS[0]
    scene.view_settings.look = "None"
