"""Show and Tell (Vinyals, Toshev, Bengio, Erhan, CVPR 2015, arXiv 1411.4555).

A convolutional net reads the picture, an LSTM that saw its features once, before the first word, tells it.

Axes: B batch, T words, F picture features, E embedding, D hidden, V vocabulary, N words of a batch without padding.

| paper | here |
|---|---|
| x_{-1} = CNN(I), Eq. 10 | `ShowAndTellEncoder`, `image_projection`, `ShowAndTellModel.initial_state` |
| x_t = W_e S_t, Eq. 11 | `embed_tokens` |
| i_t, f_t, o_t, c_t, m_t, Eqs. 4 to 8 | `ShowAndTellLSTM`, `_Recurrence` |
| p_{t+1} = Softmax(m_t), Eqs. 9 and 12 | `lm_head` (the projection to words that the equation leaves out) |
| L(I, S) = - sum_t log p_t(S_t), Eq. 13 | `ShowAndTellForConditionalGeneration.forward` |

Written for speed: words are packed time step by time step without padding, so that the word half of the gates is one
matrix product a batch, the recurrence runs on a shrinking batch with a backward pass of its own (one product for the
gradient of W_m), and only real words meet the vocabulary.

Departure: `feed_image_every_step`, the variant the paper tried, keeps the picture at t = -1 as well.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.functional import cross_entropy, dropout
from transformers import AutoBackbone, PreTrainedModel
from transformers import initialization as init
from transformers.modeling_outputs import BaseModelOutput
from transformers.utils import ModelOutput, can_return_tuple

from hfmm.nn.captioning import IGNORED, CaptioningOutput, RecurrentGenerationMixin, shift_right

from .configuration_show_and_tell import ShowAndTellConfig

State = tuple[Tensor, Tensor]  # m and c, each (B, D)
EncoderOutputs = BaseModelOutput | tuple[Tensor, ...]


@dataclass
class ShowAndTellModelOutput(ModelOutput):
    """What [`ShowAndTellModel`] returns.

    Attributes:
        last_hidden_state: (B, T, D), m_t after each word; zeros over padding.
        state: m and c after each caption's last word, each (B, D), when `use_cache`.
        encoder_last_hidden_state: (B, 1, F), CNN(I).
    """

    last_hidden_state: Tensor | None = None
    state: State | None = None
    encoder_last_hidden_state: Tensor | None = None


class WordPacking(NamedTuple):
    """Where the N real words of a padded batch are, step by step, in each step the longest captions first.

    Attributes:
        rows: (B,), captions by falling length.
        positions: (N,), index of each packed word in the flattened (B * T) batch.
        sizes: Captions that still speak at each step.
        last: (B,), index of each caption's last word in the flattened batch.
        shape: B and T.
    """

    rows: Tensor
    positions: Tensor
    sizes: list[int]
    last: Tensor
    shape: tuple[int, int]


def pack_words(words: Tensor, labels: Tensor | None) -> WordPacking:
    """Find the real words of a batch: those up to a caption's last label, or all of them without labels.

    Args:
        words: (B, T).
        labels: (B, T), what follows each word, -100 for nothing.
    """
    num_rows, num_steps = words.shape
    rows = torch.arange(num_rows, device=words.device)
    steps = torch.arange(num_steps, device=words.device)
    if labels is None:
        positions = (rows * num_steps + steps[:, None]).flatten()  # T*B
        last = rows * num_steps + num_steps - 1  # B
        return WordPacking(rows, positions, [num_rows] * num_steps, last, (num_rows, num_steps))
    lengths = ((labels != IGNORED) * (steps + 1)).amax(1).clamp(min=1)  # B
    sorted_lengths, order = lengths.sort(descending=True, stable=True)
    speaks = sorted_lengths > steps[:, None]  # T B
    sizes = [size for size in speaks.sum(1).tolist() if size]
    positions = (order * num_steps + steps[:, None])[speaks]  # N
    return WordPacking(order, positions, sizes, rows * num_steps + lengths - 1, (num_rows, num_steps))


def unpack_words(packed: Tensor, packing: WordPacking) -> Tensor:
    """Put packed rows back where their words were. (N, X) -> (B, T, X), zeros elsewhere."""
    num_rows, num_steps = packing.shape
    padded = packed.new_zeros(num_rows * num_steps, packed.shape[-1])
    return padded.index_copy(0, packing.positions, packed).view(num_rows, num_steps, -1)  # B T X


def last_state(after_words: State, packing: WordPacking) -> State:
    """The state (m and c) after each caption's last word. Two of (N, D) -> two of (B, D)."""
    hidden, cell = (unpack_words(part, packing).flatten(0, 1)[packing.last] for part in after_words)
    return hidden, cell


