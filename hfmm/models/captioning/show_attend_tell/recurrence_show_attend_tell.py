"""The recurrence of Show, Attend and Tell, as a loop to read: look, then step the LSTM.

Captions are packed, as by `torch.nn.utils.rnn.pack_padded_sequence`: sorted by falling length, the words of one time
step side by side, so that step t has `sizes[t]` rows and no row is padding.

Axes: B captions, b captions of one step, N words of all captions, L annotations, D annotation width, A attention width,
H hidden width, G 1 with a selector and 0 without. Gates stand in the order input, forget, output, candidate.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import linear

Attend = Callable[[Tensor], Tensor]  # attention probabilities (b, L) to the weights that are read, (b, L)


class RecurrenceInputs(NamedTuple):
    """What the recurrence reads.

    Attributes:
        word_gates: (N, 4H), W E y_{t-1} + b, what the previous word adds to the gates.
        annotations: (B, L, D), a.
        projected: (B, L, A), P, the part of f_att that depends on the annotations alone.
        hidden: (B, H), h_0.
        cell: (B, H), c_0.
        hidden_weight: (4H + A + G, H), all that multiplies h_{t-1}: U, then the rows of f_att, then those of f_beta.
        context_weight: (4H, D), Z.
        energy_weight: (A,), u, last layer of f_att.
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

    def split(self, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Rows of width 4H + A + G to gates (b, 4H), query (b, A) and selector (b, G)."""
        widths = [4 * self.hidden.shape[1], self.projected.shape[2], len(self.selector_bias)]
        gates, query, selector = rows.split(widths, dim=1)
        return gates, query, selector


class RecurrenceOutputs(NamedTuple):
    """What the recurrence returns, packed.

    Attributes:
        hidden: (N, H), h_t.
        cell: (N, H), c_t.
        context: (N, D), z_t.
        alphas: (N, L), attention probabilities.
        betas: (N, 1), 1 without a selector.
        weights: (N, L), what was read: `alphas`, or one-hot rows.
    """

    hidden: Tensor
    cell: Tensor
    context: Tensor
    alphas: Tensor
    betas: Tensor
    weights: Tensor


def attention_step(
    inputs: RecurrenceInputs, word_gates: Tensor, hidden: Tensor, cell: Tensor, attend: Attend
) -> RecurrenceOutputs:
    """One word of the first b captions (equation numbers of arXiv 1502.03044).

    Args:
        inputs: Of the whole captions.
        word_gates: (b, 4H), of this word.
        hidden: (b, H), h_{t-1}.
        cell: (b, H), c_{t-1}.
        attend: Turns probabilities into the weights that are read.
    """
    count = len(hidden)
    gates, query, selector = inputs.split(linear(hidden, inputs.hidden_weight))
    meeting = torch.tanh(inputs.projected[:count] + query[:, None])  # b L A
    energies = meeting @ inputs.energy_weight + inputs.energy_bias  # b L, Eq. 4
    alphas = energies.softmax(1)  # Eq. 5
    weights = attend(alphas)
    context = (weights[:, None] @ inputs.annotations[:count])[:, 0]  # b D, Eqs. 6, 8 and 13
    has_selector = selector.shape[1] == 1
    betas = torch.sigmoid(selector + inputs.selector_bias) if has_selector else torch.ones_like(alphas[:, :1])  # b 1
    context = betas * context

    gates = gates + word_gates + linear(context, inputs.context_weight)  # Eq. 1
    input_gate, forget_gate, output_gate, candidate = gates.chunk(4, 1)
    cell = forget_gate.sigmoid() * cell + input_gate.sigmoid() * candidate.tanh()  # Eq. 2
    hidden = output_gate.sigmoid() * cell.tanh()  # Eq. 3
    return RecurrenceOutputs(hidden, cell, context, alphas, betas, weights)


def recur(inputs: RecurrenceInputs, sizes: Sequence[int], attend: Attend) -> RecurrenceOutputs:
    """All words, one step after the other; the batch shrinks as captions end.

    Args:
        inputs: What is read.
        sizes: Captions that have a word at each step, never rising; they add up to N.
        attend: Turns probabilities into the weights that are read.
    """
    hidden, cell = inputs.hidden, inputs.cell
    steps = []
    for count, word_gates in zip(sizes, inputs.word_gates.split(list(sizes)), strict=True):
        step = attention_step(inputs, word_gates, hidden[:count], cell[:count], attend)
        hidden, cell = step.hidden, step.cell
        steps.append(step)
    return RecurrenceOutputs(*(torch.cat(parts) for parts in zip(*steps, strict=True)))
