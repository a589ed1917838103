"""YAML and JSON round trips, the call itself, and its errors."""

import ast
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from advisor.export import FORMATS, export
from advisor.export.source_text import needed_definitions, needed_imports
from probes.errors import UserError
from probes.recipe import catalogue
from probes.recipe.schema import Recipe

RECIPES = [
    Recipe(),
    *(Recipe.parse({"optimizer": name}) for name in catalogue.table("optimizer")),
    Recipe.parse(
        {
            "optimizer": {"name": "adam", "lr": 1e-7, "eps": 1e-10},
            "schedule": {"name": "warmup_stable_decay", "shape": "cosine"},
            "normalization": {"name": "group", "num_groups": 4},
            "clip": {"name": "norm", "max": 0.25},
            "regularization": {"label_smoothing": 0.1, "early_stopping": {"patience": 5}},
            "batch_size": 48,
            "horizon": 0.25,
        }
    ),
]


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.key)
@pytest.mark.parametrize("to", ["yaml", "json"])
def test_reading_back_gives_an_equal_recipe(recipe, to, tmp_path):
    path = tmp_path / f"recipe.{to}"
    text = export(recipe, path, to, batch_size=16)
    assert path.read_text(encoding="utf-8") == text
    expected = recipe if recipe.batch_size else recipe.with_(batch_size=16)
    assert Recipe.load(path) == expected
    assert Recipe.load(path).batch_size == (recipe.batch_size or 16)


@pytest.mark.parametrize("to", FORMATS)
def test_same_text_with_and_without_a_file(to, tmp_path):
    path = tmp_path / "recipe"
    path.write_text("what was there before")
    text = export(Recipe(), str(path), to, batch_size=16)
    assert path.read_text(encoding="utf-8") == text == export(Recipe(), None, to, batch_size=16)
    assert [entry.name for entry in tmp_path.iterdir()] == ["recipe"]


def test_unknown_format_names_the_near_one():
    with pytest.raises(UserError, match="did you mean torch"):
        export(Recipe(), None, "toch", batch_size=16)


@pytest.mark.parametrize(
    ("path", "message"),
    [("absent/recipe.py", "a folder that exists"), (".", "the path of a file")],
)
def test_paths_that_cannot_be_written(path, message, tmp_path):
    with pytest.raises(UserError, match=message):
        export(Recipe(), tmp_path / path, "torch", batch_size=16)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("wrong", [{"batch_size": 0}, {"batch_size": 2.5}, {"steps": 0}])
def test_numbers_out_of_range(wrong):
    (name,) = wrong
    with pytest.raises(UserError, match=f"{name} as a whole number above 0"):
        export(Recipe(), None, "yaml", **{"batch_size": 16, **wrong})


@pytest.mark.parametrize(("batch_size", "expected"), [(None, 300), (16, 300), (32, 150), (8, 600)])
def test_steps_in_the_heading_spend_the_same_samples(batch_size, expected):
    recipe = Recipe.parse({"batch_size": batch_size, "horizon": 0.5})
    text = export(recipe, None, "torch", batch_size=16, steps=300)
    assert f"total_steps = {expected}  # the budget" in text


@pytest.mark.slow
@settings(max_examples=30, deadline=None)
@given(st.text(max_size=40))
def test_any_task_name_leaves_a_file_that_parses(name):
    text = export(Recipe(), None, "torch", batch_size=16, task_name=name)
    heading, *code = ast.parse(text).body
    assert "from recipe import shuffled_batches, train" in ast.unparse(heading)
    unnamed = ast.parse(export(Recipe(), None, "torch", batch_size=16)).body[1:]
    assert [ast.dump(node) for node in code] == [ast.dump(node) for node in unnamed]


def test_formats_are_listed_without_torch():
    code = "import sys, advisor.export; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


SOURCE = '''"""Doc."""
import copy
import math

# How many.
COUNT = 3
OTHER = 4


def helper(x):
    return math.sqrt(x)


def choose(kind):
    options = [COUNT]
    match kind:
        case "a":
            return helper(COUNT)
        case "b":
            return copy.copy([OTHER, options])


def unused():
    return OTHER
'''


def test_definitions_are_cut_to_what_is_reached():
    text = needed_definitions(SOURCE, ["choose"], case="a")
    assert "unused" not in text
    assert "OTHER" not in text
    assert "options" not in text
    assert text.startswith("# How many.\nCOUNT = 3\n\n\ndef helper")
    assert needed_imports(text, SOURCE) == "import math"


def test_without_a_case_every_branch_stays():
    text = needed_definitions(SOURCE, ["choose"])
    assert "OTHER = 4" in text
    assert "options = [COUNT]" in text
    assert needed_imports(text, SOURCE) == "import copy\nimport math"


def test_a_case_that_no_branch_has_leaves_the_match_whole():
    assert needed_definitions(SOURCE, ["choose"], case="c") == needed_definitions(
        SOURCE, ["choose"]
    )
