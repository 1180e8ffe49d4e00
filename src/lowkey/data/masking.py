"""Which tokens are masked, and what stands in their place: a pure function of a seed."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64, Integer

from lowkey.data.config import MaskingConfig
from lowkey.data.tokenizer import TextTokenizer
from lowkey.errors import DataError

MASK_TOKENS = ("[MASK]", "<mask>")
"""The mask of BERT's tokenizers, and that of RoBERTa's."""


@dataclass(frozen=True, eq=False)
class Masking:
    """How tokens are chosen and hidden.

    Of the tokens that may be chosen (all but special ones), a fixed share of each text is, at least
    one. Most of them are replaced by the mask, some by a token drawn at random, and the rest stay:
    a model that is used never sees a mask.

    Attributes:
        config: The shares.
        mask_id: The id of the mask.
        special_ids: Ids that are never chosen.
        plain_ids: Ids that may stand in for others.

    References:
        Devlin et al., "BERT", 2019, section 3.1 (task 1) and appendix A.1.
    """

    config: MaskingConfig
    mask_id: int
    special_ids: Int64[np.ndarray, " special"]
    plain_ids: Int64[np.ndarray, " plain"]

    @classmethod
    def of(cls, tokenizer: TextTokenizer, config: MaskingConfig) -> "Masking":
        """Finds out which tokens of a tokenizer are special.

        Args:
            tokenizer: The tokenizer of the model.
            config: The shares.

        Returns:
            The masking.

        Raises:
            DataError: If the tokenizer has no mask, or no plain token.
        """
        library = tokenizer.library
        mask_id = next((i for t in MASK_TOKENS if (i := library.token_to_id(t)) is not None), None)
        if mask_id is None:
            raise DataError(f"the tokenizer has no token {' or '.join(MASK_TOKENS)}")
        special = {i for i, token in library.get_added_tokens_decoder().items() if token.special}
        special |= {tokenizer.begin_id, tokenizer.end_id, mask_id}
        special |= set() if tokenizer.unknown_id is None else {tokenizer.unknown_id}
        plain = sorted(set(library.get_vocab().values()) - special)
        if not plain:
            raise DataError("all tokens of the tokenizer are special; there is none to mask")
        return cls(config, mask_id, np.array(sorted(special)), np.array(plain))

    def may_be_chosen(
        self, tokens: Integer[np.ndarray, " tokens"]
    ) -> Int64[np.ndarray, " positions"]:
        """Finds the tokens that are not special.

        Args:
            tokens: Token ids.

        Returns:
            Their positions.
        """
        return np.flatnonzero(~np.isin(tokens, self.special_ids))

    def draw(
        self, tokens: Integer[np.ndarray, " tokens"], seed: int
    ) -> tuple[Int64[np.ndarray, " tokens"], Int64[np.ndarray, " chosen"]]:
        """Masks one text.

        Args:
            tokens: Its ids, at least one of them not special.
            seed: Chooses; the same for the same masks.

        Returns:
            The ids that the model reads, and the positions that it is asked about, in order.
        """
        random = np.random.Generator(np.random.PCG64(seed))
        possible = self.may_be_chosen(tokens)
        count = max(1, round(self.config.mlm_probability * len(possible)))
        # Sorted random numbers rather than permutation(): its algorithm may change.
        order = np.argsort(random.random(len(possible)), kind="stable")
        chosen = np.sort(possible[order[:count]])
        kind = random.random(count)
        others = self.plain_ids[(random.random(count) * len(self.plain_ids)).astype(np.int64)]
        to_mask = self.config.mask_replace_prob
        replaced = np.where(kind < to_mask, self.mask_id, others)
        stays = kind >= to_mask + self.config.random_replace_prob
        read = tokens.astype(np.int64)
        read[chosen] = np.where(stays, read[chosen], replaced)
        return read, chosen

    def asked(self, tokens: Sequence[int]) -> list[int]:
        """Finds the masks that a text holds already.

        Args:
            tokens: Its ids.

        Returns:
            Their positions.
        """
        return [i for i, token in enumerate(tokens) if token == self.mask_id]
