"""Training speed of Show, Attend and Tell against the loop of the usual tutorials, at equal loss and gradient.

    OMP_NUM_THREADS=1 python scripts/benchmarks/captioning.py [--repeats 5] [--json FILE]

One step is forward, backward and Adam on 32 captions of 8 to 24 words over 196 x 512 annotations (a picture network's
output, computed before), all widths 512, 8,000 words. The peers are the tutorials' nn.LSTMCell loop with everything
inside it, with the paper's arithmetic (tanh attention, scalar beta, deep output): over all rows at every step
("padded"), and over captions sorted by length with a batch that shrinks ("shrinking"). All start from the same weights,
take turns in one process on one thread, and are timed in CPU seconds of the process.

"medium" is `torch.set_float32_matmul_precision("medium")`, which hfmm's device policy sets in training where it has
checked that products stay exact to fp32; the peers are shown with it, too.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.nn.utils.rnn import pack_padded_sequence
from transformers import ResNetConfig

from hfmm.device import hardware
from hfmm.models.captioning.show_attend_tell.configuration_show_attend_tell import ShowAttendTellConfig
from hfmm.models.captioning.show_attend_tell.modeling_show_attend_tell import ShowAttendTellForConditionalGeneration
from hfmm.nn.captioning import IGNORED

BATCH, LOCATIONS, WIDTH, VOCABULARY, SHORTEST, LONGEST = 32, 196, 512, 8000, 8, 24
START, END, FIRST_WORD = 1, 2, 4


class TutorialDecoder(nn.Module):
    """The decoder of the usual PyTorch tutorials, everything inside the loop over the words."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, WIDTH, padding_idx=START)
        self.initial_hidden, self.initial_cell = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)
        self.encoder_attention = nn.Linear(WIDTH, WIDTH)
        self.decoder_attention = nn.Linear(WIDTH, WIDTH, bias=False)
        self.full_attention = nn.Linear(WIDTH, 1)
        self.selector = nn.Linear(WIDTH, 1)
        self.cell = nn.LSTMCell(2 * WIDTH, WIDTH)
        self.hidden_output, self.context_output = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)
        self.vocabulary = nn.Linear(WIDTH, VOCABULARY)

    def forward(self, annotations: Tensor, captions: Tensor, lengths: list[int], shrink: bool) -> Tensor:
        """Scores of the next words, (B, T, V); rows sorted by falling length."""
        embedded = self.embedding(captions)  # B T M
        mean = annotations.mean(1)  # B D
        hidden, cell = torch.tanh(self.initial_hidden(mean)), torch.tanh(self.initial_cell(mean))
        scores = torch.zeros(*captions.shape, VOCABULARY)
        for step in range(captions.shape[1]):
            rows = sum(length > step for length in lengths) if shrink else len(lengths)
            hidden, cell = hidden[:rows], cell[:rows]
            meeting = self.encoder_attention(annotations[:rows]) + self.decoder_attention(hidden).unsqueeze(1)
            alpha = torch.softmax(self.full_attention(torch.tanh(meeting)).squeeze(2), dim=1)  # rows L
            context = (annotations[:rows] * alpha.unsqueeze(2)).sum(dim=1)
            context = torch.sigmoid(self.selector(hidden)) * context
            hidden, cell = self.cell(torch.cat([embedded[:rows, step], context], dim=1), (hidden, cell))
            deep = embedded[:rows, step] + self.hidden_output(hidden) + self.context_output(context)
            scores[:rows, step] = self.vocabulary(deep)
        return scores

    def loss(self, annotations: Tensor, labels: Tensor, shrink: bool) -> Tensor:
        """Mean over the words: by packing where the batch shrinks, by ignoring padding where it does not."""
        captions = torch.cat([torch.full_like(labels[:, :1], START), labels[:, :-1]], 1).clamp(min=0)
        lengths = (labels != IGNORED).sum(1).tolist()
        scores = self(annotations, captions, lengths, shrink)
        if not shrink:
            return cross_entropy(scores.flatten(0, 1), labels.flatten(), ignore_index=IGNORED)
        packed, targets = (pack_padded_sequence(part, lengths, batch_first=True).data for part in (scores, labels))
        return cross_entropy(packed, targets)


def reorder(gates: Tensor) -> Tensor:
    """Rows of gates in our order (input, forget, output, candidate) to those of nn.LSTMCell, or back."""
    first, second, third, fourth = gates.chunk(4)
    return torch.cat([first, second, fourth, third])


def in_tutorial_names(ours: Callable[[str], Tensor]) -> dict[str, Tensor]:
    """Our parameters, or their gradients, by the tutorial's names."""
    gates, query, selector = ours("model.decoder.recurrence.hidden_weight").split([4 * WIDTH, WIDTH, 1])
    decoder = "model.decoder."
    linears = {
        "initial_hidden": decoder + "initial_hidden",
        "initial_cell": decoder + "initial_cell",
        "encoder_attention": decoder + "annotation_projection",
        "hidden_output": decoder + "hidden_output",
        "context_output": decoder + "context_output",
        "vocabulary": "lm_head",
    }
    inputs = [ours(decoder + "word_gates.weight"), ours(decoder + "recurrence.context_weight")]
    parts = ("weight", "bias")
    return {f"{peer}.{part}": ours(f"{name}.{part}") for peer, name in linears.items() for part in parts} | {
        "embedding.weight": ours("model.embed_tokens.weight"),
        "decoder_attention.weight": query,
        "full_attention.weight": ours(decoder + "recurrence.energy_weight")[None],
        "full_attention.bias": ours(decoder + "recurrence.energy_bias"),
        "selector.weight": selector,
        "selector.bias": ours(decoder + "recurrence.selector_bias"),
        "cell.weight_ih": reorder(torch.cat(inputs, 1)),
        "cell.weight_hh": reorder(gates),
        "cell.bias_ih": reorder(ours(decoder + "word_gates.bias")),
    }


