"""The runtime in the installed extension: its operators, and what they do to jobs. A stand-in sets nothing up."""

import importlib

import pytest

bpy = pytest.importorskip("bpy")

from tests.vangogh_blender.fake_runtime import begun  # noqa: E402
from tests.vangogh_blender.in_bpy import module, only_job, refused, start, tick_until  # noqa: E402


def set_up(upkeep, **options):
    """As with a window, where it comes back at once; the set-up has begun then."""
    assert bpy.ops.vangogh.set_up_runtime(wait=False, **options) == {"FINISHED"}
    begun(upkeep.current())


def sentence_of(operator, **options):
    with pytest.raises(RuntimeError) as caught:
        operator(**options)
    assert "Traceback" not in str(caught.value)
    return str(caught.value)


def error(addon, kind, sentence, hint=""):
    errors = importlib.import_module(f"{addon.name}.fomm_core.errors")
    return errors.UserError(kind, sentence, hint)


def test_from_nothing_to_a_moving_painting(addon, runtime, upkeep, ready_to_animate):
    assert "It is not set up yet. Press Set Up" in refused()
    set_up(upkeep)
    assert runtime.asked == [("auto", bpy.app.online_access)]
    assert "Wait until it is set up" in refused()
    runtime.under_way.progress("download", "torch 2.13.0", 30, 120)
    addon.session.tick()
    assert upkeep.current().progress.done == 30
    runtime.under_way.finish()
    tick_until(addon, lambda: not upkeep.current().running)
    assert upkeep.current().about.devices == ("cuda:0 (A fine GPU)", "cpu")
    assert bpy.ops.vangogh.animate() == {"FINISHED"}
    assert only_job().phase == "done"


def test_in_the_background_it_waits_and_says_how_it_goes(addon, runtime, upkeep, monkeypatch, capfd):
    steps = iter(
        [
            lambda set_up: set_up.progress("python", "Python 3.11"),
            lambda set_up: set_up.progress("download", "torch", 30_000_000, 120_000_000),
            lambda set_up: set_up.finish(),
        ]
    )
    tick = addon.session.tick

    def tick_and_go_on():
        if runtime.under_way:
            next(steps, lambda _: None)(runtime.under_way)
        return tick()

    monkeypatch.setattr(addon.session, "tick", tick_and_go_on)
    assert bpy.ops.vangogh.set_up_runtime() == {"FINISHED"}
    lines = [line for line in capfd.readouterr().out.splitlines() if line.startswith("Van Gogh")]
    assert lines == [
        "Van Gogh: Preparing a Python, Python 3.11",
        "Van Gogh: Fetching, torch, 30 MB of 120 MB",
        "Van Gogh: Python 3.11.9, torch 2.13.0, computes on: A fine GPU, the processor",
    ]


def test_the_backend_is_the_operators_or_else_the_preferences(addon, runtime, upkeep):
    bpy.context.preferences.addons[addon.name].preferences.backend = "cpu"
    set_up(upkeep)
    runtime.under_way.finish()
    addon.session.tick()
    set_up(upkeep, backend="cu126")
    assert [backend for backend, _ in runtime.asked] == ["cpu", "cu126"]
    bpy.context.preferences.addons[addon.name].preferences.backend = "auto"


def test_one_set_up_at_a_time(addon, runtime, upkeep):
    set_up(upkeep)
    assert "worked on" in sentence_of(bpy.ops.vangogh.set_up_runtime)
    assert "worked on" in sentence_of(bpy.ops.vangogh.repair_runtime)
    assert "worked on" in sentence_of(bpy.ops.vangogh.remove_runtime)
    assert len(runtime.asked) == 1


def test_what_is_known_at_once_is_said_at_once(addon, runtime, upkeep):
    runtime.refusal = error(addon, "runtime", "There is no network.", "Connect and try again.")
    assert "There is no network. Connect and try again." in sentence_of(bpy.ops.vangogh.set_up_runtime)
    assert upkeep.current().error is runtime.refusal
    assert not upkeep.current().running
    runtime.refusal = None
    set_up(upkeep)
    assert upkeep.current().error is None


def test_a_failure_stays_to_be_read_until_the_next_try(addon, runtime, upkeep):
    set_up(upkeep)
    runtime.under_way.fail("disk_full", "The disk is full.", "Make room.")
    tick_until(addon, lambda: not upkeep.current().running)
    assert upkeep.current().error.sentence == "The disk is full."
    bpy.ops.vangogh.copy_set_up_details()
    set_up(upkeep)
    assert upkeep.current().error is None


