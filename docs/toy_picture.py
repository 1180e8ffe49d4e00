"""Draws the picture of the guide to the toys: ``python docs/toy_picture.py``.

Trains the recipe ``reverse`` as it is handed out, which takes minutes, and lets the package draw
where the trained model looks. A run that is there already is not trained again:
``python docs/toy_picture.py runs/reverse``.
"""

import sys
import tempfile
from importlib.resources import files
from pathlib import Path

import lowkey
from lowkey.config import load_recipe
from lowkey.experiments.attention import attention_of, choose, write_attention
from lowkey.experiments.config import TranslationRecipe
from lowkey.experiments.translation import train

PICTURE = Path(__file__).parent / "guides" / "pictures" / "reverse.svg"
WORD = "transformer"


def main(run: Path | None = None) -> None:
    """Draws the picture.

    Args:
        run: A trained run; None trains one.
    """
    if run is None:
        with tempfile.TemporaryDirectory() as folder:
            recipe = Path(str(files("lowkey") / "recipes" / "reverse.yaml"))
            train(load_recipe(TranslationRecipe, recipe), Path(folder) / "reverse")
            main(Path(folder) / "reverse")
        return
    maps = choose(attention_of(lowkey.load(run), WORD), kind="cross")
    PICTURE.parent.mkdir(exist_ok=True)
    write_attention(maps, WORD, PICTURE)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
