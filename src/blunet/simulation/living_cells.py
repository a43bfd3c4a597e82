"""One cell that lives: how it looks at each moment between one division and the next."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from blunet.simulation.cells import OUTLINE_DIRECTIONS, Cell, draw_outline
from blunet.simulation.dic_settings import DicSettings
from blunet.simulation.life_settings import LifeSettings

#: Orders of the slow waves that run over an outline, each with a cosine and a sine.
_WAVE_ORDERS = np.array([2, 3, 4, 5])
#: Time in frames after which waves and stretch are forgotten.
_SHAPE_MEMORY = 14.0
#: Radius of a ball in the middle of the cell cycle, relative to the object diameter.
_BALL_RADIUS = 0.27
#: Frames before a division in which the ball gets a waist, and after it in which the daughters stay round.
_CLEAVAGE, _ROUND_DAUGHTERS = 2, 2
#: Share of mitosis in which a cell rounds up; it is a ball for the rest.
_ROUNDING = 0.45

_DIRECTION = np.arange(OUTLINE_DIRECTIONS) * (2 * np.pi / OUTLINE_DIRECTIONS)
_WAVES = np.concatenate([np.cos(_WAVE_ORDERS[:, None] * _DIRECTION), np.sin(_WAVE_ORDERS[:, None] * _DIRECTION)])
_BOTH_ORDERS = np.tile(_WAVE_ORDERS, 2)
_WAIST = np.exp(-((np.cos(_DIRECTION) / 0.45) ** 2))

Floats = NDArray[np.float32]


@dataclass(eq=False)
class LivingCell:
    """A cell between two divisions; `step_shape` and the colony change it from frame to frame.

    Parameters
    ----------
    number : int
        From 1, never used twice.
    parent : int
        Number of the cell that it came from; 0: it was there from the start.
    body : Cell
        What it looks like when it is spread, in the middle of its cycle. Its place is not used.
    y, x : float
        Centre in px.
    heading : float
        Direction of its motion, from +X towards +Y, in radians.
    angle : float
        Direction of its long axis.
    pace : float
        Speed relative to the mean of all cells.
    age, cycle : float
        Frames since the division it came from, and from that to its own; an infinite cycle: it does not divide.
    newborn : bool
        Whether it came from a division, so that it begins as a ball.
    renewed : float
        How far the outline of `body` has changed into `next_outline`, 0 to 1.
    waves : (8,) float array
        Amplitudes of the slow waves of the outline, with a standard deviation of 1.
    bulge : float
        Phase of the ball, relative to the thickness of the settings.
    stretch : float
        Logarithm of the change of its length; its area stays.
    """

    number: int
    parent: int
    body: Cell
    next_outline: Floats
    y: float
    x: float
    heading: float
    angle: float
    pace: float
    age: float
    cycle: float
    newborn: bool
    renewed: float
    waves: NDArray[np.float64]
    bulge: float
    stretch: float = 0.0

    @property
    def left(self) -> float:
        """Frames until it divides."""
        return self.cycle - self.age

    def measure_roundness(self, mitosis: int) -> float:
        """Return how round it is: 0 spread, 1 a ball."""
        if self.body.roundness == 1:
            return 1.0
        rounding = max(1.0, _ROUNDING * mitosis)
        coming = _smooth((mitosis - self.left) / rounding)
        fading = 1 - _smooth((self.age - _ROUND_DAUGHTERS) / mitosis) if self.newborn else 0.0
        return max(coming, fading)

    def step_shape(self, settings: DicSettings, life: LifeSettings, rng: np.random.Generator) -> None:
        """Let a frame pass: the outline changes, and the cell grows older."""
        self.age += 1
        keep = np.exp(-1 / _SHAPE_MEMORY)
        fresh = (1 - keep**2) ** 0.5
        self.waves = keep * self.waves + fresh * rng.standard_normal(2 * len(_WAVE_ORDERS))
        self.stretch = float(keep * self.stretch + fresh * rng.normal(0, life.shape_change))
        self.renewed += 1 / life.renewal
        if self.renewed >= 1:
            self.renewed -= 1
            self.body = replace(self.body, outline=self.next_outline)
            self.next_outline = draw_spread_outline(settings, rng)

    def look(self, settings: DicSettings, life: LifeSettings) -> Cell:
        """Return what it looks like now."""
        body, roundness = self.body, self.measure_roundness(life.mitosis)
        growth = 1.0 if np.isinf(self.cycle) else 0.667 * (1 + min(1.0, self.age / self.cycle))
        if body.roundness == 1:
            return replace(body, y=self.y, x=self.x, angle=self.angle, age=self.age)
        spread = growth**0.5 * np.exp(self.stretch), growth**0.5 * np.exp(-self.stretch)
        size = (body.length * body.width) ** 0.5 / (settings.object_diameter / 2)
        radius = _BALL_RADIUS * settings.object_diameter * (growth * size) ** (1 / 3)
        cleaved = float(np.clip((_CLEAVAGE + 1 - self.left) / _CLEAVAGE, 0, 1))
        return replace(
            body,
            y=self.y,
            x=self.x,
            angle=self.angle,
            length=_blend(body.length * spread[0], radius, roundness) * (1 + 0.6 * cleaved),
            width=_blend(body.width * spread[1], radius, roundness),
            pointedness=body.pointedness + roundness * (2 - body.pointedness),
            bend=(1 - roundness) * body.bend,
            outline=self._draw_outline(life, roundness, cleaved),
            thickness=body.thickness + roundness * (self.bulge * settings.thickness - body.thickness),
            flatness=(1 - roundness) * body.flatness,
            level=body.level + 2 * roundness,
            roundness=roundness,
            age=self.age,
        )

    def divide(
        self, numbers: tuple[int, int], settings: DicSettings, life: LifeSettings, rng: np.random.Generator
    ) -> tuple[LivingCell, LivingCell]:
        """Return the two daughters, side by side along the long axis."""
        ball = self.look(settings, life)
        away = 0.8 * ball.width
        daughters = []
        for number, side in zip(numbers, (1, -1), strict=True):
            size = float(np.exp(rng.normal(0, 0.06)))
            body = replace(
                self.body,
                length=self.body.length * size,
                width=self.body.width * size,
                outline=draw_spread_outline(settings, rng),
                seed=int(rng.integers(2**31)),
            )
            daughters.append(
                replace(
                    self,
                    number=number,
                    parent=self.number,
                    body=body,
                    next_outline=draw_spread_outline(settings, rng),
                    y=self.y + side * away * float(np.sin(self.angle)),
                    x=self.x + side * away * float(np.cos(self.angle)),
                    heading=self.angle + (0 if side > 0 else np.pi) + float(rng.normal(0, 0.3)),
                    angle=self.angle + np.pi / 2,
                    age=0.0,
                    cycle=draw_cycle(life, rng),
                    newborn=True,
                    renewed=0.0,
                    waves=rng.standard_normal(2 * len(_WAVE_ORDERS)),
                    stretch=0.0,
                )
            )
        return daughters[0], daughters[1]

    def _draw_outline(self, life: LifeSettings, roundness: float, cleaved: float) -> Floats:
        outline = (1 - self.renewed) * self.body.outline + self.renewed * self.next_outline
        amplitudes = life.shape_change / _BOTH_ORDERS * self.waves
        outline = np.maximum(outline * (1 + amplitudes @ _WAVES), 0.3)
        outline = 1 + (1 - roundness) * (outline / np.sqrt(np.mean(outline**2)) - 1)
        return np.asarray(outline * (1 - 0.4 * cleaved * _WAIST), np.float32)


def bring_to_life(
    body: Cell, number: int, settings: DicSettings, life: LifeSettings, rng: np.random.Generator
) -> LivingCell:
    """Return a cell that lives, somewhere in its cycle; one that is round in a still field never divides."""
    cycle = np.inf if body.roundness == 1 else draw_cycle(life, rng)
    size = (body.length * body.width) ** 0.5 / (settings.object_diameter / 2)
    body = replace(body, vesicles=int(body.vesicles * min(1.0, size) ** 1.5))
    # In a growing population there are twice as many newborn cells as dividing ones.
    passed = 1 - np.log2(2 - float(rng.random()))
    return LivingCell(
        number=number, parent=0, body=body, next_outline=draw_spread_outline(settings, rng), y=body.y, x=body.x,
        heading=float(rng.uniform(0, 2 * np.pi)), angle=body.angle, pace=float(rng.lognormal(-0.08, 0.4)),
        age=float(np.floor(passed * (cycle if np.isfinite(cycle) else life.cycle))), cycle=cycle, newborn=True,
        renewed=float(rng.random()), waves=rng.standard_normal(2 * len(_WAVE_ORDERS)),
        bulge=float(rng.uniform(2.2, 3.6)),
    )  # fmt: skip


def draw_cycle(life: LifeSettings, rng: np.random.Generator) -> float:
    """Draw the whole number of frames from one division to the next; at least two mitoses and a frame."""
    return float(max(2 * life.mitosis + 1, round(life.cycle * (1 + life.cycle_spread * rng.normal()))))


def draw_spread_outline(settings: DicSettings, rng: np.random.Generator) -> Floats:
    """Draw the outline of a spread cell."""
    return draw_outline(rng, settings.raggedness, int(rng.poisson(settings.protrusions)), 0.3)


def _smooth(share: float) -> float:
    """Return 0 below 0, 1 above 1, and a smooth step between."""
    share = min(1.0, max(0.0, share))
    return share * share * (3 - 2 * share)


def _blend(first: float, second: float, share: float) -> float:
    return float(first ** (1 - share) * second**share)
