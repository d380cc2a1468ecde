"""Sentences in the code that no marker hands to the catalogues.

Every module may show its texts to people, unless :data:`FOR_PROGRAMS` says who reads them instead. There, each text of
several words is marked, declared by a model, or belongs to a call that keeps it to programs and operators.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

FOR_PROGRAMS = {
    "*/migrations/": "stored",
    "*/api/": "problem documents and the schema of the API",
    "*/management/": "commands",
    "*/settings.py": "docs and start-up messages for operators",
    "limiter/gateway/*.py": "problem documents, headers and metrics of calls",
    "limiter/alerts/kinds/": "messages to services outside",
    "*/event_types.py": "messages to services outside",
    "quota_platform/base/events.py": "messages to services outside",
    "limiter/core/*.py": "logs, and errors in stored values",
    "limiter/core/algorithms/__init__.py": "errors in the code",
    "limiter/live/": "logs",
    "limiter/stores/": "logs",
    "limiter/incidents/pdf.py": "a file, English like the record",
    "limiter/offline.py": "a command",
    "limiter/policies/check.py": "a command",
    "limiter/record/*.py": "the record and the commands that verify it",
    "limiter/demand/*.py": "the record of demand, logs and errors in stored values",
    "limiter/reports/*.py": "files, their manifests, and mails with them",
    "limiter/reports/formats/*.py": "files",
    "limiter/upstream/*.py": "problem documents of calls and logs",
    "quota_platform/*.py": "start-up, logs, health and problem documents",
    "quota_platform/accounts/saml/": "logs",
    "quota_platform/base/addresses.py": "start-up messages",
    "quota_platform/base/changes.py": "logs",
    "quota_platform/base/lean/": "problem documents",
    "quota_platform/demo/": "a terminal",
    "quota_platform/formats/": "formats of dates",
    "quota_platform/openapi/": "the schema of the API",
    "quota_platform/sandbox/": "an imitation of the upstream",
    "quota_platform/server/": "problem documents",
    "tenants/checks.py": "system checks",
    "quota_platform/csp.py": "a header",
    "dashboard/flights.py": "logs",
}
"""Where texts stay English, and where they are read; docs/translating.md says why."""

SHOWN_ALL_THE_SAME = (
    "limiter/alerts/kinds/registry.py",
    "limiter/core/amounts.py",
    "limiter/record/explain.py",
    "limiter/reports/orders.py",
    "limiter/reports/schedules.py",
    "limiter/reports/selection.py",
    "limiter/upstream/discovery.py",
    "limiter/upstream/grants.py",
    "limiter/upstream/outbound.py",
    "limiter/upstream/pins.py",
    "limiter/upstream/probe.py",
    "quota_platform/glance.py",
    "quota_platform/navigation.py",
    "quota_platform/accounts/",
    "quota_platform/unfold.py",
)
"""Modules under these paths whose texts stand on pages."""

MARKERS = {"_", "gettext", "gettext_lazy", "gettext_noop", "ngettext", "pgettext", "kept_text"}
NOT_SHOWN = {
    *("AssertionError", "ImproperlyConfigured", "IntegrityError", "LookupError", "NotImplementedError", "RuntimeError"),
    *("ConnectionError", "OSError", "TimeoutError", "TypeError", "DoesNotExist"),
    *("Form", "connect", "receiver", "compile", "execute", "Fault", "ConnectTimeoutError", "NewConnectionError"),
    *("NavigationPage", "Periodic", "Feature"),
}
"""Calls whose texts are for programs and logs, or are declared (:mod:`tests.catalogues`)."""
LOGGING = {"debug", "info", "warning", "error", "exception", "critical", "log"}
DECLARED = {"Choices", "TextChoices", "IntegerChoices", "Preset", "Kind", "FailureMode"}
LABELS = {"title", "description", "label", "help_text", "search_help_text", "placeholder", "verbose_name"}
"""Names of values that are shown even when they are one word."""

_SENTENCE = re.compile(r"[A-Za-z0-9}')%][,;:.]? +[A-Za-z{(]|[a-z]{3} +[{}]|[{}]s? [a-z]{3}")
_WORD = re.compile(r"[a-z]{3}")
_TAG = re.compile(r"<[^>]*>")
_FOR_PROGRAMS = re.compile(r"(Bearer|Basic) .*|\S*-\S*( \S*[-:]\S*)+")
"""A header's value, classes of a stylesheet."""


