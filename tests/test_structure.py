"""Rules for the whole package: imports, public names, import time, docstrings, and lengths of functions and files."""

import ast
import configparser
import io
import re
import statistics
import subprocess
import sys
import tokenize
from pathlib import Path

import pytest

import audiozoo

PACKAGE = Path(audiozoo.__file__).parent

RANKS = {
    "files": -1,  # everything that downloads or saves a file writes through it
    "checks": -1,
    "bounded": -1,
    "claims": -1,  # downloads and benchmarks use them
    "progress": -1,
    "threads": -1,
    "pieces": -1,
    "processes": -1,
    "_version": 0,
    "audio": 0,
    "checkpoints": 0,
    "config": 0,
    "download": 0,
    "metrics": 0,
    "spectrum": 0,
    "augment": 1,
    "sources": 1,
    "features": 1,
    "parts": 1,
    "doctor": 2,
    "recipe": 2,
    "datasets": 3,
    "registry": 3,
    "inspection": 3,
    "keras_layers": 3,
    "weights": 2,
    "layers": 3,
    "models": 4,
    "classifier": 5,
    "embeddings": 6,
    "events": 6,
    "explain": 6,
    "training": 6,
    "export": 6,
    "crossval": 7,
    "shards": 7,
    "report": 8,
    "scale": 8,
    "serving": 8,
    "sklearn": 8,
    "demo": 9,
    "cli": 10,
    "__main__": 11,
}

PUBLIC = [
    "Budget",
    "Classifier",
    "Ensemble",
    "Prediction",
    "Recipe",
    "__version__",
    "audio",
    "augment",
    "build",
    "crossval",
    "datasets",
    "embeddings",
    "events",
    "explain",
    "export",
    "features",
    "inspect_clips",
    "list_models",
    "load_classifier",
    "load_dataset",
    "metrics",
    "model_info",
    "pretrained_classifier",
    "recipe_for",
    "register",
    "register_variant",
    "report",
    "sklearn",
    "train",
    "training",
]


def part_of(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path):
    """Yield the parts of the package that a module imports, at the top or inside a function."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module == "audiozoo":
            names = [f"audiozoo.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names = [node.module]
        yield from (name.split(".")[1] for name in names if name.startswith("audiozoo."))


MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_to_a_lower_rank(path):
    here = part_of(path)
    for there in imports(path):
        assert here == there or RANKS[there] < RANKS[here], f"{path} imports {there}"


def test_every_part_has_a_rank_and_a_test():
    parts = {part_of(path) for path in MODULES}
    assert parts == set(RANKS)
    tests = {path.stem.removeprefix("test_") for path in Path(__file__).parent.glob("test_*.py")}
    assert parts - tests == {"_version", "layers", "__main__"}


def test_public_names_are_pinned():
    assert sorted(audiozoo.__all__) == PUBLIC
    for name in PUBLIC:
        assert getattr(audiozoo, name) is not None


def test_import_is_light():
    code = "import sys; before = set(sys.modules); import audiozoo; print(sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = ast.literal_eval(done.stdout)
    assert "audiozoo" in loaded
    assert not [name for name in loaded if name.split(".")[0] in ("numpy", "scipy", "keras", "tensorflow", "librosa", "typer")]


EVERY_FILE = pytest.mark.parametrize(
    "path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)).replace("/", ".")
)
FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)


def public_functions(node, name=""):
    """Yield the name and the node of each public function and method, without those inside functions."""
    for child in node.body:
        if isinstance(child, (*FUNCTION, ast.ClassDef)) and not child.name.startswith("_"):
            if isinstance(child, FUNCTION):
                yield name + child.name, child
            else:
                yield from public_functions(child, f"{name}{child.name}.")


def own_nodes(function):
    """Yield the nodes of a function without those of the functions inside it."""
    waiting = list(function.body)
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, (*FUNCTION, ast.Lambda, ast.ClassDef)):
            waiting.extend(ast.iter_child_nodes(node))


def parameters(function):
    names = [given.arg for given in (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs)]
    further = [given.arg for given in (function.args.vararg, function.args.kwarg) if given]
    return [name for name in names + further if name not in ("self", "cls")]


def missing_sections(function):
    """Name the sections of a docstring that a function with three or more parameters needs and lacks."""
    text = ast.get_docstring(function) or ""
    nodes = list(own_nodes(function))
    returns = any(isinstance(node, ast.Return) and node.value is not None for node in nodes)
    yields = any(isinstance(node, (ast.Yield, ast.YieldFrom)) for node in nodes)
    needed = {
        r"Args": True,
        r"Returns|Yields": returns or yields,
        r"Raises": any(isinstance(node, ast.Raise) and node.exc is not None for node in nodes),
    }
    return [section for section, is_needed in needed.items() if is_needed and not re.search(rf"^({section}):$", text, re.M)]


def is_command(function):
    """Tell whether typer documents the parameters: the help texts are in the options, and `--help` prints the docstring."""
    return "typer." in ast.unparse(function.args)


@EVERY_FILE
def test_functions_with_three_parameters_document_them(path):
    found = public_functions(ast.parse(path.read_text(encoding="utf-8")))
    missing = {
        name: sections
        for name, function in found
        if len(parameters(function)) >= 3 and not is_command(function) and (sections := missing_sections(function))
    }
    assert not missing


def comments(source):
    """Yield comments, those on consecutive lines as one."""
    last = None
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            follows = last is not None and token.start[0] == last + 1 and token.line.lstrip().startswith("#")
            if not follows:
                yield token.start[0], token.string
            last = token.start[0]


def texts(source):
    """Yield the line and the first words of each paragraph and each argument of a docstring, and of each comment."""
    for line, comment in comments(source):
        yield line, comment.lstrip("# ")
    for node in ast.walk(ast.parse(source)):
        # Strings that are statements are docstrings, of modules, functions, classes and constants.
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            for start in re.finditer(r"(?:^\s*|\n\s*\n\s*|\n +[*\w, ]+: +)(?=\S)", node.value.value):
                yield node.lineno + node.value.value.count("\n", 0, start.end()), node.value.value[start.end() :]


@EVERY_FILE
def test_no_text_opens_with_of(path):
    found = texts(path.read_text(encoding="utf-8"))
    assert not [(line, text.splitlines()[0]) for line, text in found if re.match(r"of\b", text, re.IGNORECASE)]


@pytest.mark.parametrize("text", ["Of all.", "A.\n\n    Args:\n        seed: Of the draws.", "A.\n\n    Of b."])
def test_such_a_text_is_found(text):
    source = f'def f(seed):\n    """{text}"""\n    # of the draws\n'
    assert [words[:3].lower() for _, words in texts(source)].count("of ") == 2


# Phrases that made the documentation hard to read. Entries of Args are noun phrases with a unit; a sentence says who does what.
OBSCURE = {
    r"^(What|How|(Where|When|Which) to)\b": "begins like a question: name the thing",
    r"\bshall\b": "say must, can or will",
    r"\bas it is\b": "say unchanged",
    r"\blooked at\b": "say used or checked",
    r"\bpassed over\b": "say skipped",
    r"\bstands in\b": "say replaces",
    r"\b(whole|completely) or not at all\b": "say atomically",
    r"\bfront ends?\b": "the word is frontend",
    r"\bproposes the nearest\b": "say suggests the closest",
}


def obscure(text):
    """Return the reasons against a paragraph, an argument, a comment or a help text."""
    return [reason for phrase, reason in OBSCURE.items() if re.search(phrase, text)]


def help_texts(source):
    """Yield the line and the text of the help of each option of the command line."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.keyword) and node.arg == "help" and isinstance(node.value, ast.Constant):
            yield node.value.lineno, node.value.value


