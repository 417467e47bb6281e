"""The materials of picture frames and of the gallery, all procedural but the canvas.

Each function returns a material by its name, made on first use: twenty frames share one gilding. The shader nodes
used are the same in Cycles and EEVEE.
"""

from __future__ import annotations

import math

import bpy

from . import versions

Color = tuple[float, float, float]


class Shader:
    """A new material, its Principled BSDF, and short words for adding nodes in front of it."""

    def __init__(
        self, name: str, color: Color, roughness: float, metallic: float = 0.0, specular: float = 0.5
    ):
        self.material = bpy.data.materials.new(name)
        self.tree = versions.node_tree(self.material)
        self.tree.nodes.clear()
        self.bsdf = self.node("BsdfPrincipled", x=0)
        output = self.node("OutputMaterial", x=300)
        self.link(self.bsdf.outputs["BSDF"], output.inputs["Surface"])
        self.material.diffuse_color = (*color, 1.0)
        self.material.roughness = roughness
        self.material.metallic = metallic
        self.set(self.bsdf, {"Base Color": (*color, 1.0), "Roughness": roughness, "Metallic": metallic})
        self.set(self.bsdf, {"Specular IOR Level": specular})

    def node(self, kind: str, x: float = -300, **properties) -> bpy.types.ShaderNode:
        node = self.tree.nodes.new(f"ShaderNode{kind}")
        node.location = (x, -180 * sum(other.location.x == x for other in self.tree.nodes))
        for name, value in properties.items():
            setattr(node, name, value)
        return node

    def set(self, node: bpy.types.ShaderNode, values: dict) -> None:
        for name, value in values.items():
            node.inputs[name].default_value = value

    def link(self, source: bpy.types.NodeSocket, target: bpy.types.NodeSocket | str) -> None:
        """From an output to an input, or to the input of that name of the Principled BSDF."""
        self.tree.links.new(source, self.bsdf.inputs[target] if isinstance(target, str) else target)

    def noise(self, scale: float, detail: float = 2.0, vector=None, x: float = -700) -> bpy.types.NodeSocket:
        noise = self.node("TexNoise", x=x)
        self.set(noise, {"Scale": scale, "Detail": detail})
        if vector is not None:
            self.link(vector, noise.inputs["Vector"])
        return noise.outputs[0]

    def ramp(self, factor, stops: list[tuple[float, Color]], x: float = -350) -> bpy.types.NodeSocket:
        ramp = self.node("ValToRGB", x=x)
        elements = ramp.color_ramp.elements
        while len(elements) < len(stops):
            elements.new(0.5)
        for element, (position, color) in zip(elements, stops, strict=True):
            element.position = position
            element.color = (*color, 1.0)
        self.link(factor, ramp.inputs["Fac"])
        return ramp.outputs["Color"]

    def values(self, factor, low: float, high: float, start: float = 0.0, end: float = 1.0):
        """`factor` from start..end, mapped to low..high and clamped."""
        mapped = self.node("MapRange", x=-350)
        for index, value in enumerate((start, end, low, high), start=1):
            mapped.inputs[index].default_value = value
        self.link(factor, mapped.inputs[0])
        return mapped.outputs[0]

    def mix(self, factor, color, other) -> bpy.types.NodeSocket:
        """From `color` to `other`, each a socket or a colour, by `factor`."""
        mixed = self.node("Mix", x=-150, data_type="RGBA")
        factor_in, first, second = (mixed.inputs[i] for i in (0, 6, 7))  # the sockets of the RGBA type
        self.link(factor, factor_in)
        for source, target in ((color, first), (other, second)):
            if isinstance(source, tuple):
                target.default_value = (*source, 1.0)
            else:
                self.link(source, target)
        return mixed.outputs[2]

    def multiply(self, color, factor) -> bpy.types.NodeSocket:
        """A colour times a grey value, where the value is a colour or a number."""
        scaled = self.node("VectorMath", x=-150, operation="MULTIPLY")
        self.link(color, scaled.inputs[0])
        self.link(factor, scaled.inputs[1])
        return scaled.outputs[0]

    def coordinates(self, kind: str, scale: Color = (1.0, 1.0, 1.0)) -> bpy.types.NodeSocket:
        coordinates = self.node("TexCoord", x=-1100)
        mapping = self.node("Mapping", x=-900)
        self.set(mapping, {"Scale": scale})
        self.link(coordinates.outputs[kind], mapping.inputs["Vector"])
        return mapping.outputs[0]

    def attribute(self, name: str) -> bpy.types.NodeSocket:
        """The number that the mesh's attribute `name` has there."""
        return self.node("Attribute", x=-700, attribute_name=name).outputs["Fac"]

    def bump(self, height, strength, distance: float, below=None) -> bpy.types.NodeSocket:
        """The normal where `height` lifts the surface, `distance` at most, on top of the normal `below`."""
        bump = self.node("Bump", x=-200)
        self.set(bump, {"Distance": distance})
        self.link(height, bump.inputs["Height"])
        if below is not None:
            self.link(below, bump.inputs["Normal"])
        if isinstance(strength, float):
            self.set(bump, {"Strength": strength})
        else:
            self.link(strength, bump.inputs["Strength"])
        self.link(bump.outputs["Normal"], "Normal")
        return bump.outputs["Normal"]

    def threads(self, where, direction: str, pitch: float) -> bpy.types.NodeSocket:
        """Threads `pitch` apart, each a wave from 0 to 1, one after the other along an axis."""
        wave = self.node("TexWave", x=-500, wave_type="BANDS", bands_direction=direction)
        self.set(
            wave, {"Scale": math.tau / 20 / pitch, "Distortion": 1.5, "Detail": 1.0, "Detail Scale": 0.3}
        )
        self.link(where, wave.inputs["Vector"])
        return wave.outputs["Fac"]

    def sum(self, first, second, scale: float) -> bpy.types.NodeSocket:
        """`first` and `scale` times `second`."""
        node = self.node("Math", x=-350, operation="MULTIPLY_ADD")
        node.inputs[1].default_value = scale
        self.link(second, node.inputs[0])
        self.link(first, node.inputs[2])
        return node.outputs[0]


