"""The painting from what is selected."""

from __future__ import annotations

import bpy

from .. import showing


def painting_of(target: bpy.types.Object) -> bpy.types.Image | None:
    """The image that `target` shows, active material and node first; of frames, the painting they are made from."""
    materials = [target.active_material, *(slot.material for slot in target.material_slots)]
    for material in materials:
        if material is None or material.node_tree is None:
            continue
        nodes = material.node_tree.nodes
        for node in (nodes.active, *nodes):
            if node is not None and node.type == "TEX_IMAGE" and node.image:
                return bpy.data.images.get(node.image.get(showing.MADE_FROM, "")) or node.image
    return None


class VANGOGH_OT_painting_from_object(bpy.types.Operator):
    """Take the image texture of the active object as the painting"""

    bl_idname = "vangogh.painting_from_object"
    bl_label = "From Active Object"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if context.object is None or painting_of(context.object) is None:
            cls.poll_message_set("Select an object with an image texture")
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:
        image = painting_of(context.object)
        context.scene.vangogh.painting = image
        self.report({"INFO"}, f"The painting is {image.name}")
        return {"FINISHED"}


classes = (VANGOGH_OT_painting_from_object,)
