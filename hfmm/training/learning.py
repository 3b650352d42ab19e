"""How a player learns: its section of a recipe, what the names there stand for, and its learning rate.

Nothing here needs torch, so that a recipe is read and refused at once.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

PRECISIONS = ("auto", "fp32", "bf16")
OPTIMIZERS = {  # (class of torch.optim, the settings it takes, whether it has a fused form)
    "adamw": ("AdamW", ("betas", "weight_decay"), True),
    "adam": ("Adam", ("betas", "weight_decay"), True),
    "sgd": ("SGD", ("momentum", "nesterov", "weight_decay"), True),
    "rmsprop": ("RMSprop", ("momentum", "weight_decay"), False),
}


def _constant_then_linear(progress: float, decay: float) -> float:
    return min(1.0, (1.0 - progress) / decay) if decay > 0 else 1.0


SCHEDULES: dict[str, Callable[[float, float], float]] = {  # of (share of max_steps done, `decay`)
    "constant": lambda progress, decay: 1.0,
    "linear": lambda progress, decay: 1.0 - progress,
    "cosine": lambda progress, decay: 0.5 * (1.0 + math.cos(math.pi * progress)),
    "warmup_constant_linear": _constant_then_linear,
}


@dataclass(frozen=True)
class PlayerSection:
    """How one player learns.

    `nesterov` is for SGD: the gradient counts where momentum is about to lead, not where it led.
    `warmup` and `decay` are shares of `max_steps`: of the start, and of the end for `warmup_constant_linear`.
    `freeze` holds regular expressions over parameter names, or the words vision, projector and language. `precision` is
    fp32, bf16, or auto: bf16 where the hardware multiplies in it, else fp32. `channels_last` lays the weights of
    convolutions out as pictures are, channels last: faster for most on CPUs and in bf16 on GPUs.
    """

    optimizer: str = "adamw"
    learning_rate: float = 1e-3
    betas: list[float] = field(default_factory=lambda: [0.9, 0.999])
    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0
    schedule: str = "constant"
    warmup: float = 0.0
    decay: float = 0.35
    clip: float | None = None
    ema: float | None = None
    precision: str = "fp32"
    channels_last: bool = False
    freeze: list[str] = field(default_factory=list)


def learning_rate(section: PlayerSection, step: int, max_steps: int) -> float:
    """The learning rate of a step, a pure function, so that a resumed run needs no schedule state."""
    progress = step / max_steps
    warm = min(1.0, (step + 1) / (section.warmup * max_steps)) if section.warmup > 0 else 1.0
    return section.learning_rate * warm * SCHEDULES[section.schedule](progress, section.decay)
