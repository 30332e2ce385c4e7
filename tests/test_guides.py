"""The site's pages: the Python in each is one program that runs, prints what stands below each block, and is typed.

=======================================  ==========================================================================
a block that is                          is
=======================================  ==========================================================================
``python``                               a part of the page's program: it goes on where the one before it ended
``python title="stages.py"``             a file beside the program, which may import it; run too, if it prints something
``python title="app.py, wrong"``         what must be refused, after what stands above it
``text``                                 what the block above it prints
``text title="mypy --strict app.py"``    what mypy says of the wrong block above it, word for word
``python title="name==1.2"``             a program that needs another library: `.ci/elsewhere.py` runs and checks it
=======================================  ==========================================================================
"""

from __future__ import annotations

import ast
import configparser
import doctest
import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import stageflow
from tests.documents import MYPY, ROOT, Block, blocks_of, said_by, text_below

DOCS = ROOT / "docs"
PAGES = {path.relative_to(DOCS).with_suffix("").as_posix(): blocks_of(path) for path in sorted(DOCS.rglob("*.md"))}
PROGRAMS = [page for page, blocks in PAGES.items() if any(block.info == "python" for block in blocks)]
FILE = re.compile(r'^python (?:title=")?(?P<name>\w+\.py)"?$')
WRONG, MYPY_SAYS = 'python title="app.py, wrong"', 'text title="mypy --strict app.py"'
OTHERS = re.compile(r"^(sh|console|toml|ini|mermaid|json|text title=.*)$")
ELSEWHERE = re.compile(r'^python title="[\w.-]+==.*"$')
MARK = "-- the next block --"
LENIENT = "# pyright: reportUnusedExpression=false, reportUnusedImport=false, reportUnnecessaryComparison=false"
STRICT = {"typeCheckingMode": "strict", "extraPaths": [str(ROOT)], "reportImplicitOverride": "error"}
WRONGS = [(page, number) for page, blocks in PAGES.items() for number, b in enumerate(blocks) if b.info == WRONG]


def parts(page: str, before: int | None = None) -> list[str]:
    return [block.body for block in PAGES[page][:before] if block.info == "python"]


def files(page: str) -> dict[str, str]:
    """The files that a page shows beside its program."""
    return {match["name"]: block.body for block in PAGES[page] if (match := FILE.match(block.info))}


def module(page: str) -> str:
    return re.sub(r"\W", "_", page)


def examples() -> Iterator[tuple[str, str]]:
    """The examples of each docstring, by a name of their own, with the imports that they count on."""
    for path in sorted((ROOT / "stageflow").rglob("*.py")):
        tree, name = ast.parse(path.read_text(encoding="utf-8")), path.relative_to(ROOT).with_suffix("").as_posix()
        home = name.replace("/", ".").removesuffix(".__init__")
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                found = doctest.DocTestParser().get_examples(ast.get_docstring(node) or "")
                source = "".join(example.source for example in found)
                if source:
                    yield f"{module(name)}_{getattr(node, 'lineno', 0)}", needed(tree, home, source) + source


def needed(tree: ast.Module, home: str, source: str) -> str:
    """The imports for the names of a module that an example uses."""
    used = {node.id for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name)}
    lines, known = [LENIENT], set[str]()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom | ast.Import):
            names = [alias for alias in node.names if (alias.asname or alias.name) in used]
            lines += [ast.unparse(type(node)(**{**vars(node), "names": names}))] if names else []
            known |= {alias.asname or alias.name for alias in names}
    own = {getattr(node, "name", "") for node in tree.body}
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        own |= {getattr(target, "id", "") for target in targets}
    lines += [f"from {home} import {name}" for name in sorted(used & own)]
    lines += [f"from stageflow import {name}" for name in sorted(used & {*stageflow.__all__} - own - known)]
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder outside the project: each page's program, the files beside them, the wrong ones, the docstrings."""
    folder = tmp_path_factory.mktemp("pages")
    texts = {f"{module(page)}.py": "\n".join(parts(page)) for page in PROGRAMS}
    texts |= {name: text for page in PAGES for name, text in files(page).items()}
    texts |= {f"{name}.py": text for name, text in examples()}
    for page, number in WRONGS:
        texts[f"wrong/{module(page)}_{number}/app.py"] = wrong(page, number)
    for name, text in {**texts, "pyrightconfig.json": json.dumps(STRICT)}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def wrong(page: str, number: int) -> str:
    return "\n".join([*parts(page, number), PAGES[page][number].body])