def canvas(image: bpy.types.Image) -> tuple[bpy.types.Material, bpy.types.ShaderNodeTexImage]:
    """A canvas that shows `image` and only it; the mesh's attribute `weave` is how much its texture stands out.

    What is transparent in it is white, as it was to the model; without that, renders show black there.
    """
    shader = Shader(f"{image.name} Canvas", (0.5, 0.5, 0.5), roughness=0.65, specular=0.08)
    node = shader.node("TexImage", x=-500, image=image, extension="EXTEND")
    shader.link(shader.mix(node.outputs["Alpha"], (1.0, 1.0, 1.0), node.outputs["Color"]), "Base Color")
    where = shader.coordinates("Object")
    # Warp and weft, thicker and thinner in places, and the strokes that the brush left on them.
    cloth = shader.sum(shader.threads(where, "X", 0.0011), shader.threads(where, "Z", 0.0011), 1.0)
    strokes = shader.noise(55.0, 3.0, shader.coordinates("Object", (1.0, 1.0, 0.4)))
    shown = shader.attribute("weave")
    shader.bump(strokes, shown, 0.0022, shader.bump(cloth, shown, 0.00012))
    shader.tree.nodes.active = node  # what the viewport's Solid mode shows, with Color: Texture
    return shader.material, node


def gilded() -> bpy.types.Material:
    """Old gold leaf: burnished where dusters have been, the red bole showing on edges, dust in the hollows.

    Reads the mesh's point attribute `ridge`, from 0 in a hollow to 1 on an edge.
    """
    if found := _existing("Gilded Frame"):
        return found
    shader = Shader("Gilded Frame", (0.82, 0.56, 0.22), roughness=0.3, metallic=1.0)
    where = shader.coordinates("Object")
    patches = shader.noise(9.0, 5.0, where)
    ridge = shader.attribute("ridge")
    leaf = shader.ramp(
        patches, [(0.3, (0.66, 0.40, 0.13)), (0.5, (0.82, 0.55, 0.21)), (0.7, (0.92, 0.68, 0.32))]
    )
    dusty = shader.mix(shader.values(ridge, 0.9, 0.0, 0.0, 0.72), leaf, (0.17, 0.09, 0.03))
    # Rubbed through to the clay where an edge and a patch of wear meet.
    wear = shader.node("Math", x=-500, operation="MULTIPLY")
    shader.link(ridge, wear.inputs[0])
    shader.link(shader.noise(30.0, 6.0, where), wear.inputs[1])
    worn = shader.values(wear.outputs[0], 0.0, 0.55, 0.54, 0.68)
    shader.link(shader.mix(worn, dusty, (0.36, 0.11, 0.045)), "Base Color")
    shader.link(shader.values(worn, 1.0, 0.75), "Metallic")
    burnished = shader.sum(shader.values(ridge, 0.38, 0.2, 0.2, 0.9), patches, 0.16)
    shader.link(burnished, "Roughness")
    shader.bump(shader.noise(140.0, 3.0, where), 0.2, 0.0012)
    return shader.material


