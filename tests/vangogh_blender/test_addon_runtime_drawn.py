"""What the sidebar and the preferences show of the runtime at each stage, and what a failed worker leads to."""

import shutil

import pytest

bpy = pytest.importorskip("bpy")

from tests.vangogh_blender.fake_layout import drawn  # noqa: E402
from tests.vangogh_blender.fake_runtime import begun  # noqa: E402
from tests.vangogh_blender.in_bpy import module, only_job, refused, tick_until  # noqa: E402

FALSE = shutil.which("false")  # a program that ends with an error, whatever it is told


def set_up(upkeep):
    upkeep.current().set_up("auto", True)
    begun(upkeep.current())


@pytest.fixture
def sidebar(addon, upkeep, monkeypatch):
    """`sidebar()`: what it shows, once the threads have given their answers. With the network allowed."""
    view = module(addon, "runtime_view")
    monkeypatch.setattr(view, "may_fetch", lambda: True)

    def look():
        panel = module(addon, "panels").VANGOGH_PT_animate
        drawn(panel.draw)
        tick_until(addon, lambda: not upkeep.current().answers.pending)
        return drawn(panel.draw)

    return look


@pytest.fixture
def preferences(addon, upkeep):
    """`preferences()`: what they show, once the threads have given their answers."""

    def look():
        ours = bpy.context.preferences.addons[addon.name].preferences
        values = {"backend": ours.backend, "python": ours.python}
        draw = type(ours).draw
        drawn(draw, **values)
        tick_until(addon, lambda: not upkeep.current().answers.pending)
        return drawn(draw, **values)

    return look


def test_before_the_set_up_it_says_what_it_takes(runtime, sidebar):
    shown = sidebar()
    assert shown.buttons["vangogh.set_up_runtime"] == "Set Up"
    for size in ("210 MB", "812 MB", "35 GB"):
        assert size in shown.labels
    assert "vangogh.animate" in shown.disabled


def test_without_the_network_it_leads_to_blenders_preference(addon, runtime, sidebar, monkeypatch):
    monkeypatch.setattr(module(addon, "runtime_view"), "may_fetch", lambda: False)
    shown = sidebar()
    assert "vangogh.set_up_runtime" not in shown.buttons
    assert "online access is off" in shown.text
    assert "screen.userpref_show" in shown.buttons


def test_a_full_disk_is_said_before(addon, runtime, sidebar):
    runtime.needed = module(addon, "runtime").Needs(download=1000, disk=5000, free=4000)
    shown = sidebar()
    assert "too little room" in shown.text
    assert "vangogh.set_up_runtime" in shown.disabled


def test_room_that_was_made_is_seen(addon, runtime, sidebar, monkeypatch):
    monkeypatch.setattr(module(addon, "runtime_view"), "ROOM_SECONDS", 0.0)
    types = module(addon, "runtime")
    runtime.needed = types.Needs(download=1000, disk=5000, free=4000)
    sidebar()
    runtime.needed = types.Needs(download=1000, disk=5000, free=6000)
    sidebar()
    tick_until(addon, lambda: "vangogh.set_up_runtime" not in sidebar().disabled)


def test_progress_says_the_stage_and_how_much_is_done(addon, runtime, upkeep, sidebar):
    set_up(upkeep)
    runtime.under_way.progress("download", "torch 2.13.0", 30_000_000, 120_000_000)
    addon.session.tick()
    shown = sidebar()
    assert "Step 2 of 4: Fetching" in shown.labels
    assert shown.bars == [(0.25, "30 MB of 120 MB")]
    assert "torch 2.13.0" in shown.text
    assert shown.buttons["vangogh.cancel_set_up"] == "Cancel"
    assert "vangogh.set_up_runtime" not in shown.buttons


def test_a_failure_says_what_to_do_and_offers_it(addon, runtime, upkeep, sidebar):
    set_up(upkeep)
    runtime.under_way.fail("runtime", "The proxy refused.", "Ask for its password.")
    addon.session.tick()
    shown = sidebar()
    assert "The proxy refused. Ask for its password." in shown.text
    assert shown.buttons["vangogh.set_up_runtime"] == "Try Again"
    assert {"vangogh.show_set_up_log", "vangogh.copy_set_up_details"} <= set(shown.buttons)


def test_ready_it_says_on_what_it_computes_and_then_it_is_the_ordinary_panel(addon, runtime, upkeep, sidebar):
    set_up(upkeep)
    runtime.under_way.finish()
    addon.session.tick()
    assert "Ready. It computes on A fine GPU. Its driver is old." in sidebar().text
    upkeep.begin(runtime)  # another Blender, later
    shown = sidebar()
    assert shown.labels[0] == "Painting"
    assert "vangogh.set_up_runtime" not in shown.buttons


