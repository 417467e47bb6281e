"""Pictures and video, streaming: frames come in one at a time and go out complete or not at all."""

from .frames import MAX_SIDE, FrameWriter, frame_path
from .movie import MovieWriter, Sound
from .paintings import MAX_PIXELS, as_seen, colour_profile, read_painting, scaled
from .video import MAX_FPS, VideoReader, has_sound

__all__ = [
    "MAX_FPS",
    "MAX_PIXELS",
    "MAX_SIDE",
    "FrameWriter",
    "MovieWriter",
    "Sound",
    "VideoReader",
    "as_seen",
    "colour_profile",
    "frame_path",
    "has_sound",
    "read_painting",
    "scaled",
]
