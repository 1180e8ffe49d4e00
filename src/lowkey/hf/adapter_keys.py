"""Names of tensors in PEFT's adapter files: ours behind two wrappers, biases behind a third."""

from collections.abc import Collection
from dataclasses import dataclass

from lowkey.hf.adapter_families import Family

PREFIX = "base_model.model."
"""What peft's two wrappers put in front of every name."""

_BASE_BIAS = ".base_layer.bias"
# With bias: all, peft also writes the biases of whole modules as its wrapper holds them: once more,
# and as they were before the training.
_COPIES = (".modules_to_save.", ".original_module.")


@dataclass(frozen=True)
class AdapterKeys:
    """Translates names of parameters to and from one adapter's file.

    Attributes:
        family: What kind of model it is for.
        adapted: Our names of the adapted linear maps, whose biases peft keeps one floor down.
        copies: Whether the file may hold copies of biases.
    """

    family: Family
    adapted: Collection[str]
    copies: bool = False

    def theirs(self, name: str) -> str:
        """Translates our name of a parameter.

        Args:
            name: Our name.

        Returns:
            The key in the file.

        Raises:
            KeyError: If the family does not hold it.
        """
        module, _, last = name.rpartition(".")
        if last == "bias" and module in self.adapted:
            return f"{PREFIX}{self.family.theirs(module)}{_BASE_BIAS}"
        return PREFIX + self.family.theirs(name)

    def ours(self, key: str) -> str | None:
        """Translates a key of the file.

        Args:
            key: The key.

        Returns:
            Our name of the parameter; None for a copy that peft writes beside it.

        Raises:
            KeyError: If the key is of no parameter that an adapter can hold.
        """
        name = key.removeprefix(PREFIX)
        if name == key:
            raise KeyError(key)
        if self.copies and name.endswith(".bias") and any(copy in name for copy in _COPIES):
            return None
        if self.copies and name in self.family.repeated:
            return None
        module = name.removesuffix(_BASE_BIAS)
        ours = self.family.ours(name if module == name else f"{module}.bias")
        owner, _, last = ours.rpartition(".")
        if last == "bias" and (module != name) != (owner in self.adapted):
            raise KeyError(key)
        return ours
