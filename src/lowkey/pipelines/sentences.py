"""Sentences of words: as people type them, and with their tags as people read them."""

from collections.abc import Sequence


def words_of(sentence: Sequence[str] | str) -> list[str]:
    """Takes a sentence apart, if that has not been done.

    Args:
        sentence: Words, or a text.

    Returns:
        The words; those of a text are what white space parts.
    """
    return sentence.split() if isinstance(sentence, str) else list(sentence)


def tags_in_words(words: Sequence[str], tags: Sequence[str | None]) -> str:
    """Writes a tagged sentence for people.

    Args:
        words: The words.
        tags: Their tags; None where there is none.

    Returns:
        Each word with its tag behind a slash, such as ``Anna/B-PER sings/O``; a question mark
        stands for no tag.
    """
    return " ".join(f"{word}/{tag or '?'}" for word, tag in zip(words, tags, strict=True))
