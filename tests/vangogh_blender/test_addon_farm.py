"""The farm job that the add-on exports: what goes in, what is refused, and that the open file stays as it is."""

import json
from pathlib import Path

import pytest

bpy = pytest.importorskip("bpy")

from tests.vangogh_blender.in_bpy import module, own_object, painting  # noqa: E402


@pytest.fixture
def scene(addon, tmp_path):
    """A saved scene with one painting on an object, noted for the farm; its settings."""
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "scene.blend"))
    settings = bpy.context.scene.vangogh
    settings.painting = painting(tmp_path / "lady.png")
    (tmp_path / "nod.mp4").write_bytes(b"not looked at")
    settings.driving_video = str(tmp_path / "nod.mp4")
    settings.target = "OBJECT"
    own_object(settings.painting)
    assert bpy.ops.vangogh.add_to_farm() == {"FINISHED"}
    return settings


@pytest.fixture
def bundle(tmp_path):
    return tmp_path / "bundle"


def exported(bundle):
    assert bpy.ops.vangogh.export_farm_job(directory=str(bundle)) == {"FINISHED"}
    return json.loads((bundle / "bundle.json").read_text())


def refused(bundle):
    """The sentence with which the export refuses; it leaves nothing behind."""
    with pytest.raises(RuntimeError) as caught:
        bpy.ops.vangogh.export_farm_job(directory=str(bundle))
    assert not bundle.exists()
    assert not list(bundle.parent.glob(".bundle*"))
    assert "Traceback" not in str(caught.value)
    return str(caught.value)


def test_nothing_is_animated_here(scene):
    """Not even a Python is needed: none is named, and none is set up."""
    (item,) = scene.jobs
    assert item.phase == "cancelled"
    assert "Export Farm Job" in item.sentence


def test_the_bundle_names_nothing_of_this_machine(addon, scene, bundle, tmp_path):
    manifest = exported(bundle)
    (animation,) = manifest["animations"]
    assert animation["name"] == "lady-nod"
    assert animation["job"]["painting"] == "paintings/lady.png"
    assert animation["shown"] == [{"image": "lady.png", "object": "wall", "start": 1, "location": None}]
    for name in ("bundle.json", "template.json", "parameter_values.json", "asset_references.json"):
        assert str(tmp_path) not in (bundle / name).read_text()
    bpy.ops.wm.open_mainfile(filepath=str(bundle / "scene" / "scene.blend"))
    assert bpy.data.images["lady.png"].filepath == "//../paintings/lady.png"
    assert tuple(bpy.data.images["lady.png"].size) == (6, 4)
    assert not bpy.context.scene.vangogh.jobs
    for paths in module(addon, "versions").file_paths().values():
        assert not [path for path in paths if str(tmp_path) in path]


def test_the_open_file_stays_as_it_is(scene, bundle, tmp_path):
    def state():
        (item,) = scene.jobs
        return (
            item.name, item.phase, item.order, scene.driving_video, bpy.data.images["lady.png"].filepath,
            bpy.context.scene.render.filepath, bpy.data.filepath,
        )  # fmt: skip

    before = state()
    exported(bundle)
    assert state() == before


def test_files_of_the_scene_travel(scene, bundle, tmp_path):
    other = painting(tmp_path / "wallpaper.png")
    own_object(other)
    frames = tmp_path / "film"
    frames.mkdir()
    for number in (7, 8, 9):
        painting(frames / f"f{number:04d}.png")
    sequence = bpy.data.images.load(str(frames / "f0007.png"), check_existing=True)
    sequence.source = "SEQUENCE"
    own_object(sequence)
    font = bpy.data.fonts.load(str(next(Path(bpy.utils.system_resource("DATAFILES")).glob("fonts/*.woff2"))))
    text = bpy.data.curves.new("label", "FONT")
    text.font = font
    before = font.filepath
    manifest = exported(bundle)
    assert "scene/assets/wallpaper.png" in manifest["files"]
    assert [
        path for path in manifest["files"] if path.startswith("scene/assets/") and path.endswith(".woff2")
    ]
    assert font.filepath == before
    assert {f"scene/assets/film/f{n:04d}.png" for n in (7, 8, 9)} <= manifest["files"].keys()


def test_a_packed_image_travels_in_the_blend(scene, bundle, tmp_path):
    packed = painting(tmp_path / "packed.png")
    packed.pack()
    (tmp_path / "packed.png").unlink()
    own_object(packed)
    assert not [path for path in exported(bundle)["files"] if "packed" in path]


