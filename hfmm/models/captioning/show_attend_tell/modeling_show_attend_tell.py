"""Show, Attend and Tell (Xu, Ba, Kiros, Cho, Courville, Salakhutdinov, Zemel, Bengio, ICML 2015, arXiv 1502.03044).

A convolutional network turns the picture into annotation vectors, one for each place; an LSTM writes the caption and,
before each word, looks at the annotations: at all of them, weighted (soft), or at one that it draws (hard).

Axes: B batch, T words of a caption, N words of all captions, L annotations, D annotation width, A attention width,
H hidden width, M embedding width, V vocabulary.

| paper | here |
|---|---|
| a = {a_1 ... a_L} | `ShowAttendTellEncoder` |
| LSTM, Eqs. 1 to 3; attention, Eqs. 4 to 6, 8, 13; beta, section 4.2.1 | `attention_step`, in the file beside |
| c_0, h_0 = f_init(mean a), section 3.1.2 | `ShowAttendTellDecoder.start` |
| deep output, Eq. 7 | `ShowAttendTellDecoder.deep_output`, `lm_head` |
| L_s, its gradient and its baseline, Eqs. 9 to 12 | `read_sampled`, `reinforce_loss`, `update_baseline` |
| doubly stochastic attention, Eq. 14 | `doubly_stochastic_penalty` |

Departures: the doubly stochastic term adds up the words of a caption only (the released code adds up padding, too). The
baseline and REINFORCE take log p(y | s, a) of a whole caption, as the paper does (the code: its mean over words).

Written for speed: words are packed, the vocabulary meets real words only, and teacher forcing with soft attention runs
through `soft_recurrence_show_attend_tell`.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, one_hot
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence
from transformers import AutoBackbone, PreTrainedModel
from transformers import initialization as init
from transformers.modeling_outputs import BaseModelOutput
from transformers.utils import ModelOutput, can_return_tuple, logging

from hfmm.nn.captioning import IGNORED, CaptioningOutput, RecurrentGenerationMixin, shift_right

from .configuration_show_attend_tell import ShowAttendTellConfig
from .recurrence_show_attend_tell import Attend, RecurrenceInputs, recur
from .soft_recurrence_show_attend_tell import recur_soft

State = tuple[Tensor, Tensor, Tensor]  # h and c, each (B, H), and the projected annotations (B, L, A)
EncoderOutputs = BaseModelOutput | tuple[Tensor, ...]

logger = logging.get_logger(__name__)


@dataclass
class ShowAttendTellModelOutput(ModelOutput):
    """What [`ShowAttendTellModel`] returns. Rows after the last word of a caption are zero.

    Attributes:
        last_hidden_state: (B, T, M), the deep output, from which the next word is predicted.
        state: After each caption's last word, h (B, H) and c (B, H), and the projected annotations (B, L, A); when
            `use_cache`.
        encoder_last_hidden_state: (B, L, D), annotations.
        cross_attentions: One (B, T, L), alpha.
        betas: (B, T, 1), 1 without a selector.
        attention_samples: (B, T, L), one-hot, where hard attention looked; None where it read the expectation.
    """

    last_hidden_state: Tensor | None = None
    state: State | None = None
    encoder_last_hidden_state: Tensor | None = None
    cross_attentions: tuple[Tensor, ...] | None = None
    betas: Tensor | None = None
    attention_samples: Tensor | None = None


@dataclass
class ShowAttendTellOutput(CaptioningOutput):
    """What [`ShowAttendTellForConditionalGeneration`] returns, beyond [`CaptioningOutput`].

    Attributes:
        betas: (B, T, 1), 1 without a selector.
        attention_samples: (B, T, L), one-hot, where hard attention looked; None where it read the expectation.
        log_likelihood: (B,), log p(y | s, a) of each caption, without gradient; what the baseline follows.
    """

    betas: Tensor | None = None
    attention_samples: Tensor | None = None
    log_likelihood: Tensor | None = None


def read_expected(alphas: Tensor) -> Tensor:
    """Soft attention: read all annotations, weighted. (B, L) -> (B, L)."""
    return alphas


def read_likeliest(alphas: Tensor) -> Tensor:
    """Hard attention that does not sample: read the likeliest annotation. (B, L) -> (B, L), one-hot."""
    return one_hot(alphas.argmax(1), alphas.shape[1]).to(alphas.dtype)


def read_sampled(alphas: Tensor) -> Tensor:
    """Hard attention: s ~ Multinoulli(alpha) (Eq. 9). (B, L) -> (B, L), one-hot."""
    locations = torch.multinomial(alphas.detach().float(), 1)[:, 0]  # B
    return one_hot(locations, alphas.shape[1]).to(alphas.dtype)


def log_of(probabilities: Tensor) -> Tensor:
    """Logarithm that stays finite, and whose gradient does, where a probability has underflowed to zero."""
    return probabilities.clamp_min(torch.finfo(probabilities.dtype).tiny).log()


def sample_log_probability(alphas: Tensor, samples: Tensor) -> Tensor:
    """Add up log alpha at the locations that were read: log p(s | a). (B, T, L) twice -> (B,)."""
    return (samples * log_of(alphas)).sum((1, 2))


def attention_entropy(alphas: Tensor) -> Tensor:
    """H[s], added up over the words. (B, T, L), rows after the last word zero -> (B,)."""
    return -(alphas * log_of(alphas)).sum((1, 2))


def doubly_stochastic_penalty(alphas: Tensor, tau: float) -> Tensor:
    """sum_i (tau - sum_t alpha_{t,i})^2 (Eq. 14). (B, T, L), rows after the last word zero -> (B,)."""
    return (tau - alphas.sum(1)).square().sum(1)


def reinforce_loss(log_likelihood: Tensor, log_probability: Tensor, baseline: Tensor | float = 0.0) -> Tensor:
    """What, minimized, moves attention by (log p(y | s, a) - b) d log p(s | a) (Eq. 12).

    Args:
        log_likelihood: (B,), log p(y | s, a); taken as a constant.
        log_probability: (B,), log p(s | a).
        baseline: b, one for all captions.

    Returns:
        (B,).
    """
    return -(log_likelihood.detach() - baseline) * log_probability


def update_baseline(baseline: Tensor | float, log_likelihood: Tensor | float, decay: float) -> Tensor | float:
    """b_k = decay b_{k-1} + (1 - decay) log p(y | s_k, a) (section 4.1)."""
    return decay * baseline + (1 - decay) * log_likelihood


class ShowAttendTellPreTrainedModel(PreTrainedModel):
    """Weights and loading shared by the Show, Attend and Tell models."""

    config_class = ShowAttendTellConfig
    base_model_prefix = "model"
    main_input_name = "pixel_values"
    input_modalities = ["image", "text"]

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        """Square weights orthogonal, others normal, biases zero, as in the released code."""
        super()._init_weights(module)
        if isinstance(module, nn.Linear) and module.in_features == module.out_features:
            init.orthogonal_(module.weight)
        elif isinstance(module, ShowAttendTellRecurrence):
            std = self.config.initializer_range
            width = module.hidden_weight.shape[1]
            hidden_weight = torch.empty_like(module.hidden_weight).normal_(std=std)
            for gate in hidden_weight[: 4 * width].split(width):
                init.orthogonal_(gate)
            init.copy_(module.hidden_weight, hidden_weight)
            init.normal_(module.context_weight, std=std)
            init.normal_(module.energy_weight, std=std)
            init.zeros_(module.energy_bias)
            if module.selector_bias is not None:
                init.zeros_(module.selector_bias)


class ShowAttendTellEncoder(ShowAttendTellPreTrainedModel):
    """The picture network; its last feature map, place by place, gives the annotations."""

    def __init__(self, config: ShowAttendTellConfig) -> None:
        super().__init__(config)
        self.backbone = AutoBackbone.from_config(config.backbone_config)
        channels = self.backbone.channels[-1]
        if channels != config.annotation_size:
            raise ValueError(
                f"annotation_size is {config.annotation_size} but the backbone's last feature map has {channels} "
                f"channels: set annotation_size={channels} or choose another of its out_features"
            )
        self.post_init()

    @can_return_tuple
    def forward(self, pixel_values: Tensor, **kwargs: Any) -> BaseModelOutput:
        """Pictures (B, 3, height, width) to annotations (B, L, D)."""
        feature_map = self.backbone(pixel_values).feature_maps[-1]  # B D h w
        return BaseModelOutput(last_hidden_state=feature_map.flatten(2).mT.contiguous())  # B L D


class ShowAttendTellRecurrence(nn.Module):
    """The weights of `attention_step`; bare parameters, because the fast form reads them without calling layers."""

    def __init__(self, config: ShowAttendTellConfig) -> None:
        super().__init__()
        width = config.hidden_size
        rows = 4 * width + config.attention_size + int(config.use_selector)
        self.hidden_weight = nn.Parameter(torch.empty(rows, width))
        self.context_weight = nn.Parameter(torch.empty(4 * width, config.annotation_size))
        self.energy_weight = nn.Parameter(torch.empty(config.attention_size))
        self.energy_bias = nn.Parameter(torch.empty(1))
        self.selector_bias = nn.Parameter(torch.empty(1)) if config.use_selector else None

    def inputs(self, word_gates: Tensor, annotations: Tensor, state: State) -> RecurrenceInputs:
        """Put the weights beside what they meet; see [`RecurrenceInputs`]."""
        hidden, cell, projected = state
        return RecurrenceInputs(
            word_gates=word_gates,
            annotations=annotations,
            projected=projected,
            hidden=hidden,
            cell=cell,
            hidden_weight=self.hidden_weight,
            context_weight=self.context_weight,
            energy_weight=self.energy_weight,
            energy_bias=self.energy_bias,
            selector_bias=word_gates.new_empty(0) if self.selector_bias is None else self.selector_bias,
        )


class Decoded(NamedTuple):
    """What the decoder returns, packed.

    Attributes:
        features: (N, M), deep output.
        alphas: (N, L).
        betas: (N, 1).
        weights: (N, L), what was read.
        hidden: (N, H), h_t.
        cell: (N, H), c_t.
        projected: (B, L, A), projected annotations, captions by falling length like the words.
    """

    features: Tensor
    alphas: Tensor
    betas: Tensor
    weights: Tensor
    hidden: Tensor
    cell: Tensor
    projected: Tensor


class ShowAttendTellDecoder(nn.Module):
    """Words and annotations to the deep output that predicts the next words."""

    def __init__(self, config: ShowAttendTellConfig) -> None:
        super().__init__()
        width, depth, meeting = config.hidden_size, config.annotation_size, config.attention_size
        self.initial_layer = nn.Linear(depth, depth) if config.init_layers == 2 else None
        self.initial_hidden = nn.Linear(depth, width)
        self.initial_cell = nn.Linear(depth, width)
        self.annotation_projection = nn.Linear(depth, meeting)
        self.annotation_layer = nn.Linear(meeting, meeting) if config.attention_layers == 2 else None
        self.word_gates = nn.Linear(config.embedding_size, 4 * width)
        self.recurrence = ShowAttendTellRecurrence(config)
        self.hidden_output = nn.Linear(width, config.embedding_size)
        self.context_output = nn.Linear(depth, config.embedding_size)
        self.output_activation = nn.Tanh() if config.deep_output_activation == "tanh" else nn.Identity()
        self.dropout = nn.Dropout(config.dropout)

    def start(self, annotations: Tensor) -> State:
        """f_init of the mean annotation, and f_att's part of the annotations. (B, L, D) -> (B, H) twice, (B, L, A)."""
        mean = annotations.mean(1)  # B D
        if self.initial_layer is not None:
            mean = self.dropout(torch.relu(self.initial_layer(mean)))
        projected = self.annotation_projection(annotations)  # B L A
        if self.annotation_layer is not None:
            projected = torch.tanh(self.annotation_layer(projected))
        return torch.tanh(self.initial_hidden(mean)), torch.tanh(self.initial_cell(mean)), projected

    def deep_output(self, words: Tensor, hidden: Tensor, context: Tensor) -> Tensor:
        """E y_{t-1} + L_h h_t + L_z z_t (Eq. 7 but for L_o). (N, M), (N, H), (N, D) -> (N, M)."""
        features = words + self.hidden_output(self.dropout(hidden)) + self.context_output(context)
        return self.dropout(self.output_activation(features))

    def forward(
        self, words: PackedSequence, annotations: Tensor, state: State | None = None, attend: Attend = read_expected
    ) -> Decoded:
        """Read the annotations and step the LSTM, word by word.

        Args:
            words: Embeddings (N, M) of the previous words.
            annotations: (B, L, D), captions as they were before packing, like `state`.
            state: Where an earlier call stopped; None before the first word.
            attend: Turns attention probabilities into the weights that are read.
        """
        if words.sorted_indices is not None:
            annotations = annotations.index_select(0, words.sorted_indices)
            state = reorder(state, words.sorted_indices) if state else None
        hidden, cell, projected = state or self.start(annotations)
        inputs = self.recurrence.inputs(self.word_gates(words.data), annotations, (hidden, cell, projected))
        sizes = words.batch_sizes.tolist()
        # the fast form pays for whole captions; one word at a time, as in `generate`, is read step by step
        is_fast = attend is read_expected and len(sizes) > 1
        outputs = recur_soft(inputs, sizes) if is_fast else recur(inputs, sizes, attend)
        return Decoded(
            features=self.deep_output(words.data, outputs.hidden, outputs.context),
            alphas=outputs.alphas,
            betas=outputs.betas,
            weights=outputs.weights,
            hidden=outputs.hidden,
            cell=outputs.cell,
            projected=projected,
        )


