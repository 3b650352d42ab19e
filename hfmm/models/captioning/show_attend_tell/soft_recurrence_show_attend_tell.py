"""The recurrence with soft attention, fast: equals `recur`, with a backward pass written by hand.

Axes: B captions, b captions of one step, N words of all captions, L annotations, D annotation width, A attention width,
H hidden width, G 1 with a selector and 0 without. `d_x` is the gradient at x.
"""

from collections.abc import Sequence
from itertools import accumulate
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import linear
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

from .recurrence_show_attend_tell import RecurrenceInputs, RecurrenceOutputs


def recur_soft(inputs: RecurrenceInputs, sizes: Sequence[int]) -> RecurrenceOutputs:
    """`recur` with soft attention, in a fraction of its time and memory.

    Args:
        inputs: What is read.
        sizes: Captions that have a word at each step, never rising; they add up to N.
    """
    hidden, cell, context, alphas, betas = SoftRecurrence.apply(tuple(sizes), *inputs)
    return RecurrenceOutputs(hidden, cell, context, alphas, betas, weights=alphas)


class Steps(NamedTuple):
    """What the forward pass leaves for the backward pass, beside its inputs.

    Attributes:
        previous: (N, H), h_{t-1}.
        query: (N, A), q, f_att's part of h_{t-1}.
        alphas: (N, L).
        expected: (N, D), sum of alpha a, before beta.
        betas: (N, 1).
        context: (N, D), z_t.
        gates: (N, 4H), after their sigmoids and tanh.
        cell: (N, H), c_t.
        hidden: (N, H), h_t.
    """

    previous: Tensor
    query: Tensor
    alphas: Tensor
    expected: Tensor
    betas: Tensor
    context: Tensor
    gates: Tensor
    cell: Tensor
    hidden: Tensor

    @classmethod
    def empty(cls, inputs: RecurrenceInputs) -> "Steps":
        """Room for all words."""
        width = inputs.hidden.shape[1]
        _, locations, depth = inputs.annotations.shape
        widths = (width, inputs.projected.shape[2], locations, depth, 1, depth, 4 * width, width, width)
        return cls(*(inputs.word_gates.new_empty(len(inputs.word_gates), size) for size in widths))

    def rows(self, start: int, end: int) -> "Steps":
        """The rows of one time step, as views."""
        return Steps(*(part[start:end] for part in self))


def saturation(scaled: Tensor, query: Tensor, out: Tensor) -> Tensor:
    """Compute r = sigmoid(-2 (P + q)), so that tanh(P + q) = 1 - 2 r; on a CPU it takes a sixth of the time of tanh.

    Args:
        scaled: (b, L, A), -2 P.
        query: (b, A), q.
        out: (b, L, A), where the result goes.
    """
    return torch.add(scaled, query[:, None], alpha=-2, out=out).sigmoid_()


def step_cell(step: Steps, cell: Tensor) -> None:
    """Turn the sums in `step.gates` into gates, and with them c_{t-1} (b, H) into c_t and h_t, in place."""
    width = cell.shape[1]
    step.gates[:, : 3 * width].sigmoid_()
    step.gates[:, 3 * width :].tanh_()
    input_gate, forget_gate, output_gate, candidate = step.gates.chunk(4, 1)
    torch.mul(forget_gate, cell, out=step.cell).addcmul_(input_gate, candidate)  # Eq. 2
    torch.mul(output_gate, step.cell.tanh(), out=step.hidden)  # Eq. 3