def test_the_same_clip_is_tracked_once_and_the_same_job_animated_once(scene, bundle, tmp_path):
    target, _ = own_object(scene.painting)
    assert bpy.ops.vangogh.add_to_farm(object=target.name) == {"FINISHED"}
    assert bpy.ops.vangogh.add_to_farm(target="NEW", strength=0.5) == {"FINISHED"}
    manifest = exported(bundle)
    assert len(manifest["clips"]) == 1
    assert [animation["name"] for animation in manifest["animations"]] == ["lady-nod", "lady-nod-2"]
    assert [place["object"] for place in manifest["animations"][0]["shown"]] == ["wall", target.name]
    assert manifest["animations"][1]["shown"][0]["location"] == [0.0, 0.0, 0.0]


def test_frames_made_here_are_made_again_there_and_not_carried(settings, addon, bundle, tmp_path):
    """A job that is done, and whose frames a picture frame shows."""
    settings()
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "scene.blend"))
    assert bpy.ops.vangogh.animate() == {"FINISHED"}
    manifest = exported(bundle)
    (animation,) = manifest["animations"]
    (sequence,) = [image for image in bpy.data.images if image.source == "SEQUENCE"]
    assert animation["shown"] == [{"image": sequence.name, "object": "", "start": 1, "location": None}]
    assert not [path for path in manifest["files"] if "0001.png" in path]


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda s, folder: (folder / "nod.mp4").unlink(), "The driving video is missing"),
        (lambda s, folder: (folder / "lady.png").unlink(), "The painting is missing"),
        (lambda s, folder: s.jobs.clear(), "Nothing in the scene Scene is to be animated"),
        (lambda s, folder: bpy.data.objects["wall"].data.materials.clear(), "does not show the painting"),
        (lambda s, folder: bpy.ops.vangogh.add_to_farm(model="vox", target="NEW"), "There is no model 'vox'"),
        (lambda s, folder: bpy.ops.vangogh.add_to_farm(strength=0.5), "are for the same picture on wall"),
    ],
    ids=["clip", "painting", "nothing", "object", "model", "twice"],
)
def test_what_is_missing_is_refused_in_a_sentence(spoil, words, scene, bundle, tmp_path):
    spoil(scene, tmp_path)
    assert words in refused(bundle)


def test_two_paintings_of_the_same_name_are_refused(scene, bundle, tmp_path):
    (tmp_path / "other").mkdir()
    second = painting(tmp_path / "other" / "lady.png")
    second.scale(8, 8)
    second.save()
    second.name = "LADY.png"
    assert bpy.ops.vangogh.add_to_farm(painting="LADY.png", target="NEW") == {"FINISHED"}
    assert "Two paintings are named" in refused(bundle)


def test_an_image_with_unsaved_strokes_is_refused(scene, bundle):
    scene.painting.pixels[0] = 0.5
    assert "has changes that are not saved" in refused(bundle)


def test_a_folder_with_something_in_it_is_refused(scene, bundle):
    bundle.mkdir()
    (bundle / "mine.txt").write_text("mine")
    with pytest.raises(RuntimeError, match="is not empty"):
        bpy.ops.vangogh.export_farm_job(directory=str(bundle))
    assert [path.name for path in bundle.iterdir()] == ["mine.txt"]


def test_the_command(scene, addon, bundle, tmp_path, capfd):
    command = module(addon, "command")
    bpy.ops.wm.save_mainfile()
    bpy.ops.wm.read_homefile(use_empty=True)
    assert command.main(["farm", str(tmp_path / "scene.blend"), "--output", str(bundle)]) == 0
    assert "1 animations by 1 clips, frames 1 to 250" in capfd.readouterr().out
    assert (bundle / "template.json").is_file()
    assert command.main(["farm", str(tmp_path / "scene.blend"), "--output", str(bundle)]) == 1
    assert capfd.readouterr().err.strip().endswith("is not empty. Choose a new folder for the bundle.")
    assert command.main(["farm", str(tmp_path / "no.blend"), "--output", str(bundle)]) == 2
    assert "There is no scene at" in capfd.readouterr().err
    assert command.main(["farm"]) == 2
    assert command.main(["paint"]) == 2
    assert command.main(["--help"]) == 0