def reorder(state: State, rows: Tensor) -> State:
    """The state of these captions."""
    hidden, cell, projected = state
    return hidden.index_select(0, rows), cell.index_select(0, rows), projected.index_select(0, rows)


def caption_lengths(labels: Tensor) -> Tensor:
    """Words up to the last label that is not ignored, at least 1. (B, T) -> (B,)."""
    places = torch.arange(1, labels.shape[1] + 1, device=labels.device)  # T
    return (places * (labels != IGNORED)).amax(1).clamp(min=1)


def pack(words: Tensor, lengths: Tensor | None) -> PackedSequence:
    """Pack words (B, T) of captions of these lengths (B,), or, as they stand, of captions that all have T words."""
    if lengths is not None:
        return pack_padded_sequence(words, lengths.cpu(), batch_first=True, enforce_sorted=False)
    count, time = words.shape
    return PackedSequence(words.T.flatten(), torch.full((time,), count))


def packed_like(words: PackedSequence, data: Tensor) -> PackedSequence:
    """Other rows (N, ...) for the same words."""
    return PackedSequence(data, words.batch_sizes, words.sorted_indices, words.unsorted_indices)


def padded_like(words: PackedSequence, data: Tensor, longest: int | None = None) -> Tensor:
    """Packed rows (N, ...) to (B, T, ...), zeros after the last word; T is `longest`, or what the captions need."""
    return pad_packed_sequence(packed_like(words, data), batch_first=True, total_length=longest)[0]


