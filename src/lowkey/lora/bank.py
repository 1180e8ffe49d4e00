"""Many adapters on one base, and many of them in one batch."""

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace

import torch
from torch import nn

from lowkey.errors import ConfigError, DataError, did_you_mean
from lowkey.lora.banked import BankedEmbedding, BankedLinear, banked
from lowkey.lora.config import LoRAConfig
from lowkey.lora.inject import adapters
from lowkey.lora.rows import Router, Rows, kind_of
from lowkey.lora.updates import Adapter, LowRank, Whole, take_out, weighted_sum


class AdapterBank:
    """Adapters of one base model, by name: to switch between, to mix in a batch, to combine.

    The base is the model that is given, changed in place: maps and tables that an adapter is for
    become ``BankedLinear`` and ``BankedEmbedding``. No weight of it is written, and with the last
    adapter that needs it each goes back to what it was. Adapters are for use; none trains here.

    Args:
        model: The base, without adapters.
        kinds: Which kind of rows each map sees, by the first parts of its name; ``{}`` stands for a
            number, and the longest match holds. ``{"blocks": "tokens", "pooler": "sentences"}``.
        base: What tells these weights from others, such as a hash of their file.

    Raises:
        ValueError: If the model has adapters already.

    Example:
        >>> from lowkey.lora.inject import inject
        >>> def model():
        ...     torch.manual_seed(0)
        ...     return nn.Sequential(nn.Linear(4, 4))
        >>> bank = AdapterBank(model(), {"0": "tokens"}, base="seed 0")
        >>> for name, rank in (("a", 1), ("b", 2)):
        ...     adapted = model()
        ...     config = LoRAConfig(r=rank, target_modules=["0"], modules_to_save=[])
        ...     _ = inject(adapted, config)
        ...     bank.add(name, adapted, config, base="seed 0")
        >>> with bank.route(tokens=Rows(["a", None, "b"], [2, 1, 2])):
        ...     bank.model(torch.zeros(5, 4)).shape
        torch.Size([5, 4])
        >>> print(bank)
        2 adapters on one base: a (1 module at rank 1), b (1 module at rank 2)
    """

    def __init__(self, model: nn.Module, kinds: Mapping[str, str], *, base: str):
        if adapters(model):
            raise ValueError("the base has adapters; a bank takes it without")
        self.model = model
        self.kinds = kinds
        self.base = base
        self._router = Router()
        self._adapters: dict[str, Adapter] = {}
        self._replaced: dict[str, nn.Linear | nn.Embedding] = {}

    @property
    def names(self) -> list[str]:
        """Names of the adapters."""
        return list(self._adapters)

    def __str__(self) -> str:
        """Says in one line what is in it."""
        found = [f"{name} ({_summary(adapter)})" for name, adapter in self._adapters.items()]
        number = "1 adapter" if len(found) == 1 else f"{len(found)} adapters"
        return f"{number} on one base" + (f": {', '.join(found)}" if found else "")

    def add(self, name: str, model: nn.Module, config: LoRAConfig, *, base: str) -> None:
        """Takes in what a model was adapted with.

        Args:
            name: A new name for the adapter.
            model: A model that ``inject`` has adapted, on another copy of the base; not changed.
            config: What it was adapted with.
            base: What tells the weights of its base from others.

        Raises:
            ValueError: If the model is not adapted, or its updates are merged.
            ConfigError: If there is an adapter of this name.
            DataError: If its base has other weights or other maps than this one, if it trained
                biases, or if modules that it holds whole are more than linear maps.
        """
        self._refuse_taken(name)
        if base != self.base:
            raise DataError(
                f"adapter {name} was trained on other weights ({base[:8]}…) than this base has"
                f" ({self.base[:8]}…)",
                fix="put adapters of one base together",
            )
        self._take_in(name, take_out(model, config, name))

    def combine(
        self, name: str, weights: Mapping[str, float | int], *, head: str | None = None
    ) -> None:
        r"""Makes a new adapter whose update of each map is a sum, :math:`\sum_i w_i s_i B_i A_i`.

        The factors stand side by side in it, so the sum is exact and its ranks add up. What
        adapters hold whole, such as heads, is not summed, for labels of different tasks have
        nothing in common: the new adapter has those of one of them.

        Args:
            name: A new name.
            weights: The weight of each adapter, any number.
            head: The adapter whose modules held whole the new one has; needed where one of them
                holds some.

        Raises:
            ConfigError: If a name is taken or unknown, if nothing is to be summed, if the head is
                left open, or if an adapter is a DoRA: its change of a weight is no sum.
        """
        self._refuse_taken(name)
        self.refuse_unknown([*weights, *([] if head is None else [head])])
        chosen = [(self._adapters[one], weight) for one, weight in weights.items()]
        if not chosen:
            raise ConfigError("a combination needs the weight of at least one adapter")
        for one in weights:
            if any(u.gain is not None for u in self._adapters[one].updates.values()):
                raise ConfigError(
                    f"adapter {one} is a DoRA, which also scales the base: that is no sum",
                    fix="combine adapters of plain LoRA",
                )
        if head is None and any(adapter.whole for adapter, _ in chosen):
            raise ConfigError(
                "adapters hold modules whole, such as heads, and those are not summed",
                fix=f"say whose to take: head={next(iter(weights))!r}",
            )
        updates = weighted_sum([(adapter.updates, weight) for adapter, weight in chosen])
        self._take_in(name, Adapter(updates, {} if head is None else self._adapters[head].whole))

    def remove(self, name: str) -> None:
        """Takes an adapter out; after the last one the model is the base, as it was.

        Args:
            name: Its name.

        Raises:
            ConfigError: If there is none of this name.
        """
        self.refuse_unknown([name])
        if self._router.active == name:
            self._router.active = None
        adapter = self._adapters.pop(name)
        for path in [*adapter.updates, *adapter.whole]:
            module = self.model.get_submodule(path)
            assert isinstance(module, BankedLinear | BankedEmbedding)
            del module.entries[name]
            if not module.entries:
                self._put(path, self._replaced.pop(path))

    def switch(self, name: str | None) -> None:
        """Makes all rows of the batches to come those of one adapter.

        Args:
            name: Its name; None for the base alone.

        Raises:
            ConfigError: If there is none of this name.
        """
        self.refuse_unknown([] if name is None else [name])
        self._router.active = name

    def route(self, **rows: Rows) -> AbstractContextManager[None]:
        """Mixes adapters in a batch: ``with bank.route(tokens=..., sentences=...): model(...)``.

        Args:
            **rows: Whose rows they are, for each kind of rows that a map with adapters sees.

        Returns:
            What to compute the batch in; outside of it ``switch`` holds.

        Raises:
            ConfigError: If a row belongs to no adapter of the bank.
        """
        wanted = {name for each in rows.values() for name, _ in each.groups}
        self.refuse_unknown(name for name in wanted if name is not None)
        return self._router.route(rows)

    def refuse_unknown(self, names: Iterable[str]) -> None:
        """Makes sure that there are adapters of some names.

        Args:
            names: The names.

        Raises:
            ConfigError: If there is none of one of them.
        """
        for name in names:
            if name not in self._adapters:
                near = did_you_mean(name, self._adapters)
                known = f"there are {', '.join(self._adapters)}" if self._adapters else None
                fix = f"did you mean {near}?" if near else known
                raise ConfigError(f"there is no adapter {name}", fix=fix)

    def _take_in(self, name: str, adapter: Adapter) -> None:
        """Checks everything first: an adapter that is refused leaves no trace."""
        entries: dict[str, LowRank | Whole] = {**adapter.updates, **adapter.whole}
        modules = dict(self.model.named_modules())
        kinds = {path: kind_of(path, self.kinds) for path in entries}
        for path, entry in entries.items():
            if not _fits(entry, modules.get(path)):
                raise DataError(
                    f"adapter {name} changes {path}, which is not such a module in this base",
                    fix="it was made for another model",
                )
        for path, entry in entries.items():
            module = modules[path]
            if not isinstance(module, BankedLinear | BankedEmbedding):
                assert isinstance(module, nn.Linear | nn.Embedding)
                self._replaced[path] = module
                module = banked(module, self._router, kinds[path])
                self._put(path, module)
            module.entries[name] = _moved(entry, module.weight.device)
        self._adapters[name] = adapter

    def _put(self, path: str, module: nn.Module) -> None:
        parent, _, last = path.rpartition(".")
        setattr(self.model.get_submodule(parent), last, module)

    def _refuse_taken(self, name: str) -> None:
        if name in self._adapters:
            raise ConfigError(f"there is an adapter {name} already", fix="give each its own name")


def _fits(entry: LowRank | Whole, module: nn.Module | None) -> bool:
    if isinstance(module, nn.Embedding):
        shape = (module.embedding_dim, module.num_embeddings)
        return isinstance(entry, LowRank) and entry.shape == shape
    if not isinstance(module, nn.Linear):
        return False
    if isinstance(entry, Whole):  # a head may have other labels
        return entry.weight.shape[1] == module.in_features
    return entry.shape == (module.out_features, module.in_features)


def _moved(entry: LowRank | Whole, device: torch.device) -> LowRank | Whole:
    tensors = {key: value.to(device) for key, value in vars(entry).items() if value is not None}
    return replace(entry, **tensors)


def _summary(adapter: Adapter) -> str:
    ranks = {len(update.a) for update in adapter.updates.values()} or {0}
    number, least, most = len(adapter.updates), min(ranks), max(ranks)
    rank = f"rank {least}" if least == most else f"ranks {least} to {most}"
    return f"{number} {'module' if number == 1 else 'modules'} at {rank}"
