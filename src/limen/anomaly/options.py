"""The options of makers and detectors: read, changed and stored alike."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

from limen._core.errors import UsageError, nearest
from limen.run.files import packed, unpacked

Holder = TypeVar("Holder", bound="Options")


class Options:
    """A dataclass whose fields are its options, as scikit-learn asks for them.

    Example:
        >>> from limen.anomaly.synth.spike import Spike
        >>> Spike(window=20).set_params(window=30).get_params()["window"]
        30
    """

    def get_params(self, deep: bool = True) -> dict[str, Any]:  # noqa: FBT001, FBT002
        """The options by name.

        Args:
            deep: Also the options of options, as "maker__window".
        """
        found = {f.name: getattr(self, f.name) for f in fields(self) if f.init}  # type: ignore[arg-type]
        if deep:
            for name, value in list(found.items()):
                inner = value.get_params() if isinstance(value, Options) else {}
                found |= {f"{name}__{key}": one for key, one in inner.items()}
        return found

    def set_params(self: Holder, **params: Any) -> Holder:
        """Change options; fit again afterwards.

        Args:
            **params: By name, those of options as "maker__window".

        Returns:
            This object.

        Raises:
            UsageError: No such option.
        """
        known = self.get_params(deep=False)
        for name, value in params.items():
            outer, _, inner = name.partition("__")
            if outer not in known or (inner and not isinstance(known[outer], Options)):
                raise UsageError(
                    f"{type(self).__name__} has no option {name!r}; nearest: {nearest(name, known)}"
                )
            if inner:
                known[outer].set_params(**{inner: value})
            else:
                setattr(self, name, value)
        return self

    def packed_options(self) -> dict[str, Any]:
        """The options as plain state; limen's own objects among them with their state."""
        return {name: _packed(value) for name, value in self.get_params(deep=False).items()}


def _packed(value: Any) -> dict[str, Any]:
    return {"object": packed(value)} if hasattr(value, "to_dict") else {"value": value}


def options_of(state: Mapping[str, Any]) -> dict[str, Any]:
    """What `Options.packed_options` gave, back.

    Args:
        state: Its result, also after `limen.save` and `limen.load`.

    Returns:
        The options by name.

    Example:
        >>> options_of({"window": {"value": 3}})
        {'window': 3}
    """
    found = {n: unpacked(s["object"]) if "object" in s else s["value"] for n, s in state.items()}
    return {n: tuple(v) if isinstance(v, list) else v for n, v in found.items()}