class _Recurrence(torch.autograd.Function):
    """The steps of the LSTM over packed words. Gates lie in the order i, f, g, o, as in `torch.nn.LSTM`."""

    @staticmethod
    def forward(
        ctx: Any, gates: Tensor, weight: Tensor, hidden: Tensor, cell: Tensor, sizes: list[int], output_tanh: bool
    ) -> tuple[Tensor, Tensor]:
        """Run all steps.

        Args:
            ctx: Keeps what `backward` needs.
            gates: (N, 4D), what the inputs give to the gates.
            weight: (4D, D), W_m.
            hidden: (B, D), m before the first word.
            cell: (B, D), c before the first word.
            sizes: Rows of each step, falling, adding up to N.
            output_tanh: m = o tanh(c), else m = o c.

        Returns:
            m and c after each word, each (N, D).
        """
        size = weight.shape[1]
        active = torch.empty_like(gates)  # N 4D, gates after their nonlinearities
        hiddens, cells = gates.new_empty(len(gates), size), gates.new_empty(len(gates), size)
        last_hidden, last_cell, stop = hidden, cell, 0
        for count in sizes:
            start, stop = stop, stop + count
            step = torch.addmm(gates[start:stop], last_hidden[:count], weight.t(), out=active[start:stop])
            candidate = step[:, 2 * size : 3 * size].tanh()  # h(.), Eq. 7
            step.sigmoid_()  # Eqs. 4 to 6
            step[:, 2 * size : 3 * size] = candidate
            input_gate, forget_gate, _, output_gate = step.chunk(4, 1)
            last_cell = torch.addcmul(forget_gate * last_cell[:count], input_gate, candidate)  # Eq. 7
            last_hidden = output_gate * (last_cell.tanh() if output_tanh else last_cell)  # Eq. 8
            hiddens[start:stop], cells[start:stop] = last_hidden, last_cell
        ctx.save_for_backward(active, weight, hidden, cell, hiddens, cells)
        ctx.sizes, ctx.output_tanh = sizes, output_tanh
        ctx.set_materialize_grads(False)
        return hiddens, cells

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, hiddens_grad: Tensor | None, cells_grad: Tensor | None) -> tuple[Tensor | None, ...]:
        """Back through time, and one matrix product for the gradient of W_m."""
        active, weight, hidden, cell, hiddens, cells = ctx.saved_tensors
        before = [0, *torch.tensor(ctx.sizes).cumsum(0).tolist()]
        gates_grad = torch.empty_like(active)
        hidden_grad, cell_grad = torch.zeros_like(hidden), torch.zeros_like(cell)
        earlier_hidden = torch.empty_like(hiddens)  # N D, m before each word
        for step in reversed(range(len(ctx.sizes))):
            count, start, stop = ctx.sizes[step], before[step], before[step + 1]
            earlier = slice(before[step - 1], before[step - 1] + count)
            cell_before = cells[earlier] if step else cell[:count]
            earlier_hidden[start:stop] = hiddens[earlier] if step else hidden[:count]
            if hiddens_grad is not None:
                hidden_grad[:count] += hiddens_grad[start:stop]
            if cells_grad is not None:
                cell_grad[:count] += cells_grad[start:stop]
            cell_grad[:count] = _step_backward(
                (hidden_grad[:count], cell_grad[:count]),
                active[start:stop], (cells[start:stop], cell_before), ctx.output_tanh, gates_grad[start:stop],
            )  # fmt: skip
            hidden_grad[:count] = gates_grad[start:stop] @ weight
        weight_grad = gates_grad.t() @ earlier_hidden if ctx.needs_input_grad[1] else None
        return gates_grad, weight_grad, hidden_grad, cell_grad, None, None


