"""Changes to several knobs of a recipe that belong together."""

from dataclasses import replace

from service.selfinstruct.recipe import RECIPES, Form, Language, Recipe


def with_language(recipe: Recipe, language: Language) -> Recipe:
    """Return a recipe for a language. For any language, instructions keep their case and may begin with any letter."""
    is_english = language is Language.EN
    filters = replace(recipe.filters, language=language, allow_non_ascii=not is_english)
    published = RECIPES[recipe.name].capitalize and recipe.form is Form.TEXT
    return replace(recipe, filters=filters, capitalize=published and is_english)
