"""What adapters of each kind of model are called in PEFT's files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lowkey.hf.bert_names import BERT_NAMES
from lowkey.hf.marian_names import MARIAN_NAMES
from lowkey.hf.names import NameMap
from lowkey.hf.parts import whole_name
from lowkey.lora.config import matches


@dataclass(frozen=True)
class Family:
    """One kind of model.

    Attributes:
        title: How people call it.
        task_type: peft's name of the task; None where it has none.
        names: The table of module names; None where theirs are ours.
        root: What an adapter of the bare model leaves out in front of its names.
        heads: First parts of names that never have the root.
        saved_modules: The modules an adapter may hold whole: their name, and which of ours are
            in it.
        absent_modules: Modules that peft lists and this kind of model does not have.
        repeated: Biases that peft writes once more under these names, because two of its modules
            share one.
    """

    title: str
    task_type: str | None
    names: NameMap | None = None
    root: str = ""
    heads: tuple[str, ...] = ()
    saved_modules: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    absent_modules: frozenset[str] = frozenset()
    repeated: frozenset[str] = frozenset()

    @property
    def parts(self) -> Mapping[str, int]:
        """How many modules of ours a module of theirs is, where it is several."""
        return {} if self.names is None else self.names.parts

    def theirs(self, name: str) -> str:
        """Translates our name of a module or parameter.

        Args:
            name: Our name.

        Returns:
            Theirs.

        Raises:
            KeyError: If the table does not hold it.
        """
        return name if self.names is None else self.names.theirs(name)

    def module(self, name: str) -> str:
        """Names the module of theirs that a module of ours is, or is a part of.

        Args:
            name: Our name.

        Returns:
            Their name, as it stands in files.

        Raises:
            KeyError: If the table does not hold it.
        """
        return whole_name(self.theirs(name))

    def ours(self, name: str) -> str:
        """Translates their name of a module or parameter.

        Args:
            name: Their name.

        Returns:
            Ours.

        Raises:
            KeyError: If the table does not hold it.
        """
        if self.names is None:
            return name
        whole = name.startswith((self.root, *self.heads))
        return self.names.ours(name if whole else f"{self.root}{name}")

    def saved_names(self, modules: Sequence[str]) -> list[str] | None:
        """Translates the modules that an adapter is to hold whole.

        Args:
            modules: Our modules, by their whole names or last parts.

        Returns:
            Their names; None if these modules are not ones that an adapter can hold.
        """
        ours = [name for held in self.saved_modules.values() for name in held]
        if any(all(not matches(name, module) for name in ours) for module in modules):
            return None
        wanted = {name for name in ours if any(matches(name, module) for module in modules)}
        found = [name for name, held in self.saved_modules.items() if wanted >= set(held)]
        # In the order of the modules, so that an adapter comes back as it was.
        order = [name for module in modules for name in ours if matches(name, module)]
        found.sort(key=lambda name: order.index(self.saved_modules[name][-1]))
        held = {name for theirs in found for name in self.saved_modules[theirs]}
        return found if held == wanted else None


BERT = Family(
    title="BERT",
    task_type="SEQ_CLS",
    names=BERT_NAMES,
    root="bert.",
    heads=("classifier.",),
    saved_modules={"classifier": ("classifier",), "pooler": ("encoder.pooler",)},
    # A head of other families, which peft adds whenever the task is SEQ_CLS.
    absent_modules=frozenset({"score"}),
)
MARIAN = Family(
    title="Marian",
    task_type="SEQ_2_SEQ_LM",
    names=MARIAN_NAMES,
    root="model.",
    heads=("lm_head.",),
)
TRANSFORMER = Family(title="the Transformer", task_type="SEQ_2_SEQ_LM")
"""Our own encoder-decoder: peft can adapt it under its own names, as any module."""
