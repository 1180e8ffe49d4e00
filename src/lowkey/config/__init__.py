"""Recipes: YAML files checked against pydantic models, with errors that name the line.

Free of torch, so that a wrong recipe is answered at once.
"""

from lowkey.config.recipe import Config, dump_recipe, load_recipe, make_recipe

__all__ = ["Config", "dump_recipe", "load_recipe", "make_recipe"]
