"""Follows a face through pictures: MediaPipe's landmarks, and from them how head, mouth and eyes are held.

The mesh is that of Kartynnik et al., "Real-time Facial Surface Geometry from Monocular Video on Mobile GPUs"
(2019), lips and eyes refined as in Grishchenko et al., "Attention Mesh" (2020). Its networks ship inside the wheel.
Angles are the Euler angles of `portraits`, whose clips with known poses this can be held against.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from scipy.spatial.transform import Rotation

from fomm_core.errors import UserError

LANDMARKS = 478
# The mesh's landmarks on bone, which no expression moves: (sitter's right, sitter's left) of the eyes' corners, the
# temples from brow to ear and the wings of the nose; and the nose's ridge from root to base.
PAIRS = np.array(
    [(33, 263), (133, 362), (130, 359), (54, 284), (21, 251), (162, 389), (127, 356), (234, 454), (98, 327)]
)
RIDGE = np.array([168, 6, 197, 195, 5, 4, 1, 2])
BONE = np.concatenate([PAIRS.ravel(), RIDGE])
FOREHEAD, CHIN, NOSE_BASE, UPPER_LIP, LOWER_LIP = 10, 152, 2, 13, 14
EYES = np.array(
    [(159, 145, 33, 133), (386, 374, 263, 362)]
)  # the sitter's right, left: lids; outer, inner corner


def follow(images: Iterable[np.ndarray]) -> np.ndarray:
    """(N,478,3) landmarks of the face in each of N (H,W,3) uint8 images, NaN where none is found.

    In pixels: x to the right, y up, z towards us. Every image is looked at on its own, so that a face which is lost
    is not guessed from the frame before. Raises `UserError` where MediaPipe is not installed.
    """
    try:
        from mediapipe.python.solutions.face_mesh import FaceMesh
    except ImportError as error:
        raise UserError(
            "runtime",
            f"The face tracker cannot be used ({error}).",
            "Install requirements-dev.txt into a Python 3.11, and libgl1 and libglib2.0-0 where they are missing.",
        ) from error

    faces = []
    with FaceMesh(static_image_mode=True, max_num_faces=1, refine_landmarks=True) as mesh:
        for image in images:
            height, width = image.shape[:2]
            found = mesh.process(np.ascontiguousarray(image)).multi_face_landmarks
            points = (
                [(p.x, p.y, p.z) for p in found[0].landmark] if found else np.full((LANDMARKS, 3), np.nan)
            )
            faces.append(np.array(points) * (width, -height, -width))  # z is in units of the width
    return np.array(faces).reshape(-1, LANDMARKS, 3)


def head_angles(faces: np.ndarray) -> np.ndarray:
    """(N,3) yaw, pitch and roll in radians of one sitter's (N,478,3) landmarks; NaN where those are.

    Yaw > 0 turns to the sitter's left, pitch > 0 looks down, roll > 0 tilts anticlockwise in the picture. Each face
    is laid upon the sitter's median shape by the rotation of least squares (Kabsch 1976), over the bones alone.
    """
    angles = np.full((len(faces), 3), np.nan)
    found = np.isfinite(faces).all((1, 2))
    if not found.any():
        return angles
    bones = faces[found][:, BONE]
    bones = bones - bones.mean(1, keepdims=True)
    bones = bones / np.sqrt(np.square(bones).sum((1, 2), keepdims=True))
    # The median: a few frames in which the mesh went astray must not bend the shape all others are held against.
    shape = np.median(bones @ _axes(faces[found]), axis=0)
    turns = [Rotation.align_vectors(bone, shape)[0].as_matrix() for bone in bones]
    angles[found] = Rotation.from_matrix(turns).as_euler("YXZ")
    return angles


def mouth_openings(faces: np.ndarray) -> np.ndarray:
    """(N,) distance between the lips' inner edges over the face's height, forehead to chin; NaN where lost."""
    height = np.linalg.norm(faces[:, FOREHEAD] - faces[:, CHIN], axis=-1)
    return np.linalg.norm(faces[:, UPPER_LIP] - faces[:, LOWER_LIP], axis=-1) / height


def eye_openings(faces: np.ndarray) -> np.ndarray:
    """(N,) distance between the lids over that between the eye's corners, mean of both eyes; NaN where lost."""
    upper, lower, outer, inner = faces[:, EYES].transpose(2, 0, 1, 3)
    return (np.linalg.norm(upper - lower, axis=-1) / np.linalg.norm(outer - inner, axis=-1)).mean(1)


def _axes(faces: np.ndarray) -> np.ndarray:
    """(N,3,3), in columns the head's own axes to the sitter's left, up and forward, by the face's symmetry."""
    left = (faces[:, PAIRS[:, 1]] - faces[:, PAIRS[:, 0]]).sum(1)
    left /= np.linalg.norm(left, axis=-1, keepdims=True)
    up = faces[:, FOREHEAD] - faces[:, NOSE_BASE]
    up -= (up * left).sum(-1, keepdims=True) * left
    up /= np.linalg.norm(up, axis=-1, keepdims=True)
    return np.stack([left, up, np.cross(left, up)], axis=-1)
