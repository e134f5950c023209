"""What the product's source says to users: error codes, notes, states, sentences. Read off the syntax tree."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "atom_backfill"
SCHEMA = "\n".join(path.read_text("utf-8") for path in sorted((SOURCE / "db" / "migrations").glob("*.sql")))

_CODE = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)*")
_TELLING = 20
"""Characters that a sentence says itself, at least, so that what is filled in does not match everything."""
_CARRIES_A_CODE = {
    "BugError",
    "FailJob",
    "NeedsOwnerError",
    "NotFoundError",
    "Quarantine",
    "RefusedError",
    "RetryLaterError",
    "RowRefusedError",
    "SignInNeededError",
    "SkipItemError",
    "ThrottledError",
    "UsageError",
}


def error_codes() -> dict[str, str]:
    """Return every error code that the source gives, with the file that gives it."""
    found: dict[str, str] = {}
    for path, tree in _trees(SOURCE):
        for node in ast.walk(tree):
            for code in _codes_of(path, node):
                found.setdefault(code, str(path.relative_to(ROOT)))
    return found


def notes() -> set[str]:
    """Return the words with an underscore in functions that deal with notes: the notes themselves, and some codes."""
    trees = [*_trees(SOURCE / "mail"), *_trees(SOURCE / "sources" / "outlook")]
    functions = [node for _, tree in trees for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    about_notes = [each for each in functions if "note" in each.name or "notes" in _names_in(each)]
    texts = [text for function in about_notes for text in _texts(function)]
    return {text for text in texts if "_" in text and _CODE.fullmatch(text)}


def words_of(function: str, path: str) -> set[str]:
    """Return the snake-case words that a function of a file can return or name."""
    tree = ast.parse((SOURCE / path).read_text("utf-8"))
    [found] = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == function]
    return {text for text in _texts(found) if _CODE.fullmatch(text)}


def checked_words(column: str) -> set[str]:
    """Return the words that the schema's CHECK of a column allows, over all tables."""
    checks = re.findall(rf"CHECK \({column} IN \(([^)]*)\)", SCHEMA)
    return {word for check in checks for word in re.findall(r"'(\w+)'", check)}


def events() -> set[str]:
    """Return the texts of log lines; what is filled in stands as `N`."""
    calls = [node for _, tree in _trees(SOURCE) for node in ast.walk(tree) if isinstance(node, ast.Call)]
    logged = [
        call for call in calls if call.args and re.search(r"log\.(?:info|warning|error|exception)$", _dotted(call))
    ]
    return {_event(call.args[0]) for call in logged}


def fault_points() -> set[str]:
    """Return the names of the steps at which tests let a process die."""
    calls = [node for _, tree in _trees(SOURCE) for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return {text for call in calls if _dotted(call).endswith(".reached") for text in _texts(call.args[0])}


def sentences() -> list[re.Pattern[str]]:
    """Return every text of the source that has words in it, as a pattern: what is filled in matches anything."""
    nodes = [node for _, tree in _trees(SOURCE) for node in ast.walk(tree)]
    texts = [node for node in nodes if isinstance(node, ast.JoinedStr | ast.Constant)]
    telling = [node for node in texts if max(map(len, _texts(node)), default=0) >= _TELLING]
    return [re.compile(_pattern(node), re.DOTALL) for node in telling]


def _pattern(node: ast.JoinedStr | ast.Constant) -> str:
    if isinstance(node, ast.Constant):
        return re.escape(str(node.value))
    return "".join(_pattern(part) if isinstance(part, ast.Constant) else ".+" for part in node.values)


def _codes_of(path: Path, node: ast.AST) -> Iterator[str]:
    """Yield codes: first arguments of errors, `error_code=…`, words of tables and before a sentence."""
    if isinstance(node, ast.Call):
        if _called(node) in _CARRIES_A_CODE and node.args:
            yield from _texts(node.args[0])
        yield from (text for each in node.keywords if each.arg == "error_code" for text in _texts(each.value))
    if not {"cli", "mail"} & set(path.parts) and path.name not in ("settings.py", "checks.py", "metrics.py"):
        yield from _of_tables(node)


def _of_tables(node: ast.AST) -> Iterator[str]:
    pairs: list[tuple[ast.expr | None, ast.expr]] = []
    if isinstance(node, ast.Call):
        pairs = list(zip(node.args, node.args[1:], strict=False))
    elif isinstance(node, ast.Tuple):
        pairs = list(zip(node.elts, node.elts[1:], strict=False))
    elif isinstance(node, ast.Dict):
        pairs = list(zip(node.keys, node.values, strict=True))
        by_number = [value for key, value in pairs if isinstance(key, ast.Constant) and isinstance(key.value, int)]
        named = [value for key, value in pairs if isinstance(key, ast.Constant) and key.value == "code"]
        yield from (word for value in (*by_number, *named) if (word := _word(value)))
    yield from (word for first, second in pairs if (word := _word(first)) and _is_sentence(second))


def _word(node: ast.expr | None) -> str:
    text = node.value if isinstance(node, ast.Constant) else None
    return text if isinstance(text, str) and _CODE.fullmatch(text) else ""


def _is_sentence(node: ast.expr) -> bool:
    told = isinstance(node, ast.Constant | ast.JoinedStr | ast.BinOp) and " ".join(_texts(node))
    return bool(told and re.search(r"[a-z] [a-z]", told))


def _texts(node: ast.AST) -> Iterator[str]:
    return (each.value for each in ast.walk(node) if isinstance(each, ast.Constant) and isinstance(each.value, str))


def _called(node: ast.Call) -> str:
    return node.func.id if isinstance(node.func, ast.Name) else ""


def _dotted(node: ast.Call) -> str:
    return ast.unparse(node.func)


def _event(node: ast.expr) -> str:
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "N" for part in node.values)
    return str(node.value) if isinstance(node, ast.Constant) else ""


def _names_in(node: ast.AST) -> set[str]:
    return {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}


def _trees(folder: Path) -> Iterator[tuple[Path, ast.Module]]:
    for path in sorted(folder.rglob("*.py")):
        yield path, ast.parse(path.read_text("utf-8"))
