"""What differs between Blender 4.2 and the newest: the one place that knows. All else is written for the newest.

Blender is asked what it can, not which number it has: the number of an alpha, or of a distribution's own build,
does not tell.
"""

from __future__ import annotations

from pathlib import Path

import bpy

# Options of a path's property, for a field that takes paths relative to the .blend (//…) too. Since 4.5 that has to
# be said; before, every field took them and did not know the option.
RELATIVE_PATH = (
    {"PATH_SUPPORTS_BLEND_RELATIVE"}
    if "is_path_supports_blend_relative" in bpy.types.Property.bl_rna.properties
    else set()
)

# Where a strip lies in time, by the names that Blender 5.2 gave to it: it warns of the earlier ones.
_EARLIER_NAMES = {
    "content_start": "frame_start",
    "left_handle": "frame_final_start",
    "right_handle": "frame_final_end",
}


def register_presets(folder: Path) -> None:
    """Have Blender look for presets in `folder`/presets. Before 4.3 it knew its own and the user's alone."""
    if hasattr(bpy.utils, "register_preset_path"):
        bpy.utils.register_preset_path(str(folder))


def unregister_presets(folder: Path) -> None:
    """Undo `register_presets`."""
    if hasattr(bpy.utils, "unregister_preset_path"):
        bpy.utils.unregister_preset_path(str(folder))


def node_tree(owner: bpy.types.Material | bpy.types.World) -> bpy.types.ShaderNodeTree:
    """The shader nodes of a new material or world. Since 5.0 they are there, and it warns of switching them on."""
    if owner.node_tree is None:
        owner.use_nodes = True
    return owner.node_tree


def file_paths() -> dict[bpy.types.ID, set[str]]:
    """The files outside of the .blend that each datablock names.

    Before 4.4 Blender does not tell: there it is what a datablock itself, its modifiers and its strips name.
    """
    if hasattr(bpy.data, "file_path_map"):
        return bpy.data.file_path_map()
    found = {}
    for block in bpy.data.user_map():
        if getattr(block, "packed_file", None):
            continue
        editor = getattr(block, "sequence_editor", None)
        parts = [block, *getattr(block, "modifiers", ()), *(strips(editor) if editor else ())]
        paths = {
            getattr(part, field.identifier)
            for part in parts
            for field in part.bl_rna.properties
            if field.type == "STRING" and field.subtype == "FILE_PATH"
        }
        if paths := paths - {""}:
            found[block] = paths
    return found


def strips(editor: bpy.types.SequenceEditor) -> bpy.types.bpy_prop_collection:
    """The top-level strips of a sequencer, which before 4.4 were called sequences."""
    return editor.strips if hasattr(editor, "strips") else editor.sequences


def strip_frame(strip: bpy.types.Strip, name: str) -> int:
    """A frame of the scene, by Blender 5.2's name for it.

    Args:
        name: `content_start`, where the strip's file begins; `left_handle` and `right_handle`, where what is taken
            of it begins and ends.
    """
    return round(getattr(strip, _name(strip, name)))


def set_strip_frame(strip: bpy.types.Strip, name: str, frame: int) -> None:
    """Set one of the frames of `strip_frame`."""
    setattr(strip, _name(strip, name), frame)


def _name(strip: bpy.types.Strip, name: str) -> str:
    return name if hasattr(strip, name) else _EARLIER_NAMES[name]


def set_modifier_input(modifier: bpy.types.NodesModifier, name: str, value: object) -> None:
    """Set what the panel of a Geometry Nodes modifier shows as `name`: a number, or the name of a menu's item.

    Since 5.2 inputs are properties; before, custom properties, a menu's item by its number.
    """
    item = _input(modifier, name)
    if hasattr(modifier, "properties"):
        getattr(modifier.properties.inputs, item.identifier).value = value
    else:
        if item.socket_type == "NodeSocketMenu":
            value = _menu(modifier, name).index(value)
        modifier[item.identifier] = value
    modifier.id_data.update_tag()


def modifier_input(modifier: bpy.types.NodesModifier, name: str) -> object:
    """What `set_modifier_input` set."""
    item = _input(modifier, name)
    if hasattr(modifier, "properties"):
        return getattr(modifier.properties.inputs, item.identifier).value
    value = modifier[item.identifier]
    return _menu(modifier, name)[value] if item.socket_type == "NodeSocketMenu" else value


def _input(modifier: bpy.types.NodesModifier, name: str) -> bpy.types.NodeTreeInterfaceSocket:
    return modifier.node_group.interface.items_tree[name]


def _menu(modifier: bpy.types.NodesModifier, name: str) -> list[str]:
    """A menu's items, by the switch that it works: each at its number, as long as none was taken away."""
    switch = next(
        link.to_node
        for link in modifier.node_group.links
        if link.from_socket.name == name and link.to_node.bl_idname == "GeometryNodeMenuSwitch"
    )
    return [item.name for item in switch.enum_items]
