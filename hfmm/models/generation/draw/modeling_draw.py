"""DRAW (Gregor, Danihelka, Graves, Rezende and Wierstra, ICML 2015, arXiv 1502.04623).

A variational autoencoder that draws in T steps: at each, an encoder reads a patch of the picture and of what the canvas
still lacks of it, a latent passes on what it read, and a decoder adds a patch to the canvas. Where and how sharply they
look and draw, the decoder says.

Axes: B batch, T steps, C channels, H height, W width, L latents, N filters along an edge, R filters of both windows.

| paper | here |
|---|---|
| x-hat = x - sigma(c), Eq. 3; [r, h_dec] to h_enc, Eqs. 4 and 5 | `DrawModel.forward` |
| z ~ Q(Z given h_enc), Eqs. 1, 2 and 6 | `DrawModel.posterior` |
| h_dec = RNN(h_dec, z), Eq. 7; c = c + write(h_dec), Eq. 8 | `DrawModel.draw` |
| L^x = -log D(x given c_T), Eq. 9; L^z, Eqs. 10 and 11; L, Eq. 12 | `DrawModel.bounds`, `DrawOutput.loss` |
| z ~ P(Z), Eqs. 13 to 16 | `DrawModel.generate` |
| without attention, Eqs. 17 and 18 | `read_size` and `write_size` None |
| centers of the filters, Eqs. 19 to 24 | `DrawWindows.forward` |
| F_X and F_Y, Eqs. 25 and 26 | `filterbank` |
| read, Eq. 27; write, Eqs. 28 and 29 | `read`, `write` |

Departures: the KL term is the true one (Eq. 11 prints T/2 for T L/2); filters and pixels are counted from 1; with one
filter along an edge, delta is that of the whole picture. `initial_...` of the configuration say where learning begins.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits
from transformers import PreTrainedModel
from transformers import initialization as init
from transformers.utils import ModelOutput, can_return_tuple

from hfmm.nn.gaussians import kl_to_standard_normal, standard_normal

from .configuration_draw import DrawConfig


@dataclass
class DrawOutput(ModelOutput):
    """What [`DrawModel`] returns; [`DrawModel.generate`] leaves out what it takes a picture for.

    Attributes:
        loss: (), the negative bound in nats a picture.
        losses: Its parts, each () in nats a picture: `reconstruction` and `kl`.
        kl_per_step: (B, T), nats.
        logits: (B, C, H, W), c_T, the last canvas.
        canvases: (T, B, C, H, W), after each step, logits.
        read_windows: (T, B, 5): g_X and g_Y, the center; delta, the filters' distance; sigma^2, their variance; gamma.
            In pixels, counted from 1. None without attention.
        write_windows: (T, B, 5), the same of the patch that is drawn, whose intensity is 1 / gamma.
    """

    loss: Tensor | None = None
    losses: dict[str, Tensor] | None = None
    kl_per_step: Tensor | None = None
    logits: Tensor | None = None
    canvases: Tensor | None = None
    read_windows: Tensor | None = None
    write_windows: Tensor | None = None


class Filters(NamedTuple):
    """A window of each picture.

    Attributes:
        rows: (B, N, H), F_Y.
        columns: (B, N, W), F_X.
        intensity: (B, 1, 1), gamma.
    """

    rows: Tensor
    columns: Tensor
    intensity: Tensor


class Windows(NamedTuple):
    """Both windows of a step.

    Attributes:
        values: (B, 2, 5), of reading and of writing: g_X, g_Y, sigma^2, delta, gamma.
        reads: Where the next step reads.
        writes: Where this step writes.
    """

    values: Tensor
    reads: Filters
    writes: Filters


def filterbank(centers: Tensor, variance: Tensor, pixels: Tensor) -> Tensor:
    """Gaussian filters over pixels, each summing to one (Eqs. 25 and 26).

    Args:
        centers: (...), mu.
        variance: (...), sigma^2.
        pixels: (size,), their places: 1, 2, ...

    Returns:
        (..., size).
    """
    squared = (pixels - centers[..., None]).square()
    return (squared * (-0.5 / variance)[..., None]).softmax(-1)  # a filter far outside keeps the nearest pixel


def read(images: Tensor, filters: Filters) -> Tensor:
    """The patch gamma F_Y x F_X^T of every plane, Eq. 27. (B, H, C, W) -> (B, C, N, N)."""
    channels, width = images.shape[2:]
    down = torch.bmm(filters.rows, images.flatten(2)).view(len(images), -1, width)  # B N*C W
    patches = torch.bmm(down, filters.columns.mT) * filters.intensity  # B N*C N
    return patches.unflatten(1, (-1, channels)).transpose(1, 2)


def write(patches: Tensor, filters: Filters) -> Tensor:
    """What 1 / gamma F_Y^T w F_X of every plane adds, Eq. 29. (B, C, N, N) -> (B, C, H, W)."""
    channels, number = patches.shape[1:3]
    patches = (patches.transpose(1, 2).flatten(2)) / filters.intensity  # B N C*N
    down = torch.bmm(filters.rows.mT, patches).view(len(patches), -1, number)  # B H*C N
    return torch.bmm(down, filters.columns).unflatten(1, (-1, channels)).transpose(1, 2)


class DrawLSTMCell(nn.Module):
    """One step of an LSTM with forget gates and no peepholes, its four gates in one product."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.hidden_size = hidden_size
        self.gates = nn.Linear(input_size + hidden_size, 4 * hidden_size)

    def forward(
        self, inputs: Sequence[Tensor], state: tuple[Tensor, Tensor], more: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Take a step.

        Args:
            inputs: Each (B, its width), of input_size together.
            state: Hidden and cell state, each (B, hidden_size).
            more: (B, 4 hidden_size), further inputs times their weights.
        """
        hidden, cell = state
        gates = self.gates(torch.cat([*inputs, hidden], -1))
        if more is not None:
            gates = gates + more
        opened, candidate = gates.to(cell.dtype).split([3 * self.hidden_size, self.hidden_size], -1)
        enters, stays, leaves = opened.sigmoid().chunk(3, -1)
        cell = torch.addcmul(enters * candidate.tanh(), stays, cell)
        return leaves * cell.tanh(), cell


class DrawWindows(nn.Module):
    """The decoder's state to both windows: the one that it draws in now and the one that is read next."""

    pixels: Tensor  # see `constants`
    scale: Tensor
    owner: Tensor
    place: Tensor

    def __init__(self, config: DrawConfig) -> None:
        assert config.read_size is not None
        assert config.write_size is not None
        super().__init__()
        self.image_size = config.image_size
        self.sizes = [config.read_size, config.write_size]
        self.projection = nn.Linear(config.decoder_hidden_size, 2 * 5)
        for name, value in self.constants().items():
            self.register_buffer(name, value, persistent=False)

    def constants(self) -> dict[str, Tensor]:
        """What no picture changes.

        Returns:
            `pixels` (H,), their places; `scale` (2, 3), of sigma^2, delta and gamma; and of the filters of both windows
            in a row `owner` (R, 2), 1 at its window, and `place` (R, 1), i - N/2 - 0.5.
        """
        filters = [(window, index) for window, number in enumerate(self.sizes) for index in range(1, number + 1)]
        whole = [(self.image_size - 1) / (number - 1) if number > 1 else self.image_size for number in self.sizes]
        return {
            "pixels": torch.arange(1.0, self.image_size + 1),
            "scale": torch.tensor([[1, distance, 1] for distance in whole]),
            "owner": torch.tensor([[1.0 - window, window] for window, _ in filters]),
            "place": torch.tensor([[index - self.sizes[window] / 2 - 0.5] for window, index in filters]),
        }

    def forward(self, hidden: Tensor) -> Windows:
        """Center, sharpness, distance and intensity of each window, and its filters (Eqs. 19 to 26).

        Args:
            hidden: (B, decoder_hidden_size).
        """
        batch = len(hidden)
        center, logarithms = self.projection(hidden).view(batch, 2, 5).split([2, 3], -1)  # Eq. 21
        center = (self.image_size + 1) / 2 * (center + 1)  # B 2 2, Eqs. 22 and 23
        values = torch.cat([center, logarithms.exp() * self.scale], -1)  # B 2 5, Eq. 24
        each = torch.bmm(self.owner.expand(batch, -1, -1), values)  # B R 5
        center, variance, distance, _ = each.split([2, 1, 1, 1], -1)
        means = torch.addcmul(center, self.place, distance)  # B R 2, Eqs. 19 and 20
        columns, rows = filterbank(means, variance, self.pixels).unbind(2)  # B R W, B R H
        read_columns, write_columns = columns.split(self.sizes, 1)
        read_rows, write_rows = rows.split(self.sizes, 1)
        reads, writes = values[..., 4:].split(1, 1)  # B 1 1
        return Windows(values, Filters(read_rows, read_columns, reads), Filters(write_rows, write_columns, writes))


class DrawState(NamedTuple):
    """What a step leaves to the next.

    Attributes:
        canvas: (B, C, H, W), logits.
        decoder: Hidden and cell state, each (B, decoder_hidden_size).
        windows: None without attention.
    """

    canvas: Tensor
    decoder: tuple[Tensor, Tensor]
    windows: Windows | None


class DrawPreTrainedModel(PreTrainedModel):
    """Weights and loading of DRAW."""

    config_class = DrawConfig
    base_model_prefix = "model"
    main_input_name = "pixel_values"
    input_modalities = ["image"]

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, nn.Linear):
            init.kaiming_uniform_(module.weight, a=math.sqrt(5))  # U(-1, 1) / sqrt(inputs)
            if module.bias is not None:
                init.zeros_(module.bias)
        elif isinstance(module, DrawWindows):
            config = self.config
            first = [0, 0, config.initial_log_variance, 0, 0]
            bias = torch.tensor([first, first])
            bias[:, 3] = torch.tensor([config.initial_read_log_stride, config.initial_write_log_stride])
            init.copy_(module.projection.bias, bias.flatten())
            for name, value in module.constants().items():
                init.copy_(module.get_buffer(name), value)
        elif isinstance(module, DrawModel) and self.config.learn_initial_state:
            init.constant_(module.first_canvas, self.config.initial_canvas)
            init.zeros_(module.first_encoder)
            init.zeros_(module.first_decoder)


