"""Where a region is picked: an area of the window that shows the painting for a while, and what is drawn on it."""

from __future__ import annotations

import blf
import bpy
import gpu
from gpu_extras.batch import batch_for_shader

from . import showing
from .region import Point, Region

MARGIN = 0.85  # of the area is the painting's: a region may reach past its edge
SHADE = (0.0, 0.0, 0.0, 0.5)
LINE = (1.0, 0.78, 0.25, 1.0)
FAINT = (1.0, 0.78, 0.25, 0.45)


class Easel:
    """An area turned into an image editor, until `leave`.

    The area is remembered by its address and looked up each time: it may be closed, or the file with it, and a
    reference to what is gone would crash Blender.

    Attributes:
        size: the painting's width and height in pixels.
        region: what is dragged, or None.
        current: the region as it was, drawn faintly, or None.
    """

    def __init__(
        self,
        context: bpy.types.Context,
        image: bpy.types.Image,
        size: tuple[int, int],
        current: Region | None,
    ):
        self.size = size
        self.region: Region | None = None
        self.current = current
        area = context.area
        self._address = area.as_pointer()
        self._window = context.window.as_pointer()
        self._was = area.ui_type
        area.ui_type = "IMAGE_EDITOR"
        space = area.spaces.active
        self._before = (showing.ref(space.image), space.use_image_pin, space.mode)
        self._handler = bpy.types.SpaceImageEditor.draw_handler_add(self._draw, (), "WINDOW", "POST_PIXEL")
        try:
            space.mode = "VIEW"
            space.use_image_pin = True  # in edit mode the editor would go after the mesh's own texture
            space.image = image
            with context.temp_override(**self.context()):
                bpy.ops.image.view_all(fit_view=True)
            space.zoom_percentage *= MARGIN
            context.window.cursor_modal_set("CROSSHAIR")
        except Exception:
            self.leave()
            raise

    def area(self) -> bpy.types.Area | None:
        """The area, while it is there and an image editor."""
        for window in bpy.context.window_manager.windows:
            for area in window.screen.areas:
                if area.as_pointer() == self._address and area.type == "IMAGE_EDITOR":
                    return area
        return None

    def context(self) -> dict[str, object]:
        """The context members for operators on it. Only while `area` is there."""
        area = self.area()
        return {"area": area, "region": _canvas(area)}

    def leave(self) -> None:
        """Make the area what it was. Called again, it does nothing."""
        if self._handler is None:
            return
        bpy.types.SpaceImageEditor.draw_handler_remove(self._handler, "WINDOW")
        self._handler = None
        for window in bpy.context.window_manager.windows:
            window.workspace.status_text_set(None)
            if window.as_pointer() == self._window:
                window.cursor_modal_restore()
        if area := self.area():
            area.header_text_set(None)
            space = area.spaces.active
            image, space.use_image_pin, space.mode = self._before
            space.image = showing.find(bpy.data.images, image)
            area.ui_type = self._was
            area.tag_redraw()

    def say(self, text: str) -> None:
        """In the area's header and in the status bar."""
        if area := self.area():
            area.header_text_set(text)
            area.tag_redraw()
        for window in bpy.context.window_manager.windows:
            window.workspace.status_text_set(text)

    def holds(self, event: bpy.types.Event) -> bool:
        """Whether the mouse is over the painting or the grey around it."""
        area = self.area()
        if area is None:
            return False
        inside = _inside(_canvas(area), event)
        over = (r for r in area.regions if r.type != "WINDOW" and r.width > 1 and r.height > 1)
        return inside and not any(_inside(region, event) for region in over)

    def pixel(self, event: bpy.types.Event) -> Point:
        """Where the mouse is, in the painting's pixels from its top left. Only while `area` is there."""
        canvas = _canvas(self.area())
        u, v = canvas.view2d.region_to_view(event.mouse_x - canvas.x, event.mouse_y - canvas.y)
        return u * self.size[0], (1.0 - v) * self.size[1]

    def _draw(self) -> None:
        if bpy.context.area.as_pointer() != self._address:
            return
        canvas = bpy.context.region
        gpu.state.blend_set("ALPHA")
        if self.region is not None:
            corners = self._corners(canvas, self.region)
            _shade_around(canvas, corners)
            _outline(corners, LINE)
            _label(corners, f"{self.region.w} × {self.region.h}")
        elif self.current is not None:
            _outline(self._corners(canvas, self.current), FAINT)
        gpu.state.blend_set("NONE")

    def _corners(self, canvas: bpy.types.Region, region: Region) -> tuple[Point, Point]:
        """Its bottom left and top right on the screen."""
        width, height = self.size
        to_screen = canvas.view2d.view_to_region
        left, right = region.x / width, (region.x + region.w) / width
        bottom, top = 1.0 - (region.y + region.h) / height, 1.0 - region.y / height
        return to_screen(left, bottom, clip=False), to_screen(right, top, clip=False)


def _canvas(area: bpy.types.Area) -> bpy.types.Region:
    return next(region for region in area.regions if region.type == "WINDOW")


def _inside(region: bpy.types.Region, event: bpy.types.Event) -> bool:
    x, y = event.mouse_x - region.x, event.mouse_y - region.y
    return 0 <= x < region.width and 0 <= y < region.height


def _outline(corners: tuple[Point, Point], color: tuple[float, ...]) -> None:
    (left, bottom), (right, top) = corners
    shader = gpu.shader.from_builtin("POLYLINE_UNIFORM_COLOR")
    shader.uniform_float("viewportSize", gpu.state.viewport_get()[2:])
    shader.uniform_float("lineWidth", 2.0)
    shader.uniform_float("color", color)
    loop = [(left, bottom), (right, bottom), (right, top), (left, top), (left, bottom)]
    batch_for_shader(shader, "LINE_STRIP", {"pos": [(x, y, 0.0) for x, y in loop]}).draw(shader)


def _shade_around(canvas: bpy.types.Region, corners: tuple[Point, Point]) -> None:
    """Everything but the region darker: four bars around it."""
    (left, bottom), (right, top) = corners
    width, height = canvas.width, canvas.height
    bars = (
        (0, 0, width, bottom),
        (0, top, width, height),
        (0, bottom, left, top),
        (right, bottom, width, top),
    )
    points = []
    for x0, y0, x1, y1 in bars:
        if x1 > x0 and y1 > y0:
            points += [(x0, y0), (x1, y0), (x1, y1), (x0, y0), (x1, y1), (x0, y1)]
    if points:
        shader = gpu.shader.from_builtin("UNIFORM_COLOR")
        shader.uniform_float("color", SHADE)
        batch_for_shader(shader, "TRIS", {"pos": points}).draw(shader)


def _label(corners: tuple[Point, Point], text: str) -> None:
    (left, _), (_, top) = corners
    scale = bpy.context.preferences.system.ui_scale
    blf.size(0, 13 * scale)
    blf.color(0, *LINE)
    blf.position(0, left, top + 6 * scale, 0)
    blf.draw(0, text)
