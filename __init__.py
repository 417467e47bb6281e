"""Van Gogh Says Hello: portraits that move. The extension's door."""

from .vangogh_blender import register, unregister

__all__ = ("register", "unregister")
