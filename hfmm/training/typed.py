"""Plain values of YAML and the command line as the types that dataclasses declare."""

from collections.abc import Mapping, Sequence
from dataclasses import is_dataclass
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from hfmm.errors import UsageError, unknown

T = TypeVar("T")


def number(value: Any) -> Any:
    """YAML 1.1 reads 2e-3 as a string; people mean a number."""
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value


def _coerced(value: Any, hint: Any, where: str) -> Any:
    """`value` as the type that a field declares.

    Raises:
        UsageError: It is of another type.
    """
    origin, inner = get_origin(hint), get_args(hint)
    if hint is Any:
        return value
    if origin in (Union, UnionType):
        if value is None:
            return None
        return _coerced(value, next(kind for kind in inner if kind is not NoneType), where)
    if is_dataclass(hint):
        return section(hint, value, where)  # type: ignore[arg-type]
    if origin is list and isinstance(value, Sequence) and not isinstance(value, str):
        return [_coerced(item, inner[0], f"{where}[{index}]") for index, item in enumerate(value)]
    if origin is dict and isinstance(value, Mapping):
        return {str(key): _coerced(item, inner[1], f"{where}.{key}") for key, item in value.items()}
    value = number(value) if hint in (int, float) else value
    if hint is int and isinstance(value, float) and value.is_integer():
        value = int(value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if hint in (int, float, str, bool) and isinstance(value, hint) and not (hint is int and isinstance(value, bool)):
        return value
    raise UsageError(
        f"{where} is {value!r}, which is not {getattr(hint, '__name__', str(hint)) if not inner else hint}"
    )


def section(kind: type[T], values: Any, where: str) -> T:
    """A mapping as a dataclass; `where` is what errors call it.

    Raises:
        UsageError: An unknown key, or a value of another type.
    """
    if not isinstance(values, Mapping):
        raise UsageError(f"{where or 'the recipe'} is {values!r}, where key: value pairs are expected")
    hints = get_type_hints(kind)
    for key in values:
        if key not in hints:
            raise unknown(f"key of {where or 'the recipe'}", str(key), hints)
    prefix = f"{where}." if where else ""
    return kind(**{key: _coerced(value, hints[key], prefix + key) for key, value in values.items()})
