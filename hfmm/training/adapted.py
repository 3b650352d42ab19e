"""Linear layers with adapters, computed in one piece: y = W x + b + (alpha / r) B A x (Hu et al. 2022, Eq. 3).

PEFT computes the two products beside each other, converts the input and adds at full width, and under autocast converts
a frozen W anew in every step. Here the adapter is added inside a product, its scale is applied at width r, and a frozen
W is converted once. What it computes is PEFT's; where PEFT computes more than this, PEFT computes it.

Axes: N tokens of all, I inputs, O outputs, r the rank.
"""

from typing import Any, cast

import torch
from peft.tuners.lora import Linear
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional


class AdaptedLinear(Linear):
    """PEFT's linear layer with adapters; its keys, its merging and its saving are the same."""

    converted: tuple[Any, Tensor] | None = None  # what of the frozen weight was converted, and the outcome

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """(..., I) -> (..., O)."""
        adapter = self._lone_adapter()
        if adapter is None or x.ndim < 2 or args or kwargs:
            found: Tensor = super().forward(x, *args, **kwargs)
            return found
        base, kind = self._base(), x.device.type
        dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else base.weight.dtype
        weight, bias = self._converted(base.weight, dtype), None if base.bias is None else base.bias.to(dtype)
        down, up = self.lora_A[adapter].weight, self.lora_B[adapter].weight
        computed: Tensor = _Adapted.apply(x.to(dtype), weight, bias, down, up, self.scaling[adapter])  # type: ignore[no-untyped-call]
        return computed

    def _lone_adapter(self) -> str | None:
        """The name of the one adapter to add, where there is nothing to compute but Eq. 3 over a frozen weight."""
        base, names = self._base(), self.active_adapters
        if type(base) is not nn.Linear or base.weight.ndim != 2:  # sharded ones have 1
            return None
        if any(parameter.requires_grad for parameter in base.parameters()):
            return None
        if self.disable_adapters or self.merged or len(names) != 1 or names[0] not in self.lora_A:
            return None
        is_plain = names[0] not in self.lora_variant and self.lora_B[names[0]].bias is None
        drops = self.training and not isinstance(self.lora_dropout[names[0]], nn.Identity)
        return names[0] if is_plain and not drops else None

    def _base(self) -> nn.Linear:
        return cast(nn.Linear, self.base_layer)

    def _converted(self, weight: Tensor, dtype: torch.dtype) -> Tensor:
        """A frozen weight in the type of the products, kept until it changes.

        Not kept among several processes: they may hold a part of the weights each, to save the room.
        """
        if weight.dtype == dtype or (torch.distributed.is_available() and torch.distributed.is_initialized()):
            return weight.detach().to(dtype)
        of = (weight.data_ptr(), weight._version, dtype)
        if self.converted is None or self.converted[0] != of:
            self.converted = of, weight.detach().to(dtype)
        return self.converted[1]


class _Adapted(torch.autograd.Function):
    """Eq. 3 with gradients of the input and of the adapter."""

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any, inputs: Tensor, weight: Tensor, bias: Tensor | None, down: Tensor, up: Tensor, scale: float
    ) -> Tensor:
        """(..., I), (O, I), (O,), (r, I), (O, r) -> (..., O), in the inputs' type."""
        rows = inputs.flatten(0, -2)  # N I
        narrow, wide = down.to(inputs.dtype), up.to(inputs.dtype)
        low = (rows @ narrow.T).mul_(scale)  # N r
        output = functional.linear(rows, weight, bias).addmm_(low, wide.T)  # N O
        ctx.save_for_backward(rows, low, weight, narrow, wide)
        ctx.scale, ctx.dtypes = scale, (down.dtype, up.dtype)
        return output.unflatten(0, inputs.shape[:-1])

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, None, None, Tensor, Tensor, None]:  # type: ignore[override]
        """Gradients of inputs, down and up."""
        rows, low, weight, narrow, wide = ctx.saved_tensors
        shape, gradient = gradient.shape, gradient.flatten(0, -2)  # N O
        of_low = (gradient @ wide).mul_(ctx.scale)  # N r
        of_narrow, of_wide = of_low.T @ rows, gradient.T @ low
        of_inputs = None
        if ctx.needs_input_grad[0]:
            of_inputs = (gradient @ weight).addmm_(of_low, narrow).unflatten(0, shape[:-1])
        return of_inputs, None, None, of_narrow.to(ctx.dtypes[0]), of_wide.to(ctx.dtypes[1]), None