def own_precision(tensor: Tensor) -> torch.autocast:
    """Keep the decoder in the precision of its weights where autocast takes the backbone to a lower one.

    What the LSTM carries from word to word would add up the rounding errors.
    """
    return torch.autocast(tensor.device.type, enabled=False)


class ShowAttendTellModel(ShowAttendTellPreTrainedModel):
    """Pictures and words to the deep output, without the layer over the vocabulary."""

    def __init__(self, config: ShowAttendTellConfig) -> None:
        super().__init__(config)
        self.encoder = ShowAttendTellEncoder(config)
        # E; the word before the first is the zero vector and stays it
        self.embed_tokens = nn.Embedding(config.vocab_size, config.embedding_size, padding_idx=config.bos_token_id)
        self.decoder = ShowAttendTellDecoder(config)
        self.post_init()

    def attention_rule(self, sample_attention: bool | None) -> Attend:
        """What turns attention probabilities into what is read; see `forward`.

        Raises:
            ValueError: Soft attention is asked to sample.
        """
        if self.config.attention_type == "soft":
            if sample_attention:
                raise ValueError("sample_attention=True needs attention_type='hard': this model's attention is soft")
            return read_expected
        if sample_attention is None:
            sample_attention = self.training and torch.rand(()).item() >= self.config.semi_sampling_p
        if sample_attention:
            return read_sampled
        return read_expected if self.training or self.config.hard_decoding == "expected" else read_likeliest

    @can_return_tuple
    def forward(
        self,
        pixel_values: Tensor | None = None,
        decoder_input_ids: Tensor | None = None,
        encoder_outputs: EncoderOutputs | None = None,
        state: State | None = None,
        use_cache: bool | None = None,
        lengths: Tensor | None = None,
        sample_attention: bool | None = None,
        **kwargs: Any,
    ) -> ShowAttendTellModelOutput:
        """Read captions that start with `bos_token_id`.

        Args:
            pixel_values: (B, 3, height, width); not needed with `encoder_outputs`.
            decoder_input_ids: (B, T).
            encoder_outputs: The encoder's output, to encode pictures once.
            state: The state of an earlier call, to go on from its last word.
            use_cache: Return the state.
            lengths: (B,), number of words of each caption, at least 1; T by default.
            sample_attention: Whether hard attention samples what it reads. By default it does in training, but for a
                share `semi_sampling_p` of the calls. Where it does not, it reads the expectation in training, and what
                `hard_decoding` says otherwise.
            **kwargs: Ignored.

        Raises:
            ValueError: An input is missing, or soft attention is asked to sample.
        """
        if decoder_input_ids is None:
            raise ValueError("decoder_input_ids are missing: give at least the start word, or labels")
        if encoder_outputs is None:
            if pixel_values is None:
                raise ValueError("pixel_values and encoder_outputs are both missing: give one of them")
            encoder_outputs = self.encoder(pixel_values)
        attend = self.attention_rule(sample_attention)
        ids = pack(decoder_input_ids, lengths)
        words = packed_like(ids, self.embed_tokens(ids.data))  # N M
        with own_precision(words.data):
            annotations = encoder_outputs[0].to(words.data.dtype)  # B L D
            decoded = self.decoder(words, annotations, state, attend)

        longest = decoder_input_ids.shape[1]
        return ShowAttendTellModelOutput(
            last_hidden_state=padded_like(ids, decoded.features, longest),
            state=last_state(decoded, ids, lengths) if use_cache else None,
            encoder_last_hidden_state=annotations,
            cross_attentions=(padded_like(ids, decoded.alphas, longest),),
            betas=padded_like(ids, decoded.betas, longest),
            attention_samples=None if attend is read_expected else padded_like(ids, decoded.weights, longest),
        )


