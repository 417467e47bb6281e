"""What differs between Blenders: known in one module, and right in the Blender that runs this."""

import ast
import re
import tomllib
from pathlib import Path

import pytest

from tools import test_versions as matrix

ROOT = Path(__file__).resolve().parents[2]
SOURCES = [ROOT / "__init__.py", *sorted((ROOT / "vangogh_blender").rglob("*.py"))]
# What tells one Blender from another, or is called so in some of them only. `version_string`, for a report, is not.
TELLTALE = re.compile(
    r"\bapp\.version\b|\buse_nodes\b|\.sequences\b|\bframe_final_|BLENDER_EEVEE|PATH_SUPPORTS_BLEND_RELATIVE"
)


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_it_is_the_python_of_the_oldest_blender(source):
    oldest = next(iter(matrix.BLENDERS.values())).python
    version = tuple(int(number) for number in oldest.split("."))
    ast.parse(source.read_text(encoding="utf-8"), str(source), feature_version=version)


def test_one_module_knows_what_differs():
    knowing = {path.name for path in SOURCES if TELLTALE.search(path.read_text(encoding="utf-8"))}
    assert knowing == {"versions.py"}


def test_the_oldest_blender_that_is_let_in_is_tested():
    manifest = tomllib.loads((ROOT / "blender_manifest.toml").read_text(encoding="utf-8"))
    assert manifest["blender_version_min"] == next(iter(matrix.BLENDERS.values())).bpy == "4.2.0"


def calls():
    """Every method call in the sources, with the name of what it is called on (`layout` of `self.layout` too)."""
    for source in SOURCES:
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                called_on = node.func.value
                yield getattr(called_on, "id", getattr(called_on, "attr", "")), node


class TestInBlender:
    @pytest.fixture(autouse=True)
    def _bpy(self):
        pytest.importorskip("bpy")

    @pytest.mark.parametrize(("kind", "output"), [("materials", "Surface"), ("worlds", "Surface")])
    def test_new_shaders_have_nodes(self, kind, output):
        import bpy
        from vangogh_says_hello.vangogh_blender import versions

        owner = getattr(bpy.data, kind).new("new")
        tree = versions.node_tree(owner)
        assert tree == owner.node_tree
        assert [node for node in tree.nodes if output in node.inputs]
        getattr(bpy.data, kind).remove(owner)

    def test_paths_may_be_relative_to_the_blend(self, addon):
        import bpy

        paths = [
            p for p in bpy.context.scene.vangogh.bl_rna.properties if p.subtype in {"FILE_PATH", "DIR_PATH"}
        ]
        assert len(paths) >= 2
        assert all(getattr(path, "is_path_supports_blend_relative", True) for path in paths)

    def test_what_panels_are_drawn_with_is_there(self):
        """Panels are not drawn without a window: each function of a layout and its keywords are looked up."""
        import bpy

        functions = bpy.types.UILayout.bl_rna.functions
        seen = set()
        for called_on, call in calls():
            name = call.func.attr
            if called_on == "layout":
                assert name in functions, ast.unparse(call)
            if name in functions and name != "split":  # strings have one too
                keywords = {keyword.arg for keyword in call.keywords}
                assert keywords <= set(functions[name].parameters.keys()), ast.unparse(call)
                seen.add(name)
        assert {"label", "prop", "operator", "progress"} <= seen

    def test_every_icon_is_there(self):
        import bpy

        layout, confirm = bpy.types.UILayout, bpy.types.WindowManager
        known = {
            item.identifier
            for function in (layout.bl_rna.functions["label"], confirm.bl_rna.functions["invoke_confirm"])
            for item in function.parameters["icon"].enum_items
        }
        named = {
            name for path in SOURCES for name in re.findall(r'icon="(\w+)"', path.read_text(encoding="utf-8"))
        }
        assert "PLAY" in named
        assert named <= known

    def test_a_blender_without_sound_says_so(self, addon, settings):
        import bpy

        if bpy.app.build_options.audaspace:
            pytest.skip("this Blender was built with sound; the module of 4.2 is not")
        settings()
        assert bpy.ops.vangogh.animate(add_sound=True) == {"FINISHED"}
        [job] = bpy.context.scene.vangogh.jobs
        assert job.phase == "done"
        assert "built without sound" in job.warnings