def _step_backward(
    grads: tuple[Tensor, Tensor], active: Tensor, cells: tuple[Tensor, Tensor], output_tanh: bool, gates_grad: Tensor
) -> Tensor:
    """One step of back-propagation: fills `gates_grad` (n, 4D) and returns the gradient of the earlier c, (n, D).

    Args:
        grads: Of m and of c, each (n, D).
        active: (n, 4D), gates after their nonlinearities.
        cells: c after and before the step, each (n, D).
        output_tanh: As in the forward pass.
        gates_grad: (n, 4D), where the gradients before the nonlinearities go.
    """
    (hidden_grad, cell_grad), (cell, cell_before) = grads, cells
    input_gate, forget_gate, candidate, output_gate = active.chunk(4, 1)
    shown = cell.tanh() if output_tanh else cell
    through_output = hidden_grad * output_gate
    cell_grad = cell_grad + (through_output * (1 - shown * shown) if output_tanh else through_output)
    torch.mul(active, 1 - active, out=gates_grad)  # slope of the sigmoids
    for_input, for_forget, for_candidate, for_output = gates_grad.chunk(4, 1)
    for_input.mul_(cell_grad * candidate)
    for_forget.mul_(cell_grad * cell_before)
    for_output.mul_(hidden_grad * shown)
    torch.mul(cell_grad * input_gate, 1 - candidate * candidate, out=for_candidate)
    return cell_grad * forget_gate


class ShowAndTellLSTM(nn.Module):
    """The paper's LSTM (Eqs. 4 to 8): no biases and no tanh on the way out, unless the configuration asks for them."""

    def __init__(self, config: ShowAndTellConfig) -> None:
        super().__init__()
        self.input_gates = nn.Linear(config.embedding_size, 4 * config.hidden_size, bias=config.lstm_bias)
        self.recurrent_weight = nn.Parameter(torch.empty(4 * config.hidden_size, config.hidden_size))
        self.output_tanh = config.lstm_output_tanh

    def forward(self, gates: Tensor, state: State, sizes: list[int]) -> State:
        """Run over packed words.

        Args:
            gates: (N, 4D), what the inputs give to the gates i, f, g, o.
            state: m and c before the first word, each (B, D).
            sizes: Rows of each step, falling, adding up to N.

        Returns:
            m and c after each word, each (N, D).
        """
        hidden, cell = (part.to(gates.dtype) for part in state)
        weight = self.recurrent_weight.to(gates.dtype)  # autocast computes the gates in another type
        return _Recurrence.apply(gates, weight, hidden, cell, sizes, self.output_tanh)


class ShowAndTellPreTrainedModel(PreTrainedModel):
    """Weights and loading shared by the Show and Tell models."""

    config_class = ShowAndTellConfig
    base_model_prefix = "model"
    main_input_name = "pixel_values"
    input_modalities = ["image", "text"]

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        """Uniform weights, as in the released code, whose constant in the forget gate is its bias' first value here."""
        super()._init_weights(module)
        limit = self.config.initializer_range
        if isinstance(module, nn.Linear | nn.Embedding):
            init.uniform_(module.weight, -limit, limit)
        elif isinstance(module, ShowAndTellLSTM):
            init.uniform_(module.recurrent_weight, -limit, limit)
            if module.input_gates.bias is not None:
                first = torch.tensor([0.0, self.config.forget_bias, 0.0, 0.0])  # i, f, g, o
                init.copy_(module.input_gates.bias, first.repeat_interleave(self.config.hidden_size))