def create_models() -> tuple[ShowAttendTellForConditionalGeneration, TutorialDecoder]:
    """Our model and the tutorial's, with equal weights."""
    config = ShowAttendTellConfig(
        backbone_config=ResNetConfig(embedding_size=8, hidden_sizes=[WIDTH], depths=[1], out_features=["stage1"]),
        vocab_size=VOCABULARY, embedding_size=WIDTH, hidden_size=WIDTH, annotation_size=WIDTH, attention_size=WIDTH,
        attention_layers=1, init_layers=1, dropout=0.0, doubly_stochastic_lambda=0.0, initializer_range=0.05,
    )  # fmt: skip
    ours, peer = ShowAttendTellForConditionalGeneration(config), TutorialDecoder()
    weights = dict(ours.named_parameters())
    with torch.no_grad():
        peer.cell.bias_hh.zero_()
        for name, value in in_tutorial_names(weights.__getitem__).items():
            peer.get_parameter(name).copy_(value)
    return ours, peer


def create_batch() -> tuple[Tensor, Tensor]:
    """Annotations (B, L, D) and labels (B, T), longest caption first."""
    annotations = torch.randn(BATCH, LOCATIONS, WIDTH)
    lengths = torch.randint(SHORTEST, LONGEST + 1, (BATCH,)).sort(descending=True).values
    places = torch.arange(int(lengths[0]))
    labels = torch.randint(FIRST_WORD, VOCABULARY, (BATCH, len(places)))
    labels[places == lengths[:, None] - 1] = END
    return annotations, labels.masked_fill(places >= lengths[:, None], IGNORED)


def largest_differences(
    ours: ShowAttendTellForConditionalGeneration, peer: TutorialDecoder, annotations: Tensor, labels: Tensor
) -> dict[str, float]:
    """Largest difference of loss and gradients between ours and both forms of the peer, relative to the largest."""
    loss = ours(encoder_outputs=(annotations,), labels=labels, output_logits=False).loss
    loss.backward()
    mine = in_tutorial_names(lambda name: ours.get_parameter(name).grad)
    worst = {"loss": 0.0, "gradient": 0.0}
    for shrink in (True, False):
        peer.zero_grad()
        theirs = peer.loss(annotations, labels, shrink)
        theirs.backward()
        worst["loss"] = max(worst["loss"], abs(loss.item() - theirs.item()) / theirs.item())
        for name, gradient in mine.items():
            expected = peer.get_parameter(name).grad
            # the gradient at the attention's last bias is zero but for rounding: measure it against 1
            scale = 1.0 if name == "full_attention.bias" else expected.abs().max().item()
            worst["gradient"] = max(worst["gradient"], (gradient - expected).abs().max().item() / scale)
    ours.zero_grad()
    peer.zero_grad()
    return worst


def trainer(model: nn.Module, loss: Callable[[], Tensor], precision: str) -> Callable[[], None]:
    """A function that takes one step with Adam."""
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4, fused=True)

    def step() -> None:
        torch.set_float32_matmul_precision(precision)
        loss().backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def measure(steps: dict[str, Callable[[], None]], repeats: int) -> dict[str, list[float]]:
    """CPU seconds of each, in turn, after one turn to warm up."""
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for turn in range(repeats + 1):
        for name, step in steps.items():
            before = time.process_time()
            step()
            if turn:
                seconds[name].append(time.process_time() - before)
    return seconds


def main() -> None:
    """Check that both compute the same, then race them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5, help="turns of each (default 5)")
    parser.add_argument("--json", type=Path, help="also write the figures there")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    ours, peer = create_models()
    annotations, labels = create_batch()
    differences = largest_differences(ours, peer, annotations, labels)

    def our_loss() -> Tensor:
        return ours(encoder_outputs=(annotations,), labels=labels, output_logits=False).loss

    steps = {
        "ours": trainer(ours, our_loss, "highest"),
        "ours, medium": trainer(ours, our_loss, "medium"),
        "tutorial, padded": trainer(peer, lambda: peer.loss(annotations, labels, False), "highest"),
        "tutorial, shrinking": trainer(peer, lambda: peer.loss(annotations, labels, True), "highest"),
        "tutorial, padded, medium": trainer(peer, lambda: peer.loss(annotations, labels, False), "medium"),
        "tutorial, shrinking, medium": trainer(peer, lambda: peer.loss(annotations, labels, True), "medium"),
    }
    seconds = measure(steps, arguments.repeats)
    speed = {name: BATCH / statistics.median(values) for name, values in seconds.items()}
    ratios = {f"{mine} / {name}": speed[mine] / speed[name] for mine in list(speed)[:2] for name in list(speed)[2:]}
    print(f"{hardware()}; torch {torch.__version__}; {int((labels != IGNORED).sum())} words a step")
    print("largest relative difference: " + ", ".join(f"{name} {value:.1e}" for name, value in differences.items()))
    for name, value in speed.items():
        print(f"{name:30} {value:7.1f} images/s   ({min(seconds[name]):.3f} to {max(seconds[name]):.3f} s)")
    for name, value in ratios.items():
        print(f"{name:45} {value:5.2f} x")
    if arguments.json:
        figures = {
            "hardware": hardware(), "torch": torch.__version__, "differences": differences,
            "images_per_second": speed, "seconds": seconds, "ratios": ratios,
        }  # fmt: skip
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
