"""For the scripts that run inside Blender: their arguments, the extension, the screen, the mouse. No numpy here."""

import importlib
import json
import os
import subprocess
import sys
import time
import traceback
from pathlib import Path

import bpy

ARGUMENTS = json.loads(sys.argv[-1])
FOLDER = Path(ARGUMENTS["folder"])
NAME = "bl_ext.user_default.vangogh_says_hello"


def install(python):
    """Install the zip as a user does, and set the worker's Python; `addon("session")` is a module of it then."""
    bpy.ops.extensions.package_install_files(
        filepath=ARGUMENTS["zip"], repo="user_default", enable_on_install=True
    )
    bpy.context.preferences.addons[NAME].preferences.python = python


def addon(module):
    return importlib.import_module(f"{NAME}.vangogh_blender.{module}")


def write_result(result):
    (FOLDER / "result.json").write_text(json.dumps(result))


def play(script):
    """Run the generator `script` from a timer: what it yields is the seconds until it goes on."""

    def step():
        try:
            return next(script)
        except StopIteration:
            return None
        except BaseException:
            traceback.print_exc()
            sys.stdout.flush()
            os._exit(4)

    # Persistent: the script opens files.
    bpy.app.timers.register(step, first_interval=1.0, persistent=True)


def times_of_ticks():
    """Every tick that the timer makes from now on, in this thread's own seconds: other programs do not count."""
    session, times = addon("session"), []
    tick = session.Session.tick

    def timed(self):
        began = time.thread_time()
        try:
            return tick(self)
        finally:
            times.append(time.thread_time() - began)

    session.Session.tick = timed
    return times


def screenshot(name):
    """The whole screen as PNG."""
    folder = Path(ARGUMENTS["screenshots"])
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.png"
    subprocess.run(["import", "-window", "root", str(path)], check=True)
    return path


def column_of(path, x, height):
    """The RGB of the pixels at `x` in a screenshot, from its top to its bottom."""
    crop = f"1x{height}+{x}+0"
    rgb = subprocess.run(
        ["convert", str(path), "-crop", crop, "-depth", "8", "rgb:-"], check=True, capture_output=True
    ).stdout
    return [tuple(rgb[i : i + 3]) for i in range(0, len(rgb), 3)]


def window():
    return bpy.context.window_manager.windows[0]


def view():
    """The 3D view's area and its sidebar."""
    area = next(area for area in window().screen.areas if area.type == "VIEW_3D")
    return area, next(region for region in area.regions if region.type == "UI")


def until(condition, seconds):
    """Until it is so. A generator too; a failure says how the jobs are."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            screenshot("99-too-late")
            jobs = bpy.context.scene.vangogh.jobs
            raise AssertionError(f"too late: {[(job.phase, job.stage, job.sentence) for job in jobs]}")
        yield 0.1


def until_drawn():
    """Until the shaders are compiled: there are colours in the middle of the view, where there was grey."""
    area, _ = view()
    probe = Path(ARGUMENTS["screenshots"]) / "probe.png"
    deadline = time.monotonic() + 180
    colours = 0
    while colours <= 100:
        assert time.monotonic() < deadline, "no picture is to be seen"
        yield 2.0
        column = column_of(screenshot("probe"), area.x + area.width // 2 - 60, window().height)
        colours = sum(max(pixel) - min(pixel) > 20 for pixel in column)
    probe.unlink()


def open_sidebar():
    """Show our tab of the 3D view's sidebar. A generator too."""
    view()[0].spaces.active.show_region_ui = True
    yield 1.0
    view()[1].active_panel_category = "Van Gogh"
    yield 1.0


def _buttons(x):
    """The operator buttons that cross the column `x`, from the top: (height, y of the middle), in pixels of the
    screen. They are found by painting them pink. A generator, for `yield from`: Blender has to draw in between.
    """
    theme = bpy.context.preferences.themes[0].user_interface.wcol_tool
    kept = tuple(theme.inner), theme.show_shaded
    theme.inner, theme.show_shaded = (1.0, 0.0, 1.0, 1.0), False
    yield 1.0
    column = column_of(screenshot("probe"), x, window().height)
    (Path(ARGUMENTS["screenshots"]) / "probe.png").unlink()
    theme.inner, theme.show_shaded = kept
    runs, length = [], 0
    for y, (red, green, blue) in enumerate([*column, (0, 0, 0)]):
        if red > 200 and green < 60 and blue > 200:
            length += 1
        elif length:
            runs.append((length, y - length / 2))
            length = 0
    assert runs, "no operator button is to be seen"
    yield 0.5
    return runs


def largest_button(x):
    """Where the highest operator button of the column `x` is, in window coordinates. A generator too."""
    _, middle = max((yield from _buttons(x)))
    return x, int(window().height - middle)


def press_largest():
    """Click the largest button of our tab. A generator too."""
    _, sidebar = view()
    # What is found out meanwhile, the state of the runtime for one, may move the buttons.
    answers, deadline = addon("upkeep").current().answers, time.monotonic() + 60
    while answers.pending and time.monotonic() < deadline:
        yield 0.2
    sidebar.tag_redraw()
    yield 2.0
    # Not in the middle, where a button's letters would cut it into pieces.
    at = yield from largest_button(sidebar.x + sidebar.width // 4)
    yield from click(*at)
    yield 0.7


def lowest_button(x):
    """Where the last operator button of the column `x` is, in window coordinates. A generator too."""
    _, middle = (yield from _buttons(x))[-1]
    return x, int(window().height - middle)


def click(x, y):
    """Move the mouse there and press its left button. A generator too."""
    for kind, value in (("MOUSEMOVE", "NOTHING"), ("LEFTMOUSE", "PRESS"), ("LEFTMOUSE", "RELEASE")):
        window().event_simulate(type=kind, value=value, x=x, y=y)
        yield 0.3
