"""The engine: a source is set once, then driving motion comes in batches and predictions go out."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple, TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from . import framing, inference, lanes
from .errors import UserError
from .framing import WHOLE, Square
from .heads import Head
from .inference import Network
from .models import Model
from .network import DenseMotion, Keypoints, Source

# One at a time on the CPU, where several are under way at once (see `lanes`).
BATCH = {"cuda": 16, "mps": 4, "cpu": 1}
# Sources that are kept, with all that was worked out for them: the next clip for a painting begins sooner.
KNOWN = 4

Item = TypeVar("Item")
Result = TypeVar("Result")


class Prediction(NamedTuple):
    """What the model says of N frames.

    Attributes:
        image: (N,S,S,3) uint8, S the model's frame size.
        deformation: (N,h,w,2) float32, where in the source each place comes from, (x, y) in [-1, 1].
        occlusion: (N,h,w) float32 in [0, 1], 1 where the source shows it.
        background: (N,h,w) float32 in [0, 1], how much each place follows the background, which does not move.
    """

    image: np.ndarray
    deformation: np.ndarray
    occlusion: np.ndarray
    background: np.ndarray


@dataclass
class _Known:
    """What was worked out for a source.

    Attributes:
        value, jacobian: its keypoints, (1,K,2) and (1,K,2,2).
        origin, source: the same, and what the network keeps of the picture, on the device.
        still: the prediction for no motion, once it has been asked for.
    """

    value: np.ndarray
    jacobian: np.ndarray
    origin: Keypoints
    source: Source
    still: Prediction | None = None


def devices() -> list[tuple[str, str]]:
    """Names and labels of the devices there are, the fastest first."""
    found = []
    for i in range(torch.cuda.device_count()):
        found.append((f"cuda:{i}", torch.cuda.get_device_name(i)))
    if torch.backends.mps.is_available():
        found.append(("mps", "Apple GPU"))
    return [*found, ("cpu", "CPU")]


def pick_device(name: str) -> torch.device:
    """The device that auto, cpu, cuda, cuda:N or mps names. Raises `UserError` where it is not there."""
    available = [device for device, _ in devices()]
    chosen = available[0] if name == "auto" else "cuda:0" if name == "cuda" else name
    if chosen not in available:
        raise UserError(
            "device",
            f"There is no device {name!r} that this PyTorch ({torch.__version__}) can use.",
            f"Use one of: auto, {', '.join(available)}.",
        )
    return torch.device(chosen)


class Animator:
    """Animates one source at a time with a loaded model.

    `set_source` encodes a picture once; `animate` may then be called with any amount of motion. Pictures are
    HWC uint8 RGB, square, of `frame_size`; keypoints are in [-1, 1] of that square.

    Attributes:
        head: where on a head the model's keypoints are, if it says so.

    Args:
        model: its weights as they are now; later changes to them go unnoticed, and it is not kept in memory.
        device: as `pick_device` takes it.
        precision: auto, fp32, fp16 or bf16, of the pictures; keypoints and motion are always fp32.
    """

    def __init__(self, model: Model, device: str = "auto", precision: str = "fp32"):
        self.name, self.metadata = model.name, model.metadata
        self.device = pick_device(device)
        landmarks = model.metadata.get("landmarks", "").split(",")
        self.head = Head.of(landmarks) if len(landmarks) == model.num_kp else None
        self.frame_size = model.frame_size
        self.batch_size = BATCH[self.device.type]
        # Batches under way besides the one that is waited for: on a GPU one, so that it has work meanwhile.
        self._ahead = lanes.count() if self.device.type == "cpu" else 1
        try:
            self._network: Network = inference.build(model, self.device, precision)
        except (RuntimeError, MemoryError) as error:
            if not _is_out_of_memory(error):
                raise
            raise self._too_little_memory() from error
        self._known: dict[bytes, _Known] = {}  # by the picture
        self._set: _Known | None = None

    def beside(self) -> Animator:
        """Another animator, for another source, that shares the network and all known sources with this one."""
        other = copy.copy(self)
        other._set = None
        return other

    def look(self, images: np.ndarray) -> Square:
        """The square of (N,S,S,3) uint8 images of one head to detect keypoints in: around it, in all of them.

        It is the whole where the model does not say where on a head its keypoints are, or they do not lie so.
        """
        return WHOLE if self.head is None else self.around(self.detect(images)[0])

    def around(self, value: np.ndarray) -> Square:
        """The same, where (N,K,2) keypoints have been detected in the whole images.

        Images in which they do not surely lie as a head's say nothing, unless none do.
        """
        if self.head is None:
            return WHOLE
        surely = self.head.surely(value)
        value = value[surely] if surely.any() else value
        if self.head.poses(value) is None:
            return WHOLE
        return framing.within_picture(framing.around(torch.from_numpy(value)[None])[0])

    def detect(self, images: np.ndarray, square: Square = WHOLE) -> tuple[np.ndarray, np.ndarray]:
        """Keypoints (N,K,2) and Jacobians (N,K,2,2) of (N,S,S,3) uint8 images, float32.

        The detector looks at the `square` of them; keypoints are in [-1, 1] of the images all the same.
        """
        found = self.detections(images, square=square)
        return tuple(np.concatenate(parts) for parts in zip(*found, strict=True))

    def detections(
        self,
        images: Iterable[Item],
        seen: Callable[[Item], np.ndarray] = np.asarray,
        square: Square = WHOLE,
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """The same for images that come one after the other, batch by batch, in order.

        Args:
            images: anything of which `seen`, which is called from several threads, makes an (S,S,3) image.
            square: as for `detect`.
        """
        # On the CPU the lanes do that, too: a thread besides them waits for a core again and again. For a GPU's
        # batches it is done at once, for they would hold dozens of whole frames.
        if self.device.type != "cpu":
            images, seen = map(seen, images), np.asarray
        images = iter(images)
        batches = iter(lambda: list(islice(images, self.batch_size)), [])
        yield from self._in_batches(
            ((batch,) for batch in batches), lambda batch: self._detect(np.stack([*map(seen, batch)]), square)
        )

    def set_source(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Make the (S,S,3) uint8 `image` the source; returns its keypoints (K,2) and Jacobians (K,2,2)."""
        key = image.tobytes()
        if key not in self._known:
            value, jacobian = self.detect(image[None], self.look(image[None]))
            (source,) = self._in_batches([(image[None],)], self._encode)
            while len(self._known) >= KNOWN:
                self._known.pop(next(iter(self._known)))
            self._known[key] = _Known(value, jacobian, self._keypoints(value, jacobian), source)
        self._set = self._known[key]
        return self._set.value[0], self._set.jacobian[0]

    def animate(
        self, value: np.ndarray, jacobian: np.ndarray, still_first: bool = False
    ) -> Iterator[Prediction]:
        """Predictions for driving keypoints (N,K,2) and Jacobians (N,K,2,2), batch by batch, in order.

        Args:
            still_first: begin with one frame more, that of `still`.

        Raises:
            UserError: out_of_memory where even one frame at a time is too much.
        """
        self._require_source("animate")
        known = self._set
        if still_first and known.still:
            yield known.still
        elif still_first:
            value = np.concatenate([known.value, value])
            jacobian = np.concatenate([known.jacobian, jacobian])
        for prediction in self._in_batches(self._batches(value, jacobian), self._predict):
            if still_first and not known.still:
                known.still = Prediction(*(part[:1].copy() for part in prediction))
            yield prediction

    def still(self) -> Prediction:
        """The prediction of one frame, without the first axis, for no motion: the driving pose is the source's."""
        self._require_source("still")
        nothing = slice(0, 0)
        (prediction,) = self.animate(self._set.value[nothing], self._set.jacobian[nothing], still_first=True)
        return Prediction(*(part[0] for part in prediction))

    def masks(self, value: np.ndarray, jacobian: np.ndarray) -> Iterator[np.ndarray]:
        """Batches of (N,K+1,h,w) float32 for the same motion as `animate`.

        They say how much each place follows the background (first) and each keypoint, and sum to 1.
        """
        self._require_source("masks")
        yield from self._in_batches(self._batches(value, jacobian), self._masks)

    def _require_source(self, method: str) -> None:
        if self._set is None:
            raise RuntimeError(f"{method}() before set_source()")

    def _batches(self, *arrays: Sequence) -> Iterator[tuple[Sequence, ...]]:
        """The arrays or lists, equally long, cut into batches."""
        start = 0
        while start < len(arrays[0]):
            stop = start + self.batch_size  # which may change meanwhile
            yield tuple(array[start:stop] for array in arrays)
            start = stop

    def _in_batches(
        self, batches: Iterable[tuple[Sequence, ...]], run: Callable[..., Result]
    ) -> Iterator[Result]:
        """`run` of each batch; where memory runs out, of as many smaller ones as it takes."""
        for results in lanes.in_order(lambda batch: self._run(batch, run), batches, self._ahead):
            yield from results

    def _run(self, batch: tuple[Sequence, ...], run: Callable[..., Result]) -> list[Result]:
        try:
            return [run(*batch)]
        except (RuntimeError, MemoryError) as error:
            if not _is_out_of_memory(error):
                raise
        # Outside the handler: the exception holds the failed batch's memory.
        if len(batch[0]) == 1:
            raise self._too_little_memory()
        self.batch_size = min(self.batch_size, len(batch[0]) // 2)
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        return [result for part in self._batches(*batch) for result in self._run(part, run)]

    def _too_little_memory(self) -> UserError:
        return UserError(
            "out_of_memory",
            f"There is not enough memory on {self.device} to animate with {self.name}.",
            "Close other programs, or choose another device.",
        )

    @torch.inference_mode()
    def _encode(self, images: np.ndarray) -> Source:
        return self._network.encode(self._tensor(images))

    @torch.inference_mode()
    def _detect(self, images: np.ndarray, square: Square) -> tuple[np.ndarray, np.ndarray]:
        pictures, looks = self._tensor(images), framing.looks(square)
        found = [framing.placed(self._network.detect(framing.cut(pictures, look)), look) for look in looks]
        found = framing.mean(found)
        if found.jacobian is None:  # a model of zero order: parts move without turning
            (value,) = self._fetched(found.value)
            return value, np.broadcast_to(np.eye(2, dtype=np.float32), (*value.shape, 2)).copy()
        return self._fetched(*found)

    @torch.inference_mode()
    def _masks(self, value: np.ndarray, jacobian: np.ndarray) -> np.ndarray:
        (masks,) = self._fetched(self._motion(value, jacobian)[1].mask.float())
        return masks

    def _motion(self, value: np.ndarray, jacobian: np.ndarray) -> tuple[Source, DenseMotion]:
        n = len(value)
        source = self._set.source.expand(n)
        origin = Keypoints(*(part.expand(n, *part.shape[1:]) for part in self._set.origin))
        return source, self._network.motion(source, self._keypoints(value, jacobian), origin)

    @torch.inference_mode()
    def _predict(self, value: np.ndarray, jacobian: np.ndarray) -> Prediction:
        source, motion = self._motion(value, jacobian)
        image = self._network.decode(source, motion)
        occlusion = motion.occlusion_map
        if occlusion is None:
            occlusion = torch.ones_like(motion.mask[:, :1])
        pixels = (image * 255).round().byte().permute(0, 2, 3, 1).contiguous()
        maps = (motion.deformation, occlusion[:, 0], motion.mask[:, 0])
        return Prediction(*self._fetched(pixels, *(part.float() for part in maps)))

    def _tensor(self, images: np.ndarray) -> Tensor:
        return self._sent(images).permute(0, 3, 1, 2).float() / 255

    def _keypoints(self, value: np.ndarray, jacobian: np.ndarray) -> Keypoints:
        return Keypoints(self._sent(value), self._sent(jacobian))

    def _sent(self, array: np.ndarray) -> Tensor:
        """The array on the device. CUDA copies from pinned memory, and nobody waits for it."""
        tensor = torch.from_numpy(np.ascontiguousarray(array))
        if self.device.type == "cuda":
            return tensor.pin_memory().to(self.device, non_blocking=True)
        return tensor.to(self.device)

    def _fetched(self, *tensors: Tensor) -> tuple[np.ndarray, ...]:
        """What the device has computed. From CUDA all copies go into pinned memory, and are waited for once."""
        cuda = self.device.type == "cuda"  # elsewhere a copy that is not waited for may not be there yet
        copies = [tensor.to("cpu", non_blocking=cuda) for tensor in tensors]
        if cuda:
            torch.cuda.current_stream(self.device).synchronize()
        return tuple(copy.numpy() for copy in copies)


def resized(image: np.ndarray, size: int, antialias: bool) -> np.ndarray:
    """An (h,w,3) uint8 image stretched to a square of `size`, bilinear.

    Without `antialias` it is what the published code does to its inputs.
    """
    if image.shape[:2] == (size, size):
        return image
    pixels = torch.from_numpy(np.require(image, requirements="CW")).permute(2, 0, 1)[None]
    if antialias:  # of bytes in integers: a fifth of the time, for a last bit that nothing depends on
        small = F.interpolate(pixels, (size, size), mode="bilinear", antialias=True)
    else:
        small = F.interpolate(pixels.float(), (size, size), mode="bilinear").round_().clamp_(0, 255).byte()
    return small[0].permute(1, 2, 0).contiguous().numpy()


def _is_out_of_memory(error: Exception) -> bool:
    # The CPU's allocator and Apple's driver raise a plain RuntimeError; only their words tell.
    words = str(error).lower()
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or any(
        phrase in words for phrase in ("out of memory", "not enough memory", "can't allocate memory")
    )
