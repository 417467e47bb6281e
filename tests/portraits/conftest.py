"""What the tests of the renderer share: the heads and OpenGL, or a plain reason to skip."""

from __future__ import annotations

import pytest

pytest.importorskip("moderngl", reason="moderngl is not installed; it is needed to render portraits only")

from portraits.__main__ import HEADS
from portraits.head import Head
from portraits.raster import Rasterizer


@pytest.fixture(scope="session")
def head():
    if not (HEADS / "base.obj.gz").is_file():
        pytest.skip(f"no head mesh in {HEADS}; portraits/README.md says where MakeHuman publishes it")
    return Head(HEADS)


@pytest.fixture(scope="session")
def raster(head):
    try:
        return Rasterizer(head)
    except Exception as error:
        pytest.skip(f"no OpenGL through EGL here: {error}")