def last_state(decoded: Decoded, words: PackedSequence, lengths: Tensor | None) -> State:
    """The state after the last word of each caption, of these lengths (B,), or all of the same."""
    hidden, cell = (padded_like(words, part) for part in (decoded.hidden, decoded.cell))  # B T H
    if words.unsorted_indices is None or lengths is None:
        return hidden[:, -1], cell[:, -1], decoded.projected
    captions = torch.arange(len(hidden), device=hidden.device)
    projected = decoded.projected.index_select(0, words.unsorted_indices)
    return hidden[captions, lengths - 1], cell[captions, lengths - 1], projected


class ShowAttendTellForConditionalGeneration(ShowAttendTellPreTrainedModel, RecurrentGenerationMixin):
    """Show, Attend and Tell, with its losses and stock `generate`."""

    def __init__(self, config: ShowAttendTellConfig) -> None:
        super().__init__(config)
        self.model = ShowAttendTellModel(config)
        self.lm_head = nn.Linear(config.embedding_size, config.vocab_size)  # L_o
        self.post_init()

    def get_encoder(self, modality: str | None = None) -> ShowAttendTellEncoder:
        """The picture network, which `generate` runs once."""
        return self.model.encoder

    @staticmethod
    def _reorder_cache(state: tuple[Tensor, ...], beam_idx: Tensor) -> tuple[Tensor, ...]:
        hidden, cell, projected = state  # beams of one picture share its projected annotations: they need not move
        return hidden.index_select(0, beam_idx), cell.index_select(0, beam_idx), projected

    @can_return_tuple
    def forward(  # noqa: PLR0913 (what transformers and the training loop pass by name)
        self,
        pixel_values: Tensor | None = None,
        decoder_input_ids: Tensor | None = None,
        labels: Tensor | None = None,
        encoder_outputs: EncoderOutputs | None = None,
        state: State | None = None,
        use_cache: bool | None = None,
        num_items_in_batch: Tensor | int | None = None,
        output_logits: bool = True,
        baseline: Tensor | float | None = None,
        sample_attention: bool | None = None,
        **kwargs: Any,
    ) -> ShowAttendTellOutput:
        """Predict each next word; with labels, the loss.

        Args:
            pixel_values: (B, 3, height, width); not needed with `encoder_outputs`.
            decoder_input_ids: (B, T), starting with `bos_token_id`; made from the labels by default.
            labels: (B, T), words ending with `eos_token_id`, padded with -100.
            encoder_outputs: The encoder's output, to encode pictures once.
            state: The state of an earlier call, to go on from its last word.
            use_cache: Return the state.
            num_items_in_batch: What the sum of the loss is divided by; the number of labels by default.
            output_logits: False saves memory in training. Logits where a label is ignored are zero.
            baseline: b of REINFORCE, an average of `log_likelihood`; 0 by default.
            sample_attention: See [`ShowAttendTellModel`].
            **kwargs: Ignored.

        Raises:
            ValueError: An input is missing, or soft attention is asked to sample.
        """
        if labels is not None and decoder_input_ids is None:
            decoder_input_ids = shift_right(labels, self.config.bos_token_id, self.config.pad_token_id)
        lengths = None if labels is None else caption_lengths(labels)
        output = self.model(
            pixel_values, decoder_input_ids, encoder_outputs, state, use_cache, lengths, sample_attention
        )
        features = output.last_hidden_state  # B T M
        passed_on = {name: value for name, value in output.items() if name != "last_hidden_state"}
        with own_precision(features):
            if labels is None:
                return ShowAttendTellOutput(logits=self.lm_head(features), **passed_on)
            words = labels != IGNORED  # B T
            scores = self.lm_head(features[words])  # N V
            log_likelihood = caption_log_likelihood(scores, labels)  # B
            samples = output.attention_samples if self.training or sample_attention else None
            parts = self.loss_parts(log_likelihood, output.cross_attentions[0], samples, baseline)
        count = words.sum() if num_items_in_batch is None else num_items_in_batch
        losses = {name: part.sum() / count for name, part in parts.items()}
        logits = None
        if output_logits:
            logits = scores.new_zeros(*labels.shape, scores.shape[1]).index_put((words,), scores)  # B T V
        return ShowAttendTellOutput(
            loss=torch.stack(list(losses.values())).sum(),
            losses=losses,
            logits=logits,
            log_likelihood=log_likelihood.detach(),
            **passed_on,
        )

    def loss_parts(
        self, log_likelihood: Tensor, alphas: Tensor, samples: Tensor | None, baseline: Tensor | float | None
    ) -> dict[str, Tensor]:
        """The terms of L_d (Eq. 14) for soft attention, of Eq. 12 for hard attention, each (B,).

        Args:
            log_likelihood: (B,).
            alphas: (B, T, L).
            samples: (B, T, L), the locations that were sampled; None where none were.
            baseline: b.
        """
        config = self.config
        parts = {"negative_log_likelihood": -log_likelihood}
        if config.attention_type == "hard":
            if samples is not None:
                log_probability = sample_log_probability(alphas, samples)
                loss = reinforce_loss(log_likelihood, log_probability, 0.0 if baseline is None else baseline)
                parts["reinforce"] = config.reinforce_lambda * loss
            parts["entropy"] = -config.entropy_lambda * attention_entropy(alphas)
        elif config.doubly_stochastic_lambda:
            self._warn_of_low_tau(alphas.shape[2])
            penalty = doubly_stochastic_penalty(alphas, config.doubly_stochastic_tau)
            parts["doubly_stochastic"] = config.doubly_stochastic_lambda * penalty
        return parts

    def next_baseline(self, baseline: Tensor | float, log_likelihood: Tensor | float) -> Tensor | float:
        """The baseline after a batch, by `update_baseline` with the configured decay."""
        return update_baseline(baseline, log_likelihood, self.config.baseline_decay)

    def _warn_of_low_tau(self, locations: int) -> None:
        tau, least = self.config.doubly_stochastic_tau, locations / self.config.annotation_size
        if tau < least:
            logger.warning_once(f"doubly_stochastic_tau is {tau} but the paper asks for at least L / D = {least:.3g}")


def caption_log_likelihood(scores: Tensor, labels: Tensor) -> Tensor:
    """Log p(y | a) of each caption, (B,), from the scores (N, V) of the N labels (B, T) that are not ignored."""
    words = labels != IGNORED  # B T
    exact = scores if scores.dtype == torch.float64 else scores.float()
    log_probabilities = -cross_entropy(exact, labels[words], reduction="none")  # N
    return log_probabilities.new_zeros(labels.shape).masked_scatter(words, log_probabilities).sum(1)
