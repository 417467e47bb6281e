"""The course on rendered clips, whose motion is known: landmarks, then motion, then pictures.

The motion networks look at 64x64 pictures, which makes them cheap to train; what they learn is supervised by
the data: first the keypoint detector by landmarks and the flow around them, then, on its keypoints, the dense
motion network by flow and visibility. The generator then learns to pass what is visible through and to paint
the rest. Many of its pairs are warped by the true flow: an error of the flow would teach it to blur. At last its
decoder learns on close-ups, of eyes and mouths, where what opens has to be painted, and of what else is hidden; a
discriminator sees to it that this is painted sharply.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor

import torch

from .. import models
from .calibration import recalibrate
from .course import Course, Limit, Setting, Shown, Terms, cosine, require_fitting, warm
from .data import Clips, Pairs
from .objective import WINDOWS, CloseUps, Objective
from .self_supervised import build_discriminator
from .transparent import make_transparent

_CALIBRATION = 60  # batches
_STILL = 0.5  # of the pairs that show motion, or close-ups: the head hardly moves, the face does
_TYPICAL = 20  # pictures
_SHOWN = 6  # pairs
_GROWTH = 40  # clips, and as many steps between two looks at the folder
_LEAST = {"landmarks": 0.1, "motion": 0.1, "picture": 0.02, "close_ups": 0.02}  # of a part's rate, at its end
_PREPARED = 4  # pairs at a time, of which close-ups are kept


class Supervised(Course):
    """Training on the clips of `setting.data` (or its `train`; shown on its `test`), by the clock.

    Args:
        setting: where and how.
        model: to go on from; without it, one with random weights.

    Raises:
        UserError: there are no clips, they do not fit the model, or they cannot be trained on as asked.
    """

    columns = ("keypoints", "keypoint_motion", "heatmap", "jacobian", "deformation", "tearing", "choice")
    columns += ("following", "occlusion", "picture", "adversarial", "feature_matching", "discriminator")

    def __init__(self, setting: Setting, model: models.Model | None = None):
        self.settings = setting.config["train_params"] | {"bfloat16": setting.precision == "bf16"}
        self.rank, self.world, self.device = setting.rank, setting.world, setting.device
        self.shares = setting.workers or self.settings["workers"]
        self.clip, self.average = self.settings["clip"], self.settings.get("average")
        self.limit, self.save_every = Limit(minutes=60), Limit(minutes=self.settings["save_minutes"])
        self.model = models.build(setting.config) if model is None else model
        require_fitting(self.model, setting.config)
        data = setting.data
        self.clips = Clips(data / "train" if (data / "train").is_dir() else data, self.model.num_kp)
        self.clips.grow()
        self.clips.require()
        self._told = 0  # clips
        # What has been done between the parts. Of a model that is given, the generator knows how to show the
        # source, and a network that is not to be trained keeps its statistics.
        self._prepared: set[str] = set()
        if model is not None:
            untouched = {part for part in ("landmarks", "motion") if not self.settings[part]["share"]}
            self._prepared = {"painter"} | untouched
        self._close_ups: CloseUps | None = None
        self._close_ups_seed = 0
        self._build(setting.config)
        self._pairs_shown = self._choose_shown(setting)

    def _build(self, config: dict) -> None:
        first = [name.split("_")[0] for name in self.clips.names]
        kinds = [
            [i for i, word in enumerate(first) if word in words] for words in (("eye",), ("mouth", "lip"))
        ]
        parts = [kind for kind in kinds if kind]
        facial = [
            i for i, word in enumerate(first) if word in ("eye", "brow", "nose", "mouth", "lip", "chin")
        ]
        discriminator = build_discriminator(config)
        self.objective = Objective(self.model, discriminator, self.settings, parts, facial, self.device)
        self._teach = {
            "landmarks": self.objective.landmark_terms,
            "motion": self.objective.motion_terms,
            "picture": self.objective.picture_terms,
        }
        self.networks = {part: getattr(self.model, part) for part in models.PARTS}
        self.networks["discriminator"] = discriminator
        dense, painter = self.objective.dense, self.objective.painter
        # The occlusion map learns what is hidden with the motion, and then to serve the picture.
        trained = {
            "landmarks": self.objective.detector.parameters(),
            "motion": dense.parameters(),
            "picture": [*painter.parameters(), *dense.occlusion.parameters()],
            "close_ups": [*self.objective.decoder.parameters()],
        }
        self.optimizers = {
            **{part: torch.optim.Adam(p, betas=(0.9, 0.99)) for part, p in trained.items()},
            "discriminator": torch.optim.Adam(discriminator.parameters(), betas=(0.5, 0.99)),
        }

    def _choose_shown(self, setting: Setting) -> Pairs:
        clips = self.clips
        if (setting.data / "test").is_dir():
            clips = Clips(setting.data / "test", self.model.num_kp)
            clips.grow(_SHOWN)
        picks = [(clip, 1, 0) for clip in (clips.clips or self.clips.clips)[:_SHOWN]]
        return self._moved(clips.pairs(picks, None, small=False))

    # --- the four parts ---------------------------------------------------------------------------

    def _part(self, progress: float) -> tuple[str, float]:
        """Which part of the training it is, and how much of that part is done."""
        begun = 0.0
        for part in ("landmarks", "motion", "picture"):
            share = self.settings[part]["share"]
            if progress < begun + share:
                return part, (progress - begun) / share
            begun += share
        return "close_ups", (progress - begun) / (1 - begun)

    def begin(self, step: int, progress: float, rng: torch.Generator) -> bool:
        """Take in clips that were rendered meanwhile; between the parts, prepare the next one.

        A network whose part is over stands still, with batch norm's statistics fixed. So do they while the
        generator learns: those of a few pictures would hide from it how bright and how colourful each of them is.
        """
        if step % _GROWTH == 0:
            self.clips.grow(_GROWTH)
        part, _ = self._part(progress)
        self.objective.motion.eval()
        if part == "landmarks":
            self.objective.detector.train()
            return False
        changed = self._settle("landmarks", step, rng)
        if part == "motion":
            self.objective.dense.train()
            return changed
        changed |= self._settle("motion", step, rng)
        changed |= self._start_painting(rng)
        self.objective.painter.eval()
        if part == "close_ups":
            if not self._close_ups_seed or step % self.settings["close_ups"]["steps"] == 0:
                self._close_ups_seed = int(torch.randint(1, 2**32, (), generator=rng))
                self._close_ups = None
            if self._close_ups is None:  # a resumed training makes those again that it was interrupted in
                self._close_ups = self._prepared_close_ups()
        return changed

    def rates(self, step: int, progress: float) -> dict[str, float]:
        part, done = self._part(progress)
        rate = self.settings[part]["rate"]
        rates = {part: rate * warm(done * 40) * (_LEAST[part] + (1 - _LEAST[part]) * cosine(done))}
        if part == "close_ups" and self._adversarial(done):
            rates["discriminator"] = rate * cosine(done)
        return rates

    def _adversarial(self, done: float) -> float:
        """How strongly the discriminator's judgement counts, in [0, 1]."""
        begun = done - self.settings["close_ups"]["adversarial_from"]
        return warm(begun * 20) if begun > 0 else 0.0

    def terms(self, step: int, progress: float, rng: torch.Generator) -> Terms:
        part, done = self._part(progress)
        if part == "close_ups":
            count = self._share_of(self.settings[part]["pairs"])
            chosen = torch.randint(len(self._close_ups), (count,), generator=rng)
            seen = self._close_ups[chosen.to(self.device)]
            values = self.objective.close_up_terms(seen, self._adversarial(done))
        else:
            values = self._teach[part](self._pairs(part, rng), rng)
        weights = self.settings["weights"]
        loss = sum(weights[name] * value for name, value in values.items() if name in weights)
        return Terms(values, loss, values.get("discriminator"))

    def finish(self, step: int, rng: torch.Generator) -> None:
        for part in ("landmarks", "motion"):
            self._settle(part, step, rng)

    def _settle(self, part: str, step: int, rng: torch.Generator) -> bool:
        """Fix the batch norm statistics of a part's network to those of its weights by now, once."""
        if part in self._prepared:
            return False
        objective = self.objective
        network = objective.detector if part == "landmarks" else objective.dense
        objective.motion.eval()
        batches = min(_CALIBRATION, 2 + step // 4)
        recalibrate(network, lambda: self._teach[part](self._pairs(part, rng), rng), batches)
        self._prepared.add(part)
        return True

    @torch.no_grad()
    def _start_painting(self, rng: torch.Generator) -> bool:
        """Let the generator begin as one that shows the source, once."""
        if "painter" in self._prepared:
            return False
        objective = self.objective
        pairs = self._moved(self.clips.draw(_TYPICAL, rng, small=False))
        pairs = objective.same_colours(pairs, rng)
        origin, target = objective.detector(pairs.source), objective.detector(pairs.driving)
        occlusion = objective.dense(pairs.source, target, origin).occlusion_map
        make_transparent(objective.generator, pairs.source, occlusion, rng)
        self.optimizers["picture"].state.clear()
        self._prepared.add("painter")
        return True

    # --- data, and what is kept -------------------------------------------------------------------

    def _pairs(self, part: str, rng: torch.Generator) -> Pairs:
        count = self._share_of(self.settings[part]["pairs"])
        how = {"landmarks": {"framed": self.settings["landmarks"]["framed"]}, "motion": {"still": _STILL}}
        return self._moved(self.clips.draw(count, rng, small=part != "picture", **how.get(part, {})))

    def _share_of(self, pairs: int) -> int:
        return max(1, pairs // (self.shares * self.world))

    def _prepared_close_ups(self) -> CloseUps:
        """This process' share of the close-ups that the next steps learn from, by their seed."""
        batches = math.ceil(self.settings["close_ups"]["kept"] / (_PREPARED * WINDOWS * self.world))
        seeds = torch.Generator().manual_seed(self._close_ups_seed)
        seeds = torch.randint(2**32, (self.world, batches), generator=seeds)[self.rank].tolist()

        def prepared(seed: int) -> CloseUps:
            rng = torch.Generator().manual_seed(seed)
            pairs = self.clips.draw(_PREPARED, rng, small=False, still=_STILL)
            return self.objective.close_ups(self._moved(pairs), rng)

        threads = max(1, torch.get_num_threads() // self.shares)
        with ThreadPoolExecutor(self.shares, initializer=torch.set_num_threads, initargs=(threads,)) as pool:
            return CloseUps.joined(list(pool.map(prepared, seeds)))

    def _moved(self, pairs: Pairs) -> Pairs:
        return Pairs(**{name: value.to(self.device) for name, value in vars(pairs).items()})

    def shown(self) -> Shown:
        pairs = self._pairs_shown
        return Shown(pairs.source, pairs.driving, pairs.origin, pairs.target, pairs.flow)

    def about(self) -> dict[str, str]:
        return {"data": f"{len(self.clips)} rendered clips", "landmarks": ",".join(self.clips.names)}

    def news(self) -> list[str]:
        lines = [f"skipped {name}: {why}" for name, why in self.clips.skipped.items()]
        self.clips.skipped.clear()
        if len(self.clips) != self._told:
            self._told = len(self.clips)
            lines.append(f"{self._told} clips")
        return lines

    def state(self) -> dict[str, object]:
        return {"prepared": sorted(self._prepared), "close_ups_seed": self._close_ups_seed}

    def load_state(self, state: dict[str, object]) -> None:
        self._prepared = set(state["prepared"])
        self._close_ups_seed = state.get("close_ups_seed", 0)
