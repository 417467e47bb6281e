"""What a panel draws, written down: `bpy` draws nothing, so its draw function is given this as its layout."""

from types import SimpleNamespace

import bpy


class FakeLayout:
    """A `UILayout` that keeps labels and buttons in place of drawing them; boxes, rows and columns share its lists.

    Attributes:
        labels: all texts.
        buttons: operator's id -> the text on it.
        disabled: ids of the operators on a part that is switched off.
        bars: (factor, text) of the progress bars.
    """

    def __init__(self, root=None):
        root = root or self
        self.enabled = True
        if root is self:
            self.labels, self.buttons, self.disabled, self.bars = [], {}, set(), []
        self._root = root

    def _part(self, **_options):
        return FakeLayout(self._root)

    box = row = column = split = _part

    def popover(self, **_options):
        pass

    def label(self, text="", **_options):
        self._root.labels.append(text)

    def progress(self, factor, text=""):
        self._root.bars.append((factor, text))

    def operator(self, name, text=None, **_options):
        self._root.buttons[name] = text
        if not self.enabled:
            self._root.disabled.add(name)
        return SimpleNamespace()

    def operator_menu_enum(self, name, *_arguments, **options):
        return self.operator(name, **options)

    def separator(self, **_options):
        pass

    def prop(self, *_arguments, **_options):
        pass

    template_ID = template_list = template_icon = prop

    @property
    def text(self):
        """All texts as one, however the lines were broken."""
        return " ".join(self.labels)


def drawn(draw, **values):
    """What `draw`, a panel's draw function, draws in this Blender; `values` go onto the panel."""
    layout = FakeLayout()
    system = SimpleNamespace(ui_scale=1.0)
    context = SimpleNamespace(
        scene=bpy.context.scene,
        object=bpy.context.object,
        region=SimpleNamespace(width=300),
        preferences=SimpleNamespace(system=system, addons=bpy.context.preferences.addons),
    )
    draw(SimpleNamespace(layout=layout, **values), context)
    return layout
