"""In the window: press Pick Region in the sidebar, drag over the painting, leave it in every way there is."""

import os
import sys

sys.path.insert(0, os.path.dirname(__file__))

import bpy
from common import (
    ARGUMENTS,
    addon,
    click,
    install,
    lowest_button,
    play,
    screenshot,
    view,
    window,
    write_result,
)

result = {}


def settings():
    return bpy.context.scene.vangogh


def easel():
    """The image editor that shows the painting, if there is one."""
    return next((area for area in window().screen.areas if area.type == "IMAGE_EDITOR"), None)


def on_screen(x, y):
    """Where the painting's pixel is in the window."""
    canvas = next(region for region in easel().regions if region.type == "WINDOW")
    width, height = settings().painting.size
    at = canvas.view2d.view_to_region(x / width, 1 - y / height, clip=False)
    return canvas.x + at[0], canvas.y + at[1]


def mouse(kind, value, at, **keys):
    window().event_simulate(type=kind, value=value, x=at[0], y=at[1], **keys)


def drag(start, end, release=True, **keys):
    """From one pixel of the painting to another, by way of the middle."""
    start, end = on_screen(*start), on_screen(*end)
    middle = tuple((a + b) // 2 for a, b in zip(start, end, strict=True))
    mouse("MOUSEMOVE", "NOTHING", start)
    yield 0.3
    mouse("LEFTMOUSE", "PRESS", start)
    for at in (middle, end):
        yield 0.3
        mouse("MOUSEMOVE", "NOTHING", at, **keys)
    yield 0.5
    if release:
        mouse("LEFTMOUSE", "RELEASE", end, **keys)
        yield 0.5


def key(kind, at):
    for value in ("PRESS", "RELEASE"):
        window().event_simulate(type=kind, value=value, x=at[0], y=at[1])
        yield 0.3


def open_easel():
    """By the sidebar's button, the first time; later from a script, as a shortcut would."""
    area, _ = view()
    region = next(region for region in area.regions if region.type == "UI")
    with bpy.context.temp_override(window=window(), area=area, region=region):
        bpy.ops.vangogh.pick_region("INVOKE_DEFAULT")
    yield 1.0


def open_panels():
    """The sidebar's panels are closed by default: open those with the new settings."""
    panels = addon("panels")
    for panel in (panels.VANGOGH_PT_motion, panels.VANGOGH_PT_output):
        bpy.utils.unregister_class(panel)
        panel.bl_options = set()
        bpy.utils.register_class(panel)


def count_drawings():
    """A list that grows whenever a region is drawn."""
    easel_class, drawn = addon("easel").Easel, []
    draw = easel_class._draw

    def counted(self):
        drawn.append(self)
        draw(self)

    easel_class._draw = counted
    return drawn


def looks():
    """What a picked or abandoned region leaves behind: the text, the areas, how many image editors."""
    return [settings().region, sorted(area.type for area in window().screen.areas)]


def script():
    install(ARGUMENTS["python"])
    open_panels()
    drawn = count_drawings()
    area, sidebar = view()
    area.spaces.active.show_region_ui = True
    yield 1.0
    sidebar.active_panel_category = "Van Gogh"
    settings().painting = bpy.data.images.load(ARGUMENTS["painting"])
    yield 1.0
    screenshot("region-01-sidebar")
    result["before"] = looks()

    at = yield from lowest_button(sidebar.x + sidebar.width // 2)
    yield from click(*at)
    yield 1.0
    result["painting shown"] = easel().spaces.active.image == settings().painting
    screenshot("region-02-easel")
    result["fitted"] = on_screen(500, 600)[0] - on_screen(400, 600)[0]
    yield from drag((100, 80), (260, 150), release=False)
    screenshot("region-03-dragged")
    mouse("LEFTMOUSE", "RELEASE", on_screen(260, 150))
    yield 1.0
    result["square"] = looks()
    yield 2.0
    screenshot("region-04-picked")

    yield from open_easel()
    screenshot("region-05-again")
    yield from drag((300, 200), (250, 100), ctrl=True)
    result["rectangle"] = looks()

    yield from open_easel()
    yield from drag((-40, -30), (200, 200))
    result["past the edge"] = looks()
    with bpy.context.temp_override(window=window()):
        bpy.ops.ed.undo()
    yield 0.5
    result["undone"] = looks()

    # Too small, and beside the picture: the easel stays; then leave without a change.
    yield from open_easel()
    yield from drag((100, 100), (104, 104))
    result["too small"] = [settings().region, easel() is not None]
    screenshot("region-06-too-small")
    yield from drag((-60, -60), (-20, -20))
    result["beside"] = [settings().region, easel() is not None]
    yield from drag((100, 100), (200, 200), release=False)
    yield from key("ESC", on_screen(200, 200))
    mouse("LEFTMOUSE", "RELEASE", (300, 300))
    yield 0.5
    result["escaped"] = looks()
    yield from open_easel()
    yield from key("RIGHTMOUSE", on_screen(100, 100))
    result["right click"] = looks()

    # Zoomed in and scrolled, the pixels are still the painting's.
    yield from open_easel()
    for _ in range(3):
        mouse("WHEELUPMOUSE", "PRESS", on_screen(450, 600))
        yield 0.3
    result["zoom"] = on_screen(500, 600)[0] - on_screen(400, 600)[0]
    yield from drag((400, 550), (500, 600))
    result["zoomed"] = looks()

    # The area taken away under the operator, and another file opened.
    yield from open_easel()
    easel().ui_type = "TEXT_EDITOR"
    yield 0.5
    mouse("MOUSEMOVE", "NOTHING", (300, 300))
    yield 0.5
    area = next(area for area in window().screen.areas if area.type == "TEXT_EDITOR")
    area.ui_type = "VIEW_3D"
    yield 0.5
    yield from open_easel()
    bpy.ops.wm.read_homefile()
    yield 1.0
    mouse("MOUSEMOVE", "NOTHING", (400, 300))
    yield 1.0
    result["another file"] = sorted(area.type for area in window().screen.areas)
    area, _ = view()
    before = len(drawn)
    area.ui_type = "IMAGE_EDITOR"  # where a drawing that was left behind would still be called
    yield 1.0
    screenshot("region-07-another-file")
    result["drawn after leaving"] = len(drawn) - before
    result["drawn"] = before
    write_result(result)
    bpy.ops.wm.quit_blender()


bpy.context.preferences.view.show_splash = False
play(script())
