"""What moves in a clip, as numbers: a scene of `world`, and what each of its bodies does.

Lengths and positions are in units of 1/64 of the picture, times in frames. A body keeps the numbers that the scene
gives it until its move starts (one that grows: from when its move ends), so that the splits of clips are as disjoint
as those of scenes.
"""

from collections.abc import Sequence
from typing import NamedTuple

from hfmm.data.scenes import world
from hfmm.data.scenes.actions import ACTIONS
from hfmm.data.scenes.grammar import SHAPES
from hfmm.data.scenes.render import REACHES
from hfmm.data.scenes.world import UNITS, Body, Draw, Scene

MIN_FRAMES, MAX_FRAMES = 8, 16
HOP = 4  # frames from the ground to the ground
_DIRECTIONS = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}
_HEIGHTS = (6, 7, 8)  # of a hop
_TURNS = (-15, -12, -9, 9, 12, 15)  # degrees a frame, clockwise
_ROUND = ("circle", "ring")  # whose turning nobody sees
_SMALLEST = 0.5  # of its diameter: where growing starts and shrinking ends
_SLACK = 2  # around what turns beyond its diameter, where rounding to coarse pixels could take it out of the picture
_GAP = 2  # between what two bodies sweep, as between those of a scene
_COMPANY = 0.8  # share of the small objects beside a large one in motion that try to move, too

Box = tuple[float, float, float, float]


class Move(NamedTuple):
    """What a body does: it rests until frame `start`, moves, and rests from frame `end` on.

    Attributes:
        action: One of ACTIONS.
        start: The last frame before it has moved.
        end: The frame where it has arrived.
        amount: Units a frame (of a direction), degrees a frame, clockwise (turning), height in units (bouncing).
    """

    action: str
    start: int
    end: int
    amount: int


class State(NamedTuple):
    """Where a body is in a frame: center, diameter (in quarters of a unit) and angle in degrees, clockwise."""

    x: float
    y: float
    diameter: float
    angle: int


def state(body: Body, move: Move | None, frame: int) -> State:
    """The state of a body in a frame; without a move it is always the scene's."""
    rest = State(body.x, body.y, body.diameter, body.angle)
    if move is None:
        return rest
    steps = min(max(frame - move.start, 0), move.end - move.start)
    if move.action in _DIRECTIONS:
        across, down = _DIRECTIONS[move.action]
        return rest._replace(x=body.x + across * move.amount * steps, y=body.y + down * move.amount * steps)
    if move.action == "turning":
        return rest._replace(angle=body.angle + move.amount * steps)
    if move.action == "bouncing":
        since = steps % HOP
        return rest._replace(y=body.y - 4 * move.amount * since * (HOP - since) / HOP**2)  # a parabola
    share = steps / (move.end - move.start)
    full = share if move.action == "growing" else 1 - share
    return rest._replace(diameter=round(4 * body.diameter * (_SMALLEST + (1 - _SMALLEST) * full)) / 4)


def compose(settings: world.Settings, frames: int, draw: Draw) -> tuple[Scene, list[Move | None]]:
    """Draw a scene and the move of each of its bodies, None for those at rest.

    The action of the lead is drawn first, so that all are equally frequent; the lead is the only body that moves or the
    only large one. Scenes of the number of objects that was drawn are tried until one has the room.
    """
    action = ACTIONS[int(draw() * len(ACTIONS))]
    scene = world.sample(settings, draw)
    count = len(scene.bodies)
    while True:
        moves = _cast(scene, action, frames, settings.overlap, draw)
        if moves:
            return scene, moves
        scene = world.sample(settings, draw, count, count)


def _cast(scene: Scene, action: str, frames: int, overlap: bool, draw: Draw) -> list[Move | None] | None:
    """A move for each body, the action for one of them; None where it cannot do that here."""
    bodies = scene.bodies
    lead = int(draw() * len(bodies))
    moves: list[Move | None] = [None] * len(bodies)
    company = [k for k, body in enumerate(bodies) if bodies[lead].is_large and not body.is_large and draw() < _COMPANY]
    for position in (lead, *company):
        chosen = action if position == lead else ACTIONS[int(draw() * len(ACTIONS))]
        moves[position] = _move(chosen, frames, draw)
        if not _possible(bodies, moves, position, overlap):
            moves[position] = None
            if position == lead:
                return None
    return moves


def _move(action: str, frames: int, draw: Draw) -> Move:
    """A move that leaves at least one frame to see the rest before it, and half of all frames to see the move."""
    start = 1 + int(draw() * (frames // 4))
    end = frames - 1 - int(draw() * (frames // 4))
    if action in _DIRECTIONS:
        return Move(action, start, end, 1 + (frames < 12) + int(draw() * 2))
    if action == "turning":
        return Move(action, start, end, _TURNS[int(draw() * len(_TURNS))])
    if action == "bouncing":
        hops = max(1, (end - start) // HOP)
        return Move(action, start, start + HOP * hops, _HEIGHTS[int(draw() * len(_HEIGHTS))])
    return Move(action, start, end, 0)


def _possible(bodies: Sequence[Body], moves: Sequence[Move | None], position: int, overlap: bool) -> bool:
    """Whether a body stays inside the picture and, unless they may overlap, clear of what the others sweep."""
    move = moves[position]
    if move and move.action == "turning" and SHAPES[bodies[position].shape] in _ROUND:
        return False
    swept = _sweep(bodies[position], move)
    if min(swept) < 0 or max(swept) > UNITS:
        return False
    others = [] if overlap else [_sweep(body, moves[k]) for k, body in enumerate(bodies) if k != position]
    return all(_apart(swept, other) for other in others)


def _sweep(body: Body, move: Move | None) -> Box:
    """The box of all that a body covers in the course of its move."""
    states = [state(body, move, frame) for frame in range(MAX_FRAMES)]
    reach = body.diameter / 2
    if move and move.action == "turning" and REACHES[SHAPES[body.shape]] > 1:
        reach = reach * REACHES[SHAPES[body.shape]] + _SLACK
    xs, ys = [each.x for each in states], [each.y for each in states]
    return min(xs) - reach, min(ys) - reach, max(xs) + reach, max(ys) + reach


def _apart(first: Box, second: Box) -> bool:
    return any(
        low[axis + 2] + _GAP <= high[axis] for low, high in ((first, second), (second, first)) for axis in (0, 1)
    )