@pytest.mark.parametrize(
    ("kind", "operator", "text"),
    [
        ("unfinished", "vangogh.set_up_runtime", "Continue Set Up"),
        ("outdated", "vangogh.set_up_runtime", "Update"),
        ("broken", "vangogh.repair_runtime", "Repair"),
    ],
)
def test_each_state_has_its_sentence_and_its_button(runtime, sidebar, kind, operator, text):
    runtime.kind = kind
    shown = sidebar()
    assert runtime.state().sentence in shown.text
    assert shown.buttons[operator] == text


def test_an_outdated_runtime_still_animates(addon, runtime, ready_to_animate):
    runtime.kind = "outdated"
    assert bpy.ops.vangogh.animate() == {"FINISHED"}


def test_with_a_python_of_ones_own_there_is_nothing_to_set_up(addon, runtime, settings, sidebar):
    settings()
    shown = sidebar()
    assert "vangogh.set_up_runtime" not in shown.buttons
    assert "vangogh.animate" not in shown.disabled


def test_the_preferences_show_the_runtime_and_what_can_be_done_to_it(
    addon, runtime, preferences, monkeypatch
):
    monkeypatch.setattr(module(addon, "runtime_view"), "examine", examined(addon))
    runtime.kind = "ready"
    shown = preferences()
    assert "Python 3.12.1, torch 2.12.0, computes on: the processor" in shown.text
    assert "812 MB" in shown.text
    assert {"vangogh.repair_runtime", "vangogh.remove_runtime", "vangogh.show_set_up_log"} <= set(
        shown.buttons
    )


def test_the_preferences_say_what_a_named_python_lacks(addon, runtime, settings, preferences, monkeypatch):
    settings()
    monkeypatch.setattr(module(addon, "runtime_view"), "examine", examined(addon, missing=("av", "numpy")))
    assert "lacks: av, numpy." in preferences().text
    bpy.context.preferences.addons[addon.name].preferences.python = "/nowhere/python"
    assert "There is no Python at /nowhere/python." in preferences().text


def examined(addon, **lacks):
    about = module(addon, "runtime").About
    facts = {"version": "3.12.1", "torch": "2.12.0", "devices": ("cpu",), "missing": (), "notes": (), **lacks}
    return lambda python: about(python=python, **facts)


# What runs the worker, and what its failure leads to


def test_the_preference_comes_before_the_variable_and_that_before_the_runtime(addon, runtime, monkeypatch):
    installation = module(addon, "installation")
    assert installation.worker_python() == ""
    runtime.kind = "ready"
    assert installation.worker_python() == runtime.made
    monkeypatch.setenv("VANGOGH_PYTHON", "/variable/python")
    assert installation.worker_python() == "/variable/python"
    bpy.context.preferences.addons[addon.name].preferences.python = "/preference/python"
    assert installation.worker_python() == "/preference/python"


@pytest.mark.parametrize("what", ["lacks torch", "is gone", "ends at once"])
def test_a_runtime_that_does_not_work_leads_to_repair(
    addon, runtime, upkeep, ready_to_animate, sidebar, what, fake_python
):
    bad = {"lacks torch": fake_python("no-torch"), "is gone": "/moved/away/python", "ends at once": FALSE}
    runtime.kind, good, runtime.made = "ready", runtime.made, bad[what]
    assert "Press Repair" in refused()
    assert "Press Repair" in only_job().hint
    shown = sidebar()
    assert only_job().sentence in shown.text
    assert shown.buttons["vangogh.repair_runtime"] == "Repair"
    bpy.ops.vangogh.repair_runtime(wait=False)
    begun(upkeep.current())
    runtime.made = good
    runtime.under_way.finish()
    addon.session.tick()
    assert bpy.ops.vangogh.resume(job=only_job().name) == {"FINISHED"}
    assert "vangogh.repair_runtime" not in sidebar().buttons


def test_a_named_python_that_does_not_work_does_not_lead_to_repair(addon, runtime, settings, sidebar):
    settings("no-torch")
    assert "This Python has no torch. Install torch." in refused()
    assert "vangogh.repair_runtime" not in sidebar().buttons


def test_a_job_that_fails_is_no_fault_of_the_runtimes(addon, runtime, ready_to_animate, sidebar, fake_python):
    runtime.kind, runtime.made = "ready", fake_python("exit")
    assert "ended with status 3" in refused()
    assert "vangogh.repair_runtime" not in sidebar().buttons
