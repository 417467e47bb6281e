"""The First Order Motion Model's networks (Siarohin et al., NeurIPS 2019), at the published architecture."""

from .dense_motion import DenseMotion, DenseMotionNetwork
from .discriminator import Discriminator
from .generator import Generator, Source, warp
from .keypoint_detector import KeypointDetector, Keypoints
from .layers import resized

__all__ = [
    "DenseMotion",
    "DenseMotionNetwork",
    "Discriminator",
    "Generator",
    "KeypointDetector",
    "Keypoints",
    "Source",
    "resized",
    "warp",
]