def ebony() -> bpy.types.Material:
    """Black polished wood, with the faintest grain along the UV's U."""
    if found := _existing("Ebony"):
        return found
    shader = Shader("Ebony", (0.012, 0.009, 0.008), roughness=0.24)
    grain = shader.noise(5.0, 8.0, shader.coordinates("UV", (0.8, 16.0, 1.0)))
    shader.link(
        shader.ramp(grain, [(0.35, (0.006, 0.005, 0.0045)), (0.75, (0.028, 0.019, 0.014))]), "Base Color"
    )
    shader.link(shader.values(grain, 0.18, 0.32), "Roughness")
    return shader.material


def oak() -> bpy.types.Material:
    """Oiled oak, its grain along the UV's U."""
    if found := _existing("Oiled Oak"):
        return found
    shader = Shader("Oiled Oak", (0.42, 0.26, 0.13), roughness=0.5)
    where = shader.coordinates("UV", (0.35, 6.0, 1.0))
    grain = shader.noise(2.6, 9.0, where)
    tone = [(0.3, (0.24, 0.13, 0.055)), (0.5, (0.42, 0.26, 0.125)), (0.72, (0.52, 0.35, 0.18))]
    shader.link(shader.ramp(grain, tone), "Base Color")
    shader.link(shader.values(grain, 0.58, 0.42), "Roughness")
    shader.bump(grain, 0.3, 0.0008)
    return shader.material


def black_lacquer() -> bpy.types.Material:
    """A modern frame's satin black."""
    return plain("Black Lacquer", (0.014, 0.014, 0.015), 0.38)


def mat_board() -> bpy.types.Material:
    """Cotton board, a little off white; the primed edge of a canvas, too."""
    if found := _existing("Mat Board"):
        return found
    shader = Shader("Mat Board", (0.80, 0.78, 0.72), roughness=0.9, specular=0.2)
    shader.bump(shader.noise(420.0, 3.0, shader.coordinates("Object")), 0.25, 0.0004)
    return shader.material


def glass() -> bpy.types.Material:
    """A picture's pane: it mirrors at its two faces as glass does, and does not bend what is behind it."""
    if found := _existing("Picture Glass"):
        return found
    shader = Shader("Picture Glass", (0.9, 0.95, 0.95), roughness=0.02)
    shader.tree.nodes.remove(shader.bsdf)
    [output] = shader.tree.nodes
    fresnel = shader.node("Fresnel", x=-300)
    shader.set(fresnel, {"IOR": 1.5})
    # From behind, light would seem to come out of a whole block of glass, and not at all where it comes aslant.
    front = shader.node("Math", x=-150, operation="SUBTRACT", use_clamp=True)
    shader.link(fresnel.outputs[0], front.inputs[0])
    shader.link(shader.node("NewGeometry", x=-300).outputs["Backfacing"], front.inputs[1])
    mixed = shader.node("MixShader", x=0)
    clear, mirror = shader.node("BsdfTransparent", x=-300), shader.node("BsdfAnisotropic", x=-300)
    shader.set(clear, {"Color": (0.97, 0.985, 0.98, 1.0)})
    shader.set(mirror, {"Roughness": 0.02, "Color": (1.0, 1.0, 1.0, 1.0)})
    for source, target in zip((front, clear, mirror), mixed.inputs, strict=True):
        shader.link(source.outputs[0], target)
    shader.link(mixed.outputs[0], output.inputs["Surface"])
    shader.material.surface_render_method = "BLENDED"
    shader.material.diffuse_color = (0.9, 0.95, 0.95, 0.12)
    return shader.material


