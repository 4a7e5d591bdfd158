"""The part of a Python file that some of its functions can reach."""

import ast
from collections.abc import Iterable, Iterator

_SEES_ALL = frozenset({"globals", "eval", "exec", "vars", "__doc__"})
_DOCUMENTED = (ast.Module, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def reached(source: str | bytes, roots: Iterable[str]) -> str:
    """The statements that decide what `roots` do, without docstrings, comments and layout.

    Kept are the top-level definitions, assignments and imported names that the roots use by name,
    those that these use, and so on; of one import statement, only the names used. Always kept is
    what may act at a distance: star imports, assignments to parts of things (`table["a"] = 1`),
    and every other kind of statement, such as calls, conditions and loops. So two editions of a
    file with equal text here give equal results, as far as the file decides; a call inside a plain
    assignment is taken to do nothing but give its value. Where a root reaches `globals`, `eval`,
    `exec`, `vars` or `__doc__`, all of the source is kept as it is.

    Args:
        source: Of a Python module.
        roots: Names defined at its top level.

    Returns:
        The statements in their order, as `ast.unparse` writes them.

    Raises:
        SyntaxError: The source is not Python.

    Example:
        >>> print(reached('''
        ... SCALE, TITLE = 2, "Doubled"  # both are bound here
        ... NOTE = "only the page shows it"
        ... def run(n):
        ...     "Double n."
        ...     return SCALE * n
        ... def page(n):
        ...     return NOTE, run(n)
        ... ''', ["run"]))
        SCALE, TITLE = (2, 'Doubled')
        def run(n):
            return SCALE * n
    """
    tree = ast.parse(source)
    _drop_docstrings(tree)
    parts = [(part, _bound(part)) for statement in tree.body for part in _split(statement)]
    wanted: set[str] = set()
    fresh = set(roots).union(*(_used(part) for part, names in parts if names is None))
    while fresh:
        wanted |= fresh
        hit = [part for part, names in parts if names is not None and names & fresh]
        fresh = set().union(*map(_used, hit)) - wanted
    if wanted & _SEES_ALL:
        return source if isinstance(source, str) else source.decode(errors="replace")
    kept = [part for part, names in parts if names is None or names & wanted]
    return "\n".join(ast.unparse(part) for part in kept)


def _drop_docstrings(tree: ast.Module) -> None:
    for node in ast.walk(tree):
        if isinstance(node, _DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            rest = node.body[1:]
            node.body = rest if rest or isinstance(node, ast.Module) else [ast.Pass()]


def _split(statement: ast.stmt) -> Iterator[ast.stmt]:
    """An import of several names as so many imports; anything else as it is."""
    if isinstance(statement, ast.Import):
        yield from (ast.Import([alias]) for alias in statement.names)
    elif isinstance(statement, ast.ImportFrom):
        at, dots = statement.module, statement.level
        yield from (ast.ImportFrom(at, [alias], dots) for alias in statement.names)
    else:
        yield statement


def _bound(statement: ast.stmt) -> set[str] | None:
    """The names that it binds and does nothing besides; None where it may do more."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {statement.name}
    if isinstance(statement, ast.Import | ast.ImportFrom):
        (alias,) = statement.names
        name = alias.asname or alias.name.partition(".")[0]
        return None if name == "*" else {name}
    if isinstance(statement, ast.Assign):
        return _names(statement.targets)
    if isinstance(statement, ast.AnnAssign | ast.AugAssign):
        return _names([statement.target])
    return None


def _names(targets: list[ast.expr]) -> set[str] | None:
    """Plain names, in tuples too; None where a part of a thing is assigned to."""
    inner = [node for target in targets for node in ast.walk(target)]
    if any(isinstance(node, ast.Attribute | ast.Subscript) for node in inner):
        return None
    return {node.id for node in inner if isinstance(node, ast.Name)}


def _used(statement: ast.stmt) -> set[str]:
    return {node.id for node in ast.walk(statement) if isinstance(node, ast.Name)}
