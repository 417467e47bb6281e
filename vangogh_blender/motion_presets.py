"""Presets of the motion, in Blender's own way: some of ours, and those that the user keeps."""

from __future__ import annotations

import bpy
from bl_operators.presets import AddPresetBase
from bl_ui.utils import PresetPanel

from . import versions
from .installation import core_root

# Under `presets/` of our package, and of the user's scripts.
FOLDER = "vangogh/motion"
# What one keeps; the parts of one video, and where a face is in it, are no matter of taste.
VALUES = ("motion", "strength", "adapt_scale", "reference_frame", "smooth", "loop", "use_scene_fps")


class VANGOGH_PT_presets(PresetPanel, bpy.types.Panel):
    bl_label = "Motion Presets"
    preset_subdir = FOLDER
    preset_operator = "script.execute_preset"
    preset_add_operator = "vangogh.preset_add"


class VANGOGH_OT_preset_add(AddPresetBase, bpy.types.Operator):
    """Keep the settings of the motion under a name, or remove one that was kept"""

    bl_idname = "vangogh.preset_add"
    bl_label = "Add Motion Preset"
    preset_menu = "VANGOGH_PT_presets"
    preset_subdir = FOLDER
    preset_defines = ["settings = bpy.context.scene.vangogh"]
    preset_values = [f"settings.{name}" for name in VALUES]


classes = (VANGOGH_PT_presets, VANGOGH_OT_preset_add)


def register() -> None:
    versions.register_presets(core_root() / "vangogh_blender")


def unregister() -> None:
    versions.unregister_presets(core_root() / "vangogh_blender")
