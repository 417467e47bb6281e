"""Whatever a user does, in whatever order: no exception, no process and no timer is left behind.

The worker is the fake one, slow enough that most of what happens happens while it works.
"""

import random
import time

import pytest

bpy = pytest.importorskip("bpy")

from tests.vangogh_blender.in_bpy import module, own_object, painting, tick_until  # noqa: E402

SEQUENCES, LONGEST = 200, 9


class User:
    """Does things to this Blender. Each method is one thing; what an operator refuses is no failure of ours."""

    def __init__(self, addon, settings, folder):
        self.addon, self.folder, self._settings = addon, folder, settings
        self.workers = []
        self.settings("slow:6")

    def settings(self, scenario):
        self._settings(scenario)

    def try_(self, operator, *arguments, **options):
        said = ""
        try:
            operator(*arguments, **options)
        except RuntimeError as refused:
            said = str(refused)
        assert "Traceback" not in said
        session = self.addon.session.current()
        if session.client:
            self.workers.append(session.client._process)

    def job(self, choose):
        jobs = bpy.context.scene.vangogh.jobs
        return {"job": choose.choice(list(jobs)).name} if len(jobs) else {}

    def start(self, _choose):
        self.try_(bpy.ops.vangogh.animate, wait=False)

    def start_on_an_object(self, _choose):
        if bpy.context.scene.vangogh.painting:
            own_object(bpy.context.scene.vangogh.painting)
            self.try_(bpy.ops.vangogh.animate, wait=False, target="OBJECT")

    def cancel(self, choose):
        self.try_(bpy.ops.vangogh.cancel, **self.job(choose))

    def resume(self, choose):
        self.try_(bpy.ops.vangogh.resume, wait=False, **self.job(choose))

    def load_frames(self, choose):
        self.try_(bpy.ops.vangogh.load_frames, **self.job(choose))

    def remove_job(self, choose):
        self.try_(bpy.ops.vangogh.remove_job, **self.job(choose))

    def move_job(self, choose):
        self.try_(bpy.ops.vangogh.move_job, places=choose.choice([-1, 1]), **self.job(choose))

    def free_memory(self, _choose):
        self.try_(bpy.ops.vangogh.free_memory)

    def save(self, _choose):
        bpy.ops.wm.save_as_mainfile(filepath=str(self.folder / "scene.blend"))

    def reload(self, _choose):
        if (self.folder / "scene.blend").exists():
            bpy.ops.wm.open_mainfile(filepath=str(self.folder / "scene.blend"))

    def another_file(self, _choose):
        bpy.ops.wm.read_homefile(use_empty=True)
        self.settings("slow:6")

    def delete_an_image(self, choose):
        if images := list(bpy.data.images):
            bpy.data.images.remove(choose.choice(images))

    def rename_an_image(self, choose):
        if images := list(bpy.data.images):
            choose.choice(images).name = f"renamed {choose.random()}"

    def choose_another_painting(self, choose):
        bpy.context.scene.vangogh.painting = painting(self.folder / f"{choose.random()}.png")

    def delete_an_object(self, choose):
        if objects := list(bpy.data.objects):
            bpy.data.objects.remove(choose.choice(objects))

    def undo(self, _choose):
        self.try_(bpy.ops.ed.undo_push, message="a step of the user's")
        self.try_(bpy.ops.ed.undo)

    def redo(self, _choose):
        self.try_(bpy.ops.ed.redo)

    def another_frame(self, choose):
        bpy.context.scene.frame_set(choose.randrange(1, 50))

    def copy_the_scene(self, _choose):
        bpy.context.scene.copy()

    def remove_a_scene(self, choose):
        if len(bpy.data.scenes) > 1:
            bpy.data.scenes.remove(choose.choice(list(bpy.data.scenes)))

    def off_and_on(self, choose):
        bpy.ops.preferences.addon_disable(module=self.addon.name)
        if choose.random() < 0.5:
            self.another_frame(choose)
            self.save(choose)
        bpy.ops.preferences.addon_enable(module=self.addon.name)

    def a_worker_that_dies(self, choose):
        self.settings(choose.choice(["killed", "exit", "full", "garbage", "slow:6"]))

    def wait(self, choose):
        until = time.monotonic() + choose.uniform(0.0, 0.15)
        while time.monotonic() < until:
            self.tick()
            time.sleep(0.01)

    def tick(self):
        self.addon.session.tick()


THINGS = [
    name
    for name in vars(User)
    if not name.startswith("_") and name not in ("settings", "try_", "job", "tick")
]


@pytest.fixture
def user(addon, settings, tmp_path, monkeypatch):
    monkeypatch.setattr(module(addon, "session"), "GROW_SECONDS", 0.0)
    return User(addon, settings, tmp_path)


def test_any_order_of_things_leaves_nothing_behind(user, addon):
    for number in range(SEQUENCES):
        choose = random.Random(number)
        done = ["start", *choose.choices(THINGS, k=choose.randrange(3, LONGEST))]
        try:
            for thing in done:
                getattr(user, thing)(choose)
                user.tick()
            for job in addon.session.current().state.jobs:
                addon.session.current().cancel(job.id)
            tick_until(addon, lambda: all(job.over for job in addon.session.current().state.jobs))
        except BaseException:
            print(f"sequence {number}: {', '.join(done)}")
            raise
        user.another_file(choose)
        for job in addon.session.current().state.jobs:
            addon.session.current().forget(job.id)
    bpy.ops.preferences.addon_disable(module=addon.name)
    assert not bpy.app.timers.is_registered(addon.session.tick)
    left = [process.pid for process in user.workers if process.poll() is None]
    assert left == []
    assert len(set(map(id, user.workers))) > 20, "they did work"