class DrawModel(DrawPreTrainedModel):
    """Encoder, decoder, canvas and their bound."""

    def __init__(self, config: DrawConfig) -> None:
        super().__init__(config)
        self.windows: DrawWindows | None = None
        self.picture: nn.Linear | None = None
        shape = (config.num_channels, config.image_size, config.image_size)
        pixels, hidden = math.prod(shape), config.decoder_hidden_size
        if config.read_size is None or config.write_size is None:
            self.picture = nn.Linear(pixels, 4 * config.encoder_hidden_size, bias=False)  # of x in [x, x-hat]
            self.patch = nn.Linear(hidden, pixels)
            read_size = pixels
        else:
            self.windows = DrawWindows(config)
            self.patch = nn.Linear(hidden, config.num_channels * config.write_size**2)
            read_size = 2 * config.num_channels * config.read_size**2
        self.encoder = DrawLSTMCell(read_size + hidden, config.encoder_hidden_size)
        self.posterior = nn.Linear(config.encoder_hidden_size, 2 * config.latent_size)
        self.decoder = DrawLSTMCell(config.latent_size, hidden)
        if config.learn_initial_state:
            self.first_canvas = nn.Parameter(torch.empty(shape))
            self.first_encoder = nn.Parameter(torch.empty(config.encoder_hidden_size))
            self.first_decoder = nn.Parameter(torch.empty(hidden))
        self.post_init()

    def first_states(self, batch: int) -> tuple[DrawState, tuple[Tensor, Tensor]]:
        """What the decoder and the encoder begin with."""
        config, like = self.config, self.posterior.weight
        encoder = like.new_zeros(batch, config.encoder_hidden_size)
        decoder = like.new_zeros(batch, config.decoder_hidden_size)
        canvas = like.new_zeros(batch, config.num_channels, config.image_size, config.image_size)
        cells = encoder, decoder
        if config.learn_initial_state:
            encoder, decoder = self.first_encoder.expand_as(encoder), self.first_decoder.expand_as(decoder)
            canvas = self.first_canvas.expand_as(canvas)
        return DrawState(canvas, (decoder, cells[1]), self.look_up(decoder)), (encoder, cells[0])

    def look_up(self, hidden: Tensor) -> Windows | None:
        """The windows of a decoder's state, in full precision, which places need. (B, decoder_hidden_size) -> them."""
        if self.windows is None:
            return None
        with torch.autocast(hidden.device.type, enabled=False):
            found: Windows = self.windows(hidden)
        return found

    def read(self, pixel_values: Tensor, state: DrawState) -> Tensor:
        """What the encoder reads: patches of x and x-hat with attention; x-hat without, as x is the same at each step.

        Args:
            pixel_values: (B, C, H, W), x.
            state: Of the step before.

        Returns:
            (B, 2 C N^2), or (B, C H W).
        """
        error = pixel_values - state.canvas.sigmoid()  # B C H W, Eq. 3
        if state.windows is None:
            return error.flatten(1)
        both = torch.cat([pixel_values.transpose(1, 2), error.transpose(1, 2)], 2)  # B H 2C W
        with torch.autocast(error.device.type, enabled=False):
            return read(both, state.windows.reads).flatten(1)  # Eq. 4

    def write(self, hidden: Tensor, windows: Windows | None) -> Tensor:
        """The logits to be added. (B, decoder_hidden_size), and the windows with attention -> (B, C, H, W)."""
        if windows is None:
            size = self.config.image_size
            return self.patch(hidden).unflatten(1, (-1, size, size))  # Eq. 18
        number = windows.writes.rows.shape[1]
        with torch.autocast(hidden.device.type, enabled=False):
            return write(self.patch(hidden).unflatten(1, (-1, number, number)), windows.writes)  # Eq. 28

    def draw(self, latents: Tensor, state: DrawState) -> DrawState:
        """A step of the decoder, which adds to the canvas (Eqs. 7 and 8, 14 and 15). (B, L) -> its state."""
        hidden, cell = self.decoder([latents], state.decoder)
        windows = self.look_up(hidden)
        return DrawState(state.canvas + self.write(hidden, windows), (hidden, cell), windows)

    @can_return_tuple
    def forward(
        self,
        pixel_values: Tensor,
        noise: Tensor | None = None,
        sample_posterior: bool | None = None,
        generator: torch.Generator | None = None,
        **kwargs: Any,
    ) -> DrawOutput:
        """Look and draw T times, and measure the bound.

        Args:
            pixel_values: (B, C, H, W), in [0, 1].
            noise: (T, B, L), of N(0, I); drawn by default where it is needed.
            sample_posterior: Draw the latents of Q, as the bound needs; its mean otherwise. True by default in training
                and with `noise`, else False.
            generator: Of the noise.
            kwargs: Not read; what transformers passes to every model.
        """
        config, batch = self.config, len(pixel_values)
        if noise is None and (self.training if sample_posterior is None else sample_posterior):
            noise = standard_normal((config.num_glimpses, batch, config.latent_size), self.posterior.weight, generator)
        state, encoder = self.first_states(batch)
        picture = None if self.picture is None else self.picture(pixel_values.flatten(1))  # B 4*hidden
        posteriors, states = [], [state]
        for step in range(config.num_glimpses):
            seen = [self.read(pixel_values, state), state.decoder[0]]
            encoder = self.encoder(seen, encoder, picture)  # Eq. 5
            posteriors.append(self.posterior(encoder[0]))
            latents, log_deviation = posteriors[-1].chunk(2, -1)  # B L, Eqs. 1 and 2
            if noise is not None:
                latents = latents + log_deviation.exp() * noise[step]  # Eq. 6
            state = self.draw(latents, state)
            states.append(state)
        mean, log_deviation = torch.stack(posteriors, 1).float().chunk(2, -1)  # B T L
        kl_per_step = kl_to_standard_normal(mean, 2 * log_deviation)  # B T, Eqs. 10 and 11
        reconstruction, kl = self.reconstruction_cost(pixel_values, state.canvas).mean(), kl_per_step.sum(1).mean()
        drawn = DrawOutput(reconstruction + kl, {"reconstruction": reconstruction, "kl": kl}, kl_per_step)
        return self._with_steps(drawn, states)

    def _with_steps(self, output: DrawOutput, states: list[DrawState]) -> DrawOutput:
        """An output with the canvas and windows of each step; a window is read through in the step after its state."""
        output.logits = states[-1].canvas
        output.canvases = torch.stack([state.canvas for state in states[1:]])  # T B C H W
        values = [state.windows.values for state in states if state.windows is not None]
        if values:
            reads, writes = torch.stack(values)[..., [0, 1, 3, 2, 4]].unbind(2)  # T+1 B 5
            output.write_windows = writes[1:]
            output.read_windows = None if output.loss is None else reads[:-1]
        return output

    def reconstruction_cost(self, pixel_values: Tensor, canvas: Tensor) -> Tensor:
        """-log D(x given c_T), Bernoulli, in nats (Eq. 9). Two of (B, C, H, W) -> (B,)."""
        return binary_cross_entropy_with_logits(canvas, pixel_values, reduction="none").sum((1, 2, 3))

    def log_likelihood(self, pixel_values: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """What the `likelihood` metric scores: a sample of the bound, which log p(x) is not below, in nats.

        Args:
            pixel_values: (B, C, H, W).
            generator: Of the noise.

        Returns:
            (B,).
        """
        output = self(pixel_values, sample_posterior=True, generator=generator)
        return -self.reconstruction_cost(pixel_values, output.logits) - output.kl_per_step.sum(1)

    @classmethod
    def can_generate(cls) -> bool:
        """Not as transformers means it: [`DrawModel.generate`] has no prompt and no tokens."""
        return False

    def generate(self, num_images: int = 1, generator: torch.Generator | None = None) -> DrawOutput:
        """Draw latents of the prior, step by step, and canvases from them (Eqs. 13 to 15).

        Args:
            num_images: B.
            generator: Of the latents.

        Returns:
            With `logits`, `canvases` and `write_windows`.
        """
        config = self.config
        noise = standard_normal((config.num_glimpses, num_images, config.latent_size), self.posterior.weight, generator)
        states = [self.first_states(num_images)[0]]
        for latents in noise:
            states.append(self.draw(latents, states[-1]))
        return self._with_steps(DrawOutput(), states)

    @torch.no_grad()
    def generate_images(self, num_images: int = 1, generator: torch.Generator | None = None) -> Tensor:
        """The means of what [`DrawModel.generate`] draws, Eq. 16. Returns (num_images, C, H, W), in [0, 1]."""
        logits = self.generate(num_images, generator).logits
        assert logits is not None
        return logits.sigmoid()
