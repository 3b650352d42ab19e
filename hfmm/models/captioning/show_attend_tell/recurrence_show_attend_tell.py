"""The recurrence of Show, Attend and Tell: look, then step the LSTM; as a loop to read, and as one fast function.

Captions are packed: sorted by falling length, the words of one time step side by side, so that step t has
`sizes[t]` rows and no row is padding.

Axes: B captions, T time steps, N words of all captions, L annotations, D annotation width, A attention width, H hidden
width, G 1 with a selector and 0 without. Gates stand in the order input, forget, output, candidate.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import linear
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

Attend = Callable[[Tensor], Tensor]  # attention probabilities (B, L) to the weights that are read, (B, L)


class RecurrenceInputs(NamedTuple):
    """What the recurrence reads.

    Attributes:
        word_gates: (N, 4H), W E y_{t-1} + b, what the previous word adds to the gates.
        annotations: (B, L, D), a.
        projected: (B, L, A), the part of f_att that depends on the annotations alone.
        hidden: (B, H), h_0.
        cell: (B, H), c_0.
        hidden_weight: (4H + A + G, H), everything that multiplies h_{t-1}: U, then f_att's, then f_beta's rows.
        context_weight: (4H, D), Z.
        energy_weight: (A,), last layer of f_att.
        energy_bias: (1,), its bias, which the softmax takes out again.
        selector_bias: (G,), bias of f_beta.
    """

    word_gates: Tensor
    annotations: Tensor
    projected: Tensor
    hidden: Tensor
    cell: Tensor
    hidden_weight: Tensor
    context_weight: Tensor
    energy_weight: Tensor
    energy_bias: Tensor
    selector_bias: Tensor


class RecurrenceOutputs(NamedTuple):
    """What the recurrence returns.

    Attributes:
        hidden: (N, H), h_t.
        context: (N, D), z_t.
        alphas: (N, L), attention probabilities.
        betas: (N, 1), 1 without a selector.
        weights: (N, L), what was read: `alphas`, or one-hot rows.
        cell: (B', H), the cell after the last step, which has B' captions.
    """

    hidden: Tensor
    context: Tensor
    alphas: Tensor
    betas: Tensor
    weights: Tensor
    cell: Tensor


def attention_step(
    inputs: RecurrenceInputs, word_gates: Tensor, hidden: Tensor, cell: Tensor, attend: Attend
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """One word of the first b captions (equation numbers of arXiv 1502.03044).

    Args:
        inputs: Of the whole sequence.
        word_gates: (b, 4H), of this word.
        hidden: (b, H), h_{t-1}.
        cell: (b, H), c_{t-1}.
        attend: Turns probabilities into the weights that are read.

    Returns:
        h_t (b, H), c_t (b, H), z_t (b, D), alpha_t (b, L), beta_t (b, 1) and the weights (b, L).
    """
    count, width = hidden.shape
    attention_width = inputs.projected.shape[2]
    from_hidden = linear(hidden, inputs.hidden_weight)  # b 4H+A+G
    gates, query, selector = from_hidden.split([4 * width, attention_width, len(inputs.selector_bias)], dim=1)

    energies = torch.tanh(inputs.projected[:count] + query[:, None]) @ inputs.energy_weight + inputs.energy_bias  # b L, Eq. 4
    alphas = energies.softmax(1)  # Eq. 5
    weights = attend(alphas)
    context = (weights[:, None] @ inputs.annotations[:count])[:, 0]  # b D, Eq. 6, 8 or 13
    betas = torch.sigmoid(selector + inputs.selector_bias) if selector.shape[1] else torch.ones_like(alphas[:, :1])  # b 1
    context = betas * context

    input_gate, forget_gate, output_gate, candidate = (gates + word_gates + linear(context, inputs.context_weight)).chunk(4, 1)
    cell = forget_gate.sigmoid() * cell + input_gate.sigmoid() * candidate.tanh()  # Eq. 2
    hidden = output_gate.sigmoid() * cell.tanh()  # Eq. 3
    return hidden, cell, context, alphas, betas, weights


def recur(inputs: RecurrenceInputs, sizes: Sequence[int], attend: Attend) -> RecurrenceOutputs:
    """All words, one step after the other; the batch shrinks as captions end.

    Args:
        inputs: What is read.
        sizes: Captions that have a word at each time step, never rising; they add up to N.
        attend: Turns probabilities into the weights that are read.
    """
    hidden, cell = inputs.hidden, inputs.cell
    steps = []
    for count, word_gates in zip(sizes, inputs.word_gates.split(list(sizes)), strict=True):
        hidden, cell, *rest = attention_step(inputs, word_gates, hidden[:count], cell[:count], attend)
        steps.append((hidden, *rest))
    return RecurrenceOutputs(*(torch.cat(parts) for parts in zip(*steps, strict=True)), cell=cell)


def recur_soft(inputs: RecurrenceInputs, sizes: Sequence[int]) -> RecurrenceOutputs:
    """Equals `recur` with soft attention, in a fraction of the time and memory: the gradient is written by hand."""
    hidden, context, alphas, betas, cell = SoftRecurrence.apply(tuple(sizes), *inputs)
    return RecurrenceOutputs(hidden, context, alphas, betas, alphas, cell)


class Steps(NamedTuple):
    """What the forward pass leaves for the backward pass, beside its inputs.

    Attributes:
        previous: (N, H), h_{t-1}.
        query: (N, A), f_att's part of h_{t-1}.
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


def bounds(sizes: Sequence[int]) -> list[tuple[int, int]]:
    """First packed row, and the row after the last, of each time step."""
    ends = torch.tensor(sizes).cumsum(0).tolist()
    return [(end - count, end) for end, count in zip(ends, sizes, strict=True)]


def split_rows(rows: Tensor, inputs: RecurrenceInputs) -> tuple[Tensor, ...]:
    """(b, 4H + A + G) to the gates (b, 4H), the query (b, A) and the selector (b, G), as views."""
    widths = [4 * inputs.hidden.shape[1], inputs.projected.shape[2], len(inputs.selector_bias)]
    return rows.split(widths, dim=1)


def saturation(scaled: Tensor, query: Tensor, out: Tensor) -> Tensor:
    """r = sigmoid(-2 (P + q)), so that tanh(P + q) = 1 - 2 r; on a CPU it takes a sixth of the time of tanh.

    Args:
        scaled: (b, L, A), -2 P.
        query: (b, A), q.
        out: (b, L, A), where the result goes.
    """
    return torch.add(scaled, query[:, None], alpha=-2, out=out).sigmoid_()


class SoftRecurrence(torch.autograd.Function):
    """`recur` with soft attention as one node of the graph.

    The activations of f_att, (b, L, A) each step and by far the largest, are not kept: those of one step live in a buffer,
    and the backward pass computes them again. Gradients of weights are one product over all words.
    """

    @staticmethod
    def forward(ctx: Any, sizes: tuple[int, ...], *tensors: Tensor) -> tuple[Tensor, ...]:
        """Run all steps; see `recur`."""
        inputs = RecurrenceInputs(*tensors)
        steps = Steps.empty(inputs)
        scaled = inputs.projected * -2
        buffer = torch.empty_like(scaled)
        hidden, cell = inputs.hidden, inputs.cell
        for start, end in bounds(sizes):
            step = steps.rows(start, end)
            count = end - start
            step.previous.copy_(hidden[:count])
            gates, query, selector = split_rows(linear(step.previous, inputs.hidden_weight), inputs)
            step.query.copy_(query)
            # constants of the energies are left out: the softmax would take them out
            energies = saturation(scaled[:count], query, buffer[:count]) @ (-2 * inputs.energy_weight)  # b L
            torch.softmax(energies, 1, out=step.alphas)
            torch.bmm(step.alphas[:, None], inputs.annotations[:count], out=step.expected[:, None])
            step.betas.copy_(torch.sigmoid(selector + inputs.selector_bias) if selector.shape[1] else 1)
            torch.mul(step.expected, step.betas, out=step.context)
            torch.add(gates, inputs.word_gates[start:end], out=step.gates)
            step.gates.add_(linear(step.context, inputs.context_weight))
            step_cell(step, cell[:count])
            hidden, cell = step.hidden, step.cell
        ctx.sizes = sizes
        ctx.save_for_backward(*inputs, *steps)
        return steps.hidden, steps.context, steps.alphas, steps.betas, cell.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *d_outputs: Tensor) -> tuple[Any, ...]:
        """Run all steps backward; `d_x` is the gradient at x."""
        inputs = RecurrenceInputs(*ctx.saved_tensors[: len(RecurrenceInputs._fields)])
        steps = Steps(*ctx.saved_tensors[len(RecurrenceInputs._fields) :])
        d_hiddens, d_contexts, d_alphas, d_betas, d_last_cell = d_outputs
        d_rows = inputs.hidden_weight.new_empty(len(steps.hidden), len(inputs.hidden_weight))  # N 4H+A+G
        d_expected = torch.empty_like(steps.expected)
        attention = AttentionGradient(inputs)
        d_hidden, d_cell = torch.zeros_like(inputs.hidden), torch.zeros_like(inputs.cell)
        d_cell[: len(d_last_cell)] = d_last_cell
        times = bounds(ctx.sizes)
        for time in reversed(range(len(times))):
            start, end = times[time]
            count = end - start
            step = steps.rows(start, end)
            d_gates, d_query, d_selector = split_rows(d_rows[start:end], inputs)
            cell_before = steps.cell[times[time - 1][0] :][:count] if time else inputs.cell[:count]
            step_cell_backward(step, cell_before, d_hidden[:count] + d_hiddens[start:end], d_cell[:count], d_gates)
            d_context = torch.addmm(d_contexts[start:end], d_gates, inputs.context_weight)  # b D
            if d_selector.shape[1]:
                d_beta = (d_context * step.expected).sum(1, keepdim=True) + d_betas[start:end]  # b 1
                d_selector.copy_(d_beta * step.betas * (1 - step.betas))
            d_read = torch.mul(d_context, step.betas, out=d_expected[start:end])  # b D
            d_alpha = torch.bmm(d_read[:, None], inputs.annotations[:count].mT)[:, 0] + d_alphas[start:end]  # b L
            d_query.copy_(attention.step(step, d_alpha))
            d_hidden[:count] = d_rows[start:end] @ inputs.hidden_weight
        d_gates, _, d_selector = split_rows(d_rows, inputs)
        d_gates = d_gates.contiguous()  # or the products below take several times as long
        return None, *RecurrenceInputs(
            word_gates=d_gates,
            annotations=annotation_gradient(steps.alphas, d_expected, ctx.sizes) if ctx.needs_input_grad[2] else None,
            projected=attention.projected(),
            hidden=d_hidden,
            cell=d_cell,
            hidden_weight=d_rows.T @ steps.previous,
            context_weight=d_gates.T @ steps.context,
            energy_weight=attention.energy_weight,
            energy_bias=torch.zeros_like(inputs.energy_bias),
            selector_bias=d_selector.sum(0),
        )


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
        d_cell: (b, H), at c_t without what comes through h_t; becomes the gradient at c_{t-1}.
        d_gates: (b, 4H), where the gradient at the gates' sums goes.
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
    """Gradient of e = u . tanh(P + q) summed over the steps.

    With r of `saturation`, de/dP = 4 u r (1 - r) and de/du = 1 - 2 r. The gradients at the energies of one row add up to
    zero, because the softmax ignores a constant; so the 1 of de/du falls away.

    Attributes:
        energy_weight: (A,), gradient at u.
    """

    def __init__(self, inputs: RecurrenceInputs) -> None:
        self.weight = inputs.energy_weight
        self.scaled = inputs.projected * -2  # B L A
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
        sizes: Rows of each time step.
    """
    steps = torch.tensor(sizes)
    weights, _ = pad_packed_sequence(PackedSequence(alphas, steps), batch_first=True)  # B T L
    gradients, _ = pad_packed_sequence(PackedSequence(d_expected, steps), batch_first=True)  # B T D
    return torch.bmm(weights.mT, gradients)