def step_cell_backward(step: Steps, cell: Tensor, d_hidden: Tensor, d_cell: Tensor, d_gates: Tensor) -> None:
    """Gradients of `step_cell`.

    Args:
        step: After the step.
        cell: (b, H), c_{t-1}.
        d_hidden: (b, H), at h_t.
        d_cell: (b, H), at c_t but for what comes through h_t; becomes the gradient at c_{t-1}.
        d_gates: (b, 4H), where the gradient at the sums goes.
    """
    width = cell.shape[1]
    input_gate, forget_gate, output_gate, candidate = step.gates.chunk(4, 1)
    d_input, d_forget, d_output, d_candidate = d_gates.chunk(4, 1)
    squashed = step.cell.tanh()
    d_cell.addcmul_(d_hidden * output_gate, 1 - squashed * squashed)
    torch.mul(d_cell, candidate, out=d_input)
    torch.mul(d_cell, cell, out=d_forget)
    torch.mul(d_hidden, squashed, out=d_output)
    sigmoids = step.gates[:, : 3 * width]
    d_gates[:, : 3 * width].mul_(sigmoids).mul_(1 - sigmoids)
    torch.mul(d_cell * input_gate, 1 - candidate * candidate, out=d_candidate)
    d_cell.mul_(forget_gate)


class AttentionGradient:
    """Gradients of the energies e = u . tanh(P + q), which are added up over the steps.

    With r of `saturation`, de/dP = 4 u r (1 - r) and de/du = 1 - 2 r. The gradients at the energies of a row add up to
    zero, because the softmax ignores a constant, so the 1 of de/du falls away.

    Attributes:
        energy_weight: (A,), gradient at u.
    """

    def __init__(self, inputs: RecurrenceInputs) -> None:
        self.weight = inputs.energy_weight
        self.scaled = inputs.projected  # B L A, -2 P as the forward pass left it
        self.buffer = torch.empty_like(self.scaled)
        self.slopes = torch.zeros_like(self.scaled)  # sum over the steps of d_energy r (1 - r)
        self.energy_weight = torch.zeros_like(self.weight)

    def step(self, step: Steps, d_alpha: Tensor) -> Tensor:
        """Take in the gradient at alpha of one step, (b, L); return that at its query, (b, A)."""
        d_energy = step.alphas * (d_alpha - (step.alphas * d_alpha).sum(1, keepdim=True))  # b L
        count = len(d_energy)
        activation = saturation(self.scaled[:count], step.query, self.buffer[:count])  # b L A
        self.energy_weight -= 2 * torch.bmm(d_energy[:, None], activation).sum((0, 1))
        slope = activation.addcmul_(activation, activation, value=-1)  # r (1 - r)
        self.slopes[:count].addcmul_(slope, d_energy[:, :, None])
        return 4 * self.weight * torch.bmm(d_energy[:, None], slope)[:, 0]

    def projected(self) -> Tensor:
        """Gradient at P, (B, L, A)."""
        return self.slopes.mul_(4 * self.weight)


def annotation_gradient(alphas: Tensor, d_expected: Tensor, sizes: Sequence[int]) -> Tensor:
    """Gradient at the annotations, (B, L, D), of their sums weighted by alpha.

    Args:
        alphas: (N, L).
        d_expected: (N, D), at the sums.
        sizes: Rows of each step.
    """
    steps = torch.tensor(sizes)
    weights, _ = pad_packed_sequence(PackedSequence(alphas, steps), batch_first=True)  # B T L
    gradients, _ = pad_packed_sequence(PackedSequence(d_expected, steps), batch_first=True)  # B T D
    return torch.bmm(weights.mT, gradients)