def dark_wood() -> bpy.types.Material:
    """Polished near-black pearwood, as on Dutch cabinet frames; the grain runs along the UV's U."""
    if found := _existing("Dark Wood"):
        return found
    shader = Shader("Dark Wood", (0.03, 0.016, 0.01), roughness=0.3)
    grain = shader.noise(6.0, 8.0, shader.coordinates("UV", (1.0, 14.0, 1.0)))
    shader.link(
        shader.ramp(grain, [(0.35, (0.016, 0.008, 0.005)), (0.7, (0.07, 0.034, 0.018))]), "Base Color"
    )
    shader.link(shader.values(grain, 0.24, 0.42), "Roughness")
    return shader.material


def backing() -> bpy.types.Material:
    """The bare back of a picture: old pine."""
    return _existing("Frame Back") or Shader("Frame Back", (0.28, 0.18, 0.1), roughness=0.8).material


def plain(name: str, color: Color, roughness: float, metallic: float = 0.0) -> bpy.types.Material:
    """One colour."""
    return _existing(name) or Shader(name, color, roughness, metallic).material


def black_metal() -> bpy.types.Material:
    """Powder-coated lamp housings."""
    return plain("Black Metal", (0.012, 0.012, 0.013), 0.4)


def glow(name: str, color: Color, strength: float) -> bpy.types.Material:
    """A surface that gives light (W/m² in all, as Blender counts)."""
    if found := _existing(name):
        return found
    shader = Shader(name, color, roughness=1.0)
    shader.set(shader.bsdf, {"Emission Color": (*color, 1.0), "Emission Strength": strength})
    if hasattr(shader.material, "cycles"):  # seen and mirrored, but no lamp of its own for Cycles to sample
        shader.material.cycles.emission_sampling = "NONE"
    return shader.material


def painted_wall(name: str, color: Color) -> bpy.types.Material:
    """Distempered plaster: a broad, faint unevenness of tone."""
    if found := _existing(name):
        return found
    shader = Shader(name, color, roughness=0.85, specular=0.25)
    broad = shader.noise(0.9, 2.0, shader.coordinates("Object"))
    dark, light = (tuple(c * f for c in color) for f in (0.86, 1.16))
    shader.link(shader.ramp(broad, [(0.3, dark), (0.7, light)]), "Base Color")
    return shader.material


def oak_floor() -> bpy.types.Material:
    """Waxed oak boards: grain along the UV's U, in metres; the face attribute `tone` tells boards apart."""
    if found := _existing("Oak Floor"):
        return found
    shader = Shader("Oak Floor", (0.3, 0.17, 0.08), roughness=0.28)
    grain = shader.noise(9.0, 9.0, shader.coordinates("UV", (0.35, 5.0, 1.0)))
    wood = shader.ramp(
        grain, [(0.32, (0.17, 0.085, 0.036)), (0.52, (0.31, 0.17, 0.078)), (0.75, (0.4, 0.24, 0.12))]
    )
    shader.link(shader.multiply(wood, shader.values(shader.attribute("tone"), 0.62, 1.25)), "Base Color")
    shader.link(shader.values(grain, 0.16, 0.3), "Roughness")
    return shader.material


def leather() -> bpy.types.Material:
    """A bench's dark, worn leather."""
    if found := _existing("Bench Leather"):
        return found
    shader = Shader("Bench Leather", (0.06, 0.025, 0.014), roughness=0.42)
    shader.bump(shader.noise(90.0, 6.0, shader.coordinates("Object")), 0.2, 0.004)
    return shader.material


def _existing(name: str) -> bpy.types.Material | None:
    material = bpy.data.materials.get(name)
    return material if material is not None and material.library is None else None
