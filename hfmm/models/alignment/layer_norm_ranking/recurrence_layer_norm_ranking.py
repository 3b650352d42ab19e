"""Recurrent layers with layer normalization (Ba, Kiros, Hinton 2016, arXiv 1607.06450).

What the words give to the gates is one matrix product for a whole batch; each step then multiplies the state alone, and
captions that have ended take no part in it.

Axes: N words of a batch without padding, n captions that still speak, B captions, E word, D hidden, G gates.

| paper | here |
|---|---|
| a^t = W_hh h^{t-1} + W_xh x^t, h^t = f[g / sigma^t * (a^t - mu^t) + b], Eq. 4 | `LayerNormRNN` with "sum" |
| LSTM, supplement, Eqs. 20 to 22 | `LayerNormLSTM` with "separate" |
| GRU, supplement, Eqs. 23 to 27, as the released code has them | `LayerNormGRU` with "separate" |
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

EPSILON = 1e-5  # inside the root


class LayerNormRecurrence(nn.Module, ABC):
    """What the three layers share: products, norms and the walk over the words.

    Subclasses say in `groups` how many of their G gates are normalized together, and take one step.
    """

    groups: tuple[int, ...]
    num_states = 1

    def __init__(self, input_size: int, hidden_size: int, layer_norm: str) -> None:
        """Make the weights.

        Args:
            input_size: E.
            hidden_size: D.
            layer_norm: "separate" for LN(W_xh x) and LN(W_hh h), "sum" for LN(W_xh x + W_hh h), or "none".
        """
        super().__init__()
        self.hidden_size = hidden_size
        self.sizes = [hidden_size * group for group in self.groups]
        self.input_gates = nn.Linear(input_size, sum(self.sizes), bias=layer_norm != "sum")  # the norm of a sum has one
        self.recurrent_gates = nn.Linear(hidden_size, sum(self.sizes), bias=False)
        self.input_norms = self._norms(layer_norm == "separate")
        self.recurrent_norms = self._norms(layer_norm == "separate")
        self.sum_norms = self._norms(layer_norm == "sum")

    def _norms(self, wanted: bool) -> nn.ModuleList:
        return nn.ModuleList(nn.LayerNorm(size, EPSILON) if wanted else nn.Identity() for size in self.sizes)

    def forward(self, words: PackedSequence) -> Tensor:
        """Read captions. Packed (N, E) -> (B, D), the state after the last word of each."""
        parts = self.input_gates(words.data).split(self.sizes, 1)
        given = torch.cat([norm(part) for norm, part in zip(self.input_norms, parts, strict=True)], 1)  # N G*D
        sizes = words.batch_sizes.tolist()
        state = given.new_zeros(sizes[0], self.num_states * self.hidden_size)  # B D
        ended = []
        for for_step in given.split(sizes):
            if len(for_step) < len(state):
                ended.append(state[len(for_step) :])
                state = state[: len(for_step)]
            state = self.step(for_step, state)  # n D
        states = torch.cat([state, *ended[::-1]])[:, : self.hidden_size]  # B D, longest first
        return states if words.unsorted_indices is None else states[words.unsorted_indices]

    @abstractmethod
    def step(self, given: Tensor, state: Tensor) -> Tensor:
        """One word.

        Args:
            given: (n, G*D), what the words give to the gates.
            state: (n, D), or more where the layer has more than one state.

        Returns:
            The state after the word.
        """


class LayerNormRNN(LayerNormRecurrence):
    """h = tanh(a), normalized: the paper's Eq. 4 with "sum"."""

    groups = (1,)

    def step(self, given: Tensor, state: Tensor) -> Tensor:
        """Add, normalize, squash. (n, D) -> (n, D)."""
        return self.sum_norms[0](self.recurrent_norms[0](self.recurrent_gates(state)) + given).tanh()


class LayerNormGRU(LayerNormRecurrence):
    """The released code's GRU: gates r and u normalized as one vector, the candidate by itself.

    Without norms it is `torch.nn.GRU` with no hidden bias on the candidate, and its z is u here.
    """

    groups = (2, 1)

    def step(self, given: Tensor, state: Tensor) -> Tensor:
        """Reset, propose, mix. (n, D) -> (n, D)."""
        given_gates, given_candidate = given.split(self.sizes, 1)
        gates, candidate = self.recurrent_gates(state).split(self.sizes, 1)
        gates = self.sum_norms[0](self.recurrent_norms[0](gates) + given_gates)  # n 2D
        reset, update = gates.sigmoid().chunk(2, 1)
        candidate = self.sum_norms[1](reset * self.recurrent_norms[1](candidate) + given_candidate).tanh()
        return torch.lerp(candidate, state, update)  # u h + (1 - u) candidate


class LayerNormLSTM(LayerNormRecurrence):
    """The supplement's LSTM: all four gates normalized as one vector, and the cell on its way out."""

    groups = (4,)
    num_states = 2

    def __init__(self, input_size: int, hidden_size: int, layer_norm: str) -> None:
        super().__init__(input_size, hidden_size, layer_norm)
        self.cell_norm = nn.Identity() if layer_norm == "none" else nn.LayerNorm(hidden_size, EPSILON)

    def step(self, given: Tensor, state: Tensor) -> Tensor:
        """Forget, write, tell. h and c side by side, (n, 2D) -> (n, 2D)."""
        hidden, cell = state.chunk(2, 1)
        gates = self.sum_norms[0](self.recurrent_norms[0](self.recurrent_gates(hidden)) + given)  # n 4D
        input_gate, forget_gate, output_gate, candidate = gates.chunk(4, 1)
        cell = forget_gate.sigmoid() * cell + input_gate.sigmoid() * candidate.tanh()
        return torch.cat([output_gate.sigmoid() * self.cell_norm(cell).tanh(), cell], 1)  # n 2D


RECURRENCES = {"gru": LayerNormGRU, "lstm": LayerNormLSTM, "rnn": LayerNormRNN}