class ShowAndTellEncoder(ShowAndTellPreTrainedModel):
    """CNN(I): the backbone's last map, pooled or flattened; a sequence of one vector, as `generate` wants it."""

    def __init__(self, config: ShowAndTellConfig) -> None:
        super().__init__(config)
        self.backbone = AutoBackbone.from_config(config.backbone_config)
        channels = self.backbone.channels[-1]
        if config.feature_pooling == "mean" and channels != config.image_feature_size:
            raise ValueError(
                f"image_feature_size is {config.image_feature_size} but the backbone's last output map "
                f"'{self.backbone.out_features[-1]}' has {channels} channels"
            )
        self.post_init()

    def forward(self, pixel_values: Tensor, **kwargs: Any) -> BaseModelOutput:
        """Encode pictures. (B, 3, H, W) -> (B, 1, F).

        Raises:
            ValueError: The flattened map is not of `image_feature_size`.
        """
        feature_map = self.backbone(pixel_values).feature_maps[-1]
        if self.config.feature_pooling == "mean":
            return BaseModelOutput(last_hidden_state=feature_map.mean((2, 3))[:, None])  # B 1 F
        features = feature_map.flatten(1)[:, None]  # B 1 C*H*W
        if features.shape[2] != self.config.image_feature_size:
            raise ValueError(
                f"pictures of {pixel_values.shape[-2]} x {pixel_values.shape[-1]} pixels give {features.shape[2]} "
                f"features but image_feature_size is {self.config.image_feature_size}"
            )
        return BaseModelOutput(last_hidden_state=features)