@EVERY_FILE
def test_texts_are_plain(path):
    source = path.read_text(encoding="utf-8")
    found = [*texts(source), *help_texts(source)]
    assert not [(line, reasons, text.splitlines()[0]) for line, text in found if (reasons := obscure(text))]


@pytest.mark.parametrize(
    "text",
    [
        "A.\n\n    Args:\n        seed: What to draw.",
        "A.\n\n    Args:\n        seed: Where to begin.",
        "How a model is trained.",
        "A file is left as it is.",
        "One loud bin shall not darken the others.",
        "Write a file, whole or not at all.",
    ],
)
def test_an_obscure_text_is_found(text):
    assert any(obscure(words) for _, words in texts(f'def f(seed):\n    """{text}"""\n'))
    assert any(obscure(words) for _, words in help_texts("option = Option(help='Where to begin, seconds.')"))


def test_functions_are_short():
    lengths = {}
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, FUNCTION):
                documented = ast.get_docstring(node) is not None
                docstring = node.body[0].end_lineno - node.body[0].lineno + 1 if documented else 0
                place = f"{path.relative_to(PACKAGE)}:{node.lineno} {node.name}"
                lengths[place] = node.end_lineno - node.lineno + 1 - docstring
    assert statistics.median(lengths.values()) <= 7
    assert not {place: length for place, length in lengths.items() if length > 45}


@EVERY_FILE
def test_files_are_short(path):
    length = len(path.read_text(encoding="utf-8").splitlines())
    assert length <= 350


def test_every_extra_serves_code_or_a_test():
    settings = configparser.ConfigParser()
    settings.read(PACKAGE.parent / "setup.cfg")
    tests = [path for path in Path(__file__).parent.glob("test_*.py") if path != Path(__file__)]
    source = "\n".join(path.read_text(encoding="utf-8") for path in [*MODULES, *tests])
    extras = set(settings["options.extras_require"]) - {"test", "dev"}
    assert [extra for extra in extras if not re.search(rf"\b{extra}\b", source)] == []