def test_the_details_say_what_went_wrong_where(addon, runtime, upkeep):
    set_up(upkeep)
    runtime.under_way.fail("disk_full", "The disk is full.", "Make room.")
    addon.session.tick()
    details = module(addon, "runtime_words").details()
    for words in (
        "The disk is full. Make room.",
        bpy.app.version_string,
        "auto",
        "unfinished",
        "fetching torch",
    ):
        assert words in details


def test_cancel(addon, runtime, upkeep):
    set_up(upkeep)
    runtime.under_way.obedient = False
    assert bpy.ops.vangogh.cancel_set_up() == {"FINISHED"}
    addon.session.tick()
    assert upkeep.current().cancelling
    runtime.under_way.fail("cancelled", "The set-up was cancelled.")
    addon.session.tick()
    assert (upkeep.current().running, upkeep.current().cancelling) == (False, False)
    assert upkeep.current().error.kind == "cancelled"
    with pytest.raises(RuntimeError):
        bpy.ops.vangogh.cancel_set_up()


def test_it_goes_on_when_another_file_is_opened(addon, runtime, upkeep):
    set_up(upkeep)
    bpy.ops.wm.read_homefile(use_empty=True)
    bpy.context.window.scene = bpy.data.scenes.new("another")
    runtime.under_way.progress("install", "numpy", 1, 2)
    addon.session.tick()
    assert upkeep.current().progress.stage == "install"
    runtime.under_way.finish()
    addon.session.tick()
    assert runtime.state().kind == "ready"


def test_switched_off_mid_set_up_it_is_cancelled_and_nothing_is_left(addon, runtime, upkeep):
    set_up(upkeep)
    before = upkeep.current()
    bpy.ops.preferences.addon_disable(module=addon.name)
    assert before.error.kind == "cancelled"
    assert not before.running
    assert not bpy.app.timers.is_registered(addon.session.tick)
    bpy.ops.preferences.addon_enable(module=addon.name)
    assert not module(addon, "upkeep").current().running


def test_a_set_up_that_does_not_obey_holds_nobody_up_for_long(addon, runtime, upkeep, monkeypatch):
    monkeypatch.setattr(upkeep, "STOP_SECONDS", 0.1)
    set_up(upkeep)
    runtime.under_way.obedient = False
    upkeep.current().stop()
    assert upkeep.current().cancelling


def test_remove(addon, runtime, upkeep):
    runtime.kind = "ready"
    runtime.lock = error(addon, "runtime", "A file is locked.", "Close the other Blender.")
    assert "A file is locked. Close the other Blender." in sentence_of(bpy.ops.vangogh.remove_runtime)
    runtime.lock = None
    assert bpy.ops.vangogh.remove_runtime() == {"FINISHED"}
    assert runtime.state().kind == "none"
    assert upkeep.current().error is None


def test_a_runtime_at_work_is_left_alone(addon, runtime, upkeep, ready_to_animate, fake_python, monkeypatch):
    runtime.kind, runtime.made = "ready", fake_python("slow")
    installation = module(addon, "installation")
    monkeypatch.setattr(installation, "runtime_folder", lambda: runtime.folder)
    start()
    tick_until(addon, lambda: only_job().done >= 2)
    assert "A job is running" in sentence_of(bpy.ops.vangogh.remove_runtime)
    assert "A job is running" in sentence_of(bpy.ops.vangogh.repair_runtime)
    bpy.ops.vangogh.cancel(job=only_job().name)
    tick_until(addon, lambda: only_job().phase == "cancelled")
    assert addon.session.current().client is not None
    assert bpy.ops.vangogh.remove_runtime() == {"FINISHED"}
    assert addon.session.current().client is None  # a file in use cannot be removed on every system


def test_the_real_runtime_is_asked_and_leaves_nothing_where_nothing_was_set_up(addon, upkeep, monkeypatch):
    if bpy.app.online_access:
        pytest.skip("this Blender may use the network")
    monkeypatch.delenv("VANGOGH_PYTHON", raising=False)
    installation = module(addon, "installation")
    assert upkeep.current().runtime.state().kind == "none"
    assert "online access is off" in sentence_of(bpy.ops.vangogh.set_up_runtime)
    assert installation.worker_python() == ""
    assert not installation.runtime_folder().exists()