class ShowAndTellModel(ShowAndTellPreTrainedModel):
    """The picture net and the LSTM, without the projection to words."""

    def __init__(self, config: ShowAndTellConfig) -> None:
        super().__init__(config)
        self.encoder = ShowAndTellEncoder(config)
        self.image_projection = nn.Linear(config.image_feature_size, config.embedding_size)
        self.embed_tokens = nn.Embedding(config.vocab_size, config.embedding_size)
        self.lstm = ShowAndTellLSTM(config)
        every_step = config.feed_image_every_step
        self.image_gates = nn.Linear(config.embedding_size, 4 * config.hidden_size, bias=False) if every_step else None
        self.post_init()

    def embed_image(self, features: Tensor | None) -> Tensor:
        """Embed CNN(I) among the words: x_{-1} (Eq. 10). (B, 1, F) -> (B, E).

        Raises:
            ValueError: There is no picture.
        """
        if features is None:
            raise ValueError("pixel_values and encoder_outputs are missing: give the picture or its features")
        return self._drop(self.image_projection(features[:, 0]))

    def initial_state(self, features: Tensor | None) -> State:
        """The state (m and c) after the picture, at t = -1. (B, 1, F) -> two of (B, D)."""
        gates = self.lstm.input_gates(self.embed_image(features))  # B 4D
        nothing = gates.new_zeros(len(gates), self.config.hidden_size)  # B D
        return self.lstm(gates, (nothing, nothing), [len(gates)])

    def encode(self, pixel_values: Tensor | None, encoder_outputs: EncoderOutputs | None) -> Tensor | None:
        """CNN(I), (B, 1, F), as given or computed; None where there is no picture."""
        if encoder_outputs is not None:
            return encoder_outputs[0]
        return None if pixel_values is None else self.encoder(pixel_values).last_hidden_state

    def decode(self, words: Tensor, packing: WordPacking, features: Tensor | None, state: State | None) -> State:
        """Read words (Eqs. 4 to 8 and 11).

        Args:
            words: (B, T).
            packing: Where the N real ones are.
            features: (B, 1, F), CNN(I); read where `state` is None or the picture is fed at every step.
            state: m and c before the first word, each (B, D), or None at the start of the captions.

        Returns:
            m and c after each real word, each (N, D).
        """
        hidden, cell = self.initial_state(features) if state is None else state
        gates = self.lstm.input_gates(self._drop(self.embed_tokens(words.flatten()[packing.positions])))  # N 4D
        if self.image_gates is not None:
            of_image = self.image_gates(self.embed_image(features))  # B 4D
            gates = gates + of_image[packing.positions // words.shape[1]]
        return self.lstm(gates, (hidden[packing.rows], cell[packing.rows]), packing.sizes)

    @can_return_tuple
    def forward(
        self,
        pixel_values: Tensor | None = None,
        decoder_input_ids: Tensor | None = None,
        encoder_outputs: EncoderOutputs | None = None,
        state: State | None = None,
        use_cache: bool | None = None,
        **kwargs: Any,
    ) -> ShowAndTellModelOutput:
        """Read a picture and the words of its caption.

        Args:
            pixel_values: (B, 3, H, W).
            decoder_input_ids: (B, T), words, the first one `<start>`.
            encoder_outputs: Its first entry is CNN(I), (B, 1, F), in the place of `pixel_values`.
            state: m and c after earlier words, each (B, D), in the place of the picture.
            use_cache: Return the state after the last word.
            kwargs: Not read; what transformers passes to every model.

        Raises:
            ValueError: Nothing to start from, or no words.
        """
        if decoder_input_ids is None:
            raise ValueError("decoder_input_ids is missing: captions start with <start>")
        features = self.encode(pixel_values, encoder_outputs)
        packing = pack_words(decoder_input_ids, labels=None)
        after_words = self.decode(decoder_input_ids, packing, features, state)
        return ShowAndTellModelOutput(
            last_hidden_state=unpack_words(after_words[0], packing),
            state=last_state(after_words, packing) if use_cache else None,
            encoder_last_hidden_state=features,
        )

    def _drop(self, values: Tensor) -> Tensor:
        return dropout(values, self.config.dropout, self.training)


class ShowAndTellForConditionalGeneration(ShowAndTellPreTrainedModel, RecurrentGenerationMixin):
    """The captioner: trains with `labels`, tells with `generate(pixel_values=...)`."""

    def __init__(self, config: ShowAndTellConfig) -> None:
        super().__init__(config)
        self.model = ShowAndTellModel(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size)
        self.post_init()

    def get_encoder(self, modality: str | None = None) -> ShowAndTellEncoder:
        """The part that `generate` runs once a picture."""
        return self.model.encoder

    @can_return_tuple
    def forward(
        self,
        pixel_values: Tensor | None = None,
        decoder_input_ids: Tensor | None = None,
        labels: Tensor | None = None,
        encoder_outputs: EncoderOutputs | None = None,
        state: State | None = None,
        use_cache: bool | None = None,
        num_items_in_batch: Tensor | int | None = None,
        output_logits: bool = True,
        **kwargs: Any,
    ) -> CaptioningOutput:
        """Score the next word after each word.

        Args:
            pixel_values: (B, 3, H, W).
            decoder_input_ids: (B, T), words, the first one `<start>`; made from `labels` where missing.
            labels: (B, T), the words to predict, ending with `<end>`, padded with -100.
            encoder_outputs: Its first entry is CNN(I), (B, 1, F), in the place of `pixel_values`.
            state: m and c after earlier words, each (B, D), in the place of the picture.
            use_cache: Return the state after the last word.
            num_items_in_batch: What the summed loss is divided by; the number of labels by default.
            output_logits: False leaves out the padded logits where there are labels.
            kwargs: Not read; what transformers passes to every model.

        Returns:
            `logits` are zero over padding.

        Raises:
            ValueError: Nothing to start from, or no words.
        """
        if decoder_input_ids is None:
            if labels is None:
                raise ValueError("decoder_input_ids and labels are missing: give the words of the captions")
            decoder_input_ids = shift_right(labels, self.config.decoder_start_token_id, self.config.pad_token_id)
        features = self.model.encode(pixel_values, encoder_outputs)
        packing = pack_words(decoder_input_ids, labels)
        after_words = self.model.decode(decoder_input_ids, packing, features, state)
        told = dropout(after_words[0], self.config.dropout, self.training)
        logits = self.lm_head(told)  # N V, Eq. 9
        loss = None
        if labels is not None:
            loss = _log_likelihood_loss(logits, labels, packing, num_items_in_batch)  # Eq. 13
        return CaptioningOutput(
            loss=loss,
            losses={"negative_log_likelihood": loss} if loss is not None else None,
            logits=unpack_words(logits, packing) if output_logits or labels is None else None,
            state=last_state(after_words, packing) if use_cache else None,
            encoder_last_hidden_state=features,
        )


def _log_likelihood_loss(
    logits: Tensor, labels: Tensor, packing: WordPacking, num_items_in_batch: Tensor | int | None
) -> Tensor:
    """- sum_t log p_t(S_t) over the batch, a word or by `num_items_in_batch` (Eq. 13). Logits are packed, (N, V)."""
    targets = labels.flatten()[packing.positions]  # N
    total = cross_entropy(logits.float(), targets, ignore_index=IGNORED, reduction="sum")
    return total / ((labels != IGNORED).sum().clamp(min=1) if num_items_in_batch is None else num_items_in_batch)