@pytest.fixture(scope="module")
def refused_by_pyright(folder: Path) -> dict[str, list[str]]:
    """What pyright says of all that is in the folder, by file; once, since a start of it takes seconds."""
    command = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "--outputjson", "-p", str(folder)]
    ran = subprocess.run(command, cwd=folder, capture_output=True, encoding="utf-8", check=False, timeout=300)
    found: dict[str, list[str]] = {}
    for one in json.loads(ran.stdout)["generalDiagnostics"]:
        where = f"{one['range']['start']['line'] + 1}: {one['message']} ({one.get('rule')})"
        found.setdefault(Path(one["file"]).relative_to(folder).as_posix(), []).append(where)
    return found


def test_every_block_is_of_a_kind_that_is_checked() -> None:
    for page, blocks in PAGES.items():
        for block in blocks:
            own = block.info in {"python", "text", WRONG} or FILE.match(block.info)
            assert own or OTHERS.match(block.info) or ELSEWHERE.match(block.info), (
                f"{page}.md:{block.line}: {block.info!r}"
            )


def test_no_two_pages_show_a_file_of_one_name() -> None:
    names = [name for page in PAGES for name in files(page)]
    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize("page", PROGRAMS)
def test_a_block_prints_what_stands_below_it(page: str, tmp_path: Path) -> None:
    for name, text in files(page).items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    program = tmp_path / f"{module(page)}.py"
    program.write_text(f"\nprint({MARK!r})\n".join(parts(page)), encoding="utf-8")
    own = [block for block in PAGES[page] if block.info == "python"]
    printed = dict(zip([block.line for block in own], ran(program).split(f"{MARK}\n"), strict=True))
    assert printed == {block.line: text_below(block, PAGES[page]) for block in own}


def ran(program: Path) -> str:
    """What a program prints that complains of nothing."""
    ended = subprocess.run(
        [sys.executable, program.name],
        cwd=program.parent,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error"},
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=300,
    )
    assert ended.stderr == ""
    return ended.stdout


@pytest.mark.parametrize(("page", "name"), [(page, name) for page in PAGES for name in files(page)])
def test_a_file_beside_a_program_prints_what_stands_below_it(page: str, name: str, tmp_path: Path) -> None:
    (block,) = [block for block in PAGES[page] if (match := FILE.match(block.info)) and match["name"] == name]
    printed = text_below(block, PAGES[page])
    for other, text in files(page).items():
        (tmp_path / other).write_text(text, encoding="utf-8")
    assert not printed or ran(tmp_path / name) == printed


@pytest.mark.parametrize("page", PAGES)
def test_every_output_stands_right_below_what_printed_it(page: str) -> None:
    blocks, prints = PAGES[page], (re.compile("python$"), FILE, ELSEWHERE)
    below = [text_below(block, blocks) for block in blocks if any(kind.match(block.info) for kind in prints)]
    assert [block.line for block in blocks if block.info == "text" and block.body not in below] == []


def test_the_pages_and_docstrings_are_clean_under_mypy_strict(folder: Path) -> None:
    names = sorted(path.name for path in folder.glob("*.py"))
    said = said_by(folder, *MYPY, "--follow-imports=silent", *names)
    assert said == f"Success: no issues found in {len(names)} source files\n"


def test_the_pages_and_docstrings_are_clean_under_pyright_strict(refused_by_pyright: dict[str, list[str]]) -> None:
    assert {file: said for file, said in refused_by_pyright.items() if not file.startswith("wrong/")} == {}


@pytest.mark.parametrize(("page", "number"), WRONGS)
def test_mypy_says_of_a_wrong_block_what_the_page_says(page: str, number: int, folder: Path) -> None:
    own, cache = folder / "wrong" / f"{module(page)}_{number}", f"--cache-dir={folder / '.mypy_cache'}"
    said = said_by(own, *MYPY[:-1], cache, "--follow-imports=silent", "--no-error-summary", "app.py")
    assert said == text_below(PAGES[page][number], PAGES[page], MYPY_SAYS)


@pytest.mark.parametrize(("page", "number"), WRONGS)
def test_pyright_refuses_a_wrong_block_and_nothing_above_it(page: str, number: int, refused_by_pyright) -> None:
    found = refused_by_pyright.get(f"wrong/{module(page)}_{number}/app.py", [])
    start = "\n".join([*parts(page, number), ""]).count("\n")
    assert found != []
    above = [said for said in found if int(said.partition(":")[0]) <= start]
    assert [said for said in above if "reportUnusedImport" not in said] == []  # what comes below may use it


@pytest.mark.parametrize("page", PAGES)
def test_settings_can_be_read_by_what_they_are_for(page: str) -> None:
    for block in PAGES[page]:
        if block.info == "toml":
            assert tomllib.loads(block.body)
        elif block.info == "ini":
            parser = configparser.ConfigParser()
            parser.read_string(block.body)
            assert parser.sections()


def test_the_site_has_no_page_without_its_checks() -> None:
    assert len(PROGRAMS) > 20
    assert isinstance(PAGES["index"][0], Block)