class SoftRecurrence(torch.autograd.Function):
    """`recur` with soft attention as one node of the graph.

    The activations of f_att, (b, L, A) each step and by far the largest, are not kept: those of one step live in a
    buffer, and the backward pass computes them again. The gradient at a weight is one product over all words.
    """

    @staticmethod
    def forward(ctx: Any, sizes: tuple[int, ...], *tensors: Tensor) -> tuple[Tensor, ...]:
        """Run all steps; see `recur`."""
        inputs = RecurrenceInputs(*tensors)
        steps = Steps.empty(inputs)
        scaled = inputs.projected * -2  # B L A
        buffer = torch.empty_like(scaled)
        hidden, cell = inputs.hidden, inputs.cell
        for count, end in zip(sizes, accumulate(sizes), strict=True):
            step = steps.rows(end - count, end)
            step.previous.copy_(hidden[:count])
            gates, query, selector = inputs.split(linear(step.previous, inputs.hidden_weight))
            step.query.copy_(query)
            # constants of the energies are left out: the softmax would take them out
            energies = saturation(scaled[:count], query, buffer[:count]) @ (-2 * inputs.energy_weight)  # b L, Eq. 4
            torch.softmax(energies, 1, out=step.alphas)  # Eq. 5
            torch.bmm(step.alphas[:, None], inputs.annotations[:count], out=step.expected[:, None])  # Eq. 13
            if selector.shape[1]:
                torch.sigmoid(selector + inputs.selector_bias, out=step.betas)
            else:
                step.betas.fill_(1)
            torch.mul(step.expected, step.betas, out=step.context)
            gates = gates + inputs.word_gates[end - count : end]
            torch.addmm(gates, step.context, inputs.context_weight.T, out=step.gates)  # Eq. 1
            step_cell(step, cell[:count])
            hidden, cell = step.hidden, step.cell
        ctx.sizes = sizes
        ctx.save_for_backward(*inputs._replace(projected=scaled), *steps)
        return steps.hidden, steps.cell, steps.context, steps.alphas, steps.betas

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *d_outputs: Tensor) -> tuple[Any, ...]:
        """Run all steps backward."""
        inputs = RecurrenceInputs(*ctx.saved_tensors[: len(RecurrenceInputs._fields)])
        steps = Steps(*ctx.saved_tensors[len(RecurrenceInputs._fields) :])
        d_hiddens, d_cells, d_contexts, d_alphas, d_betas = d_outputs
        d_rows = inputs.hidden_weight.new_empty(len(steps.hidden), len(inputs.hidden_weight))  # N 4H+A+G
        d_expected = torch.empty_like(steps.expected)
        attention = AttentionGradient(inputs)
        d_hidden, d_cell = torch.zeros_like(inputs.hidden), torch.zeros_like(inputs.cell)
        end = len(steps.hidden)
        for count, earlier in zip(reversed(ctx.sizes), (*reversed(ctx.sizes[:-1]), 0), strict=True):
            here = slice(end - count, end)
            end -= count
            step = steps.rows(here.start, here.stop)
            cell_before = steps.cell[end - earlier : end][:count] if earlier else inputs.cell[:count]
            d_gates, d_query, d_selector = inputs.split(d_rows[here])
            d_cell[:count] += d_cells[here]
            step_cell_backward(step, cell_before, d_hidden[:count] + d_hiddens[here], d_cell[:count], d_gates)
            d_context = torch.addmm(d_contexts[here], d_gates, inputs.context_weight)  # b D
            if d_selector.shape[1]:
                d_beta = (d_context * step.expected).sum(1, keepdim=True) + d_betas[here]  # b 1
                d_selector.copy_(d_beta * step.betas * (1 - step.betas))
            d_read = torch.mul(d_context, step.betas, out=d_expected[here])  # b D
            d_alpha = torch.bmm(d_read[:, None], inputs.annotations[:count].mT)[:, 0] + d_alphas[here]  # b L
            d_query.copy_(attention.step(step, d_alpha))
            d_hidden[:count] = d_rows[here] @ inputs.hidden_weight
        d_gates, _, d_selector = inputs.split(d_rows)
        d_gates = d_gates.contiguous()  # or the products with it take several times as long
        d_annotations: Any = None  # of a frozen picture network
        if ctx.needs_input_grad[2]:
            d_annotations = annotation_gradient(steps.alphas, d_expected, ctx.sizes)
        return None, *RecurrenceInputs(
            word_gates=d_gates,
            annotations=d_annotations,
            projected=attention.projected(),
            hidden=d_hidden,
            cell=d_cell,
            hidden_weight=d_rows.T @ steps.previous,
            context_weight=d_gates.T @ steps.context,
            energy_weight=attention.energy_weight,
            energy_bias=torch.zeros_like(inputs.energy_bias),
            selector_bias=d_selector.sum(0),
        )