def is_shown(path: Path, *, root: Path) -> bool:
    """Whether texts of this module may stand on a page."""
    name = path.relative_to(root).as_posix()
    if name in SHOWN_ALL_THE_SAME:
        return True
    return not any(covers(pattern, name) for pattern in FOR_PROGRAMS)


def covers(pattern: str, name: str) -> bool:
    """Whether a pattern of the lists above means the module of this name."""
    if pattern.startswith("*/"):
        return f"/{pattern[2:]}" in f"/{name}"
    if pattern.endswith("/*.py"):
        return name.rpartition("/")[0] == pattern[: -len("/*.py")]
    return name.startswith(pattern)


def unmarked(source: str) -> list[tuple[int, str]]:
    """Each text of several words that nothing marks, with its line, and each mark that does not work."""
    tree = ast.parse(source)
    return [*_walk(tree, skipped=_docstrings(tree)), *_marked_in_vain(tree)]


def _marked_in_vain(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Marks that extractors of texts do not see, and kept texts that other pages do not know."""
    for node in ast.walk(tree):
        inside = [each for each in ast.walk(node) if isinstance(each, ast.Call) and _name(each.func) in MARKERS]
        if isinstance(node, ast.JoinedStr):
            found = [each for each in inside if each.args and isinstance(each.args[0], ast.Constant)]
        elif isinstance(node, ast.Call) and _name(node.func) in MARKERS:
            found = [node] if node.args and isinstance(node.args[0], ast.JoinedStr) else []
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found = [each for each in inside if _name(each.func) == "kept_text"]
        else:
            found = []
        yield from ((each.lineno, ast.unparse(each)) for each in found)


def _docstrings(tree: ast.AST) -> set[int]:
    return {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}


def _walk(node: ast.AST, *, skipped: set[int]) -> Iterator[tuple[int, str]]:
    if id(node) in skipped and isinstance(node, ast.Constant):
        return
    if isinstance(node, ast.Call) and _keeps_quiet(node):
        return
    if isinstance(node, ast.ClassDef) and (node.name == "Meta" or DECLARED & {_name(base) for base in node.bases}):
        return
    if isinstance(node, ast.JoinedStr):
        yield from _sentence(node, "".join(_part(value) for value in node.values))
        parts: list[ast.AST] = [value.value for value in node.values if isinstance(value, ast.FormattedValue)]
    else:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from _sentence(node, node.value)
        if label := _label(node):
            yield label
        parts = list(ast.iter_child_nodes(node))
    for part in parts:
        yield from _walk(part, skipped=skipped)


def _sentence(node: ast.JoinedStr | ast.Constant, text: str) -> Iterator[tuple[int, str]]:
    text = _TAG.sub("", text)
    if _WORD.search(text) and _SENTENCE.search(text) and not _FOR_PROGRAMS.fullmatch(text):
        yield node.lineno, text


def _part(value: ast.expr) -> str:
    return value.value if isinstance(value, ast.Constant) and isinstance(value.value, str) else "{}"


def _keeps_quiet(call: ast.Call) -> bool:
    name = _name(call.func)
    owner = _name(call.func.value) if isinstance(call.func, ast.Attribute) else ""
    logs = name in LOGGING and owner.lower() in {"log", "logger"}
    return name in MARKERS | NOT_SHOWN | DECLARED or logs or owner == "models" or name.endswith("Validator")


def _label(node: ast.AST) -> tuple[int, str] | None:
    """A word that is given as a title, a label and the like."""
    if isinstance(node, ast.keyword) and node.arg in LABELS:
        return _one_word(node.value)
    if isinstance(node, ast.Dict):
        pairs = zip(node.keys, node.values, strict=True)
        named = [value for key, value in pairs if isinstance(key, ast.Constant) and key.value in LABELS]
        return next((found for value in named if (found := _one_word(value))), None)
    if isinstance(node, ast.Assign) and {_name(target) for target in node.targets} & LABELS:
        return _one_word(node.value)
    return None


def _one_word(value: ast.expr) -> tuple[int, str] | None:
    if isinstance(value, ast.Constant) and isinstance(value.value, str) and re.fullmatch(r"[A-Za-z]{2,}", value.value):
        return value.lineno, value.value
    return None


def _name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
