"""The documentation says what is there: generated pages, links, commands, make targets, code."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import json
import re
import shlex
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from advisor.cli.program import make_parser
from advisor.feature_table import PAIR_FEATURES, RECIPE_UNITS, TASK_FEATURES
from knowledge_base.families import FAMILIES
from knowledge_base.tasks import TaskRow
from probes.profile import units
from probes.recipe.catalogue import EXTRAS, NORMALIZATIONS, OPTIMIZERS, SCHEDULES
from probes.recipe.prices import priced_rows

ROOT = Path(__file__).parent.parent
ROOMS = ("advisor", "knowledge_base", "probes")
PAGES = (
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted(page for room in ROOMS for page in (ROOT / room).rglob("*.md")),
)
SHELL = ("", "sh", "shell", "bash", "console")


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


every_page = pytest.mark.parametrize("page", PAGES, ids=named)


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "docs")  # as for a script: its neighbours can be imported
        spec.loader.exec_module(module)
    return module


def blocks(text: str) -> Iterator[tuple[str, str]]:
    """(language, code) of every fenced block."""
    for match in re.finditer(r"^( *)```(\w*)\n(.*?)^ *```$", text, re.MULTILINE | re.DOTALL):
        yield match[2], textwrap.dedent(match[3])


def without_blocks(text: str) -> str:
    return re.sub(r"^ *```\w*\n.*?^ *```$", "", text, flags=re.MULTILINE | re.DOTALL)


def commands(text: str) -> Iterator[str]:
    """Every piece of code that could be a command: spans, indented lines, shell blocks."""
    prose = without_blocks(text)
    for span in re.findall(r"`([^`]+)`", prose):
        yield " ".join(span.split())
    yield from re.findall(r"^ {4,}(.+)$", prose, re.MULTILINE)
    for language, code in blocks(text):
        if language in SHELL:
            yield from code.splitlines()


def words(command: str, program: str) -> list[str] | None:
    """What follows the program, or None where the command runs another."""
    bare = re.sub(r"^(\$ |\.venv/bin/|[A-Z]+=\S+ )*", "", command)
    if bare != program and not bare.startswith(f"{program} "):
        return None
    return shlex.split(bare, comments=True)[1:]


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as code hosts make them."""
    headings = re.findall(r"^#+ (.+)$", without_blocks(text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in headings}


def test_generated_pages_are_up_to_date(generate: ModuleType) -> None:
    assert [named(path) for path in generate.stale(generate.pages())] == []


def test_check_tells_an_old_page_and_writes_nothing(
    generate: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    page = tmp_path / "page.md"
    page.write_text("old")
    monkeypatch.setattr(generate, "pages", lambda: {page: "new"})
    assert generate.main(["--check"]) == 1
    assert page.read_text() == "old"
    assert f"{page}: out of date; run make docs" in capsys.readouterr().err
    assert generate.main([]) == 0
    assert page.read_text() == "new"
    assert generate.main(["--check"]) == 0


def test_pages_do_not_depend_on_the_terminal(
    generate: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    narrow = generate.command_line_page()
    monkeypatch.setenv("COLUMNS", "200")
    assert generate.command_line_page() == narrow


def test_files_go_between_the_marks(generate: ModuleType) -> None:
    marks = f"a\n{generate.FILES_BEGIN}\nold\n{generate.FILES_END}\nb"
    once = generate.with_files(marks, "new")
    assert "old" not in once
    assert generate.with_files(once, "new") == once
    with pytest.raises(ValueError, match="needs the lines"):
        generate.with_files("no marks", "new")


def test_every_file_says_its_one_idea(generate: ModuleType) -> None:
    rows = re.findall(r"^\| \[(.+?)\].*\| (.*) \|$", generate.files_table(), re.MULTILINE)
    assert len(rows) == sum(len(list((ROOT / room).rglob("*.py"))) for room in ROOMS)
    assert [name for name, idea in rows if not idea] == []


def test_every_method_and_every_value_has_its_row(generate: ModuleType) -> None:
    methods, probes = generate.methods_page(), generate.probes_page()
    for row in (*OPTIMIZERS, *SCHEDULES, *NORMALIZATIONS, *EXTRAS):
        assert methods.count(f"\n| `{row.name}` |") >= 1, row.name
    for name in units():
        assert probes.count(f"\n| `{name}` |") == 1, name


def test_every_feature_has_its_row_with_what_it_means_where_it_is_missing(
    generate: ModuleType,
) -> None:
    page = generate.features_page()
    for name, one in {**TASK_FEATURES, **PAIR_FEATURES}.items():
        assert page.count(f"\n| `{name}` | {one.unit} | {one.absence} |") == 1, name
    for name, unit in RECIPE_UNITS.items():
        assert page.count(f"\n| `{name}` | {unit} |") >= 1, name


def test_every_price_has_its_row(generate: ModuleType) -> None:
    page = generate.prices_page()
    for row in priced_rows():
        assert page.count(f"\n| `{row.name}` |") == 1, row.name
    assert "not measured" not in page


@every_page
def test_relative_links_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)", without_blocks(text)):
        if re.match(r"[a-z]+:", target):
            continue
        place, _, anchor = target.partition("#")
        linked = (page.parent / place).resolve() if place else page
        assert linked.exists(), target
        if anchor:
            assert anchor in anchors(linked.read_text(encoding="utf-8")), target


@every_page
def test_files_named_in_code_exist(page: Path) -> None:
    prose = without_blocks(page.read_text(encoding="utf-8"))
    folders = "|".join((*ROOMS, "docs", "examples", "tests", "benchmarks"))
    for span in re.findall(rf"`((?:{folders})/[\w/.-]*)`", prose):
        assert (ROOT / span).exists(), span


@every_page
def test_make_targets_exist(page: Path) -> None:
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for command in commands(page.read_text(encoding="utf-8")):
        for target in words(command, "make") or ():
            assert target in targets, command


@every_page
def test_advisor_commands_exist(page: Path) -> None:
    for command in commands(page.read_text(encoding="utf-8")):
        called = words(command, "advisor")
        if called is None:
            continue
        parser = make_parser()
        for word in called:
            if word.startswith("--"):
                assert word.partition("=")[0] in parser.flags, command
            elif parser.commands and not word.isupper():
                assert word in parser.commands, command
                parser = parser.commands[word]
            elif word.isupper() and parser.commands:
                break  # a placeholder: COMMAND --help


@every_page
def test_python_blocks_compile_and_import_what_exists(page: Path) -> None:
    for language, code in blocks(page.read_text(encoding="utf-8")):
        if language != "python":
            continue
        tree = compile(code, str(page), "exec", ast.PyCF_ONLY_AST)
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and str(node.module).split(".")[0] in ROOMS:
                module = importlib.import_module(str(node.module))
                for alias in node.names:
                    assert hasattr(module, alias.name), ast.unparse(node)


def test_the_readme_shows_python() -> None:
    assert "python" in dict(blocks((ROOT / "README.md").read_text(encoding="utf-8")))


def test_the_task_row_in_contributing_is_one() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rows = [code for language, code in blocks(text) if language == "json"]
    assert rows
    for row in rows:
        task = TaskRow.model_validate(json.loads(row))
        assert task.group  # of a data set that there is
        FAMILIES[task.family].parameters.model_validate(task.parameters)


def test_pre_commit_runs_the_tools_of_the_makefile() -> None:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    entries = [hook["entry"].split()[0] for repo in config["repos"] for hook in repo["hooks"]]
    makefile = (ROOT / "Makefile").read_text()
    for entry in entries:
        assert entry.replace(".venv/bin", "$(BIN)") in makefile, entry
