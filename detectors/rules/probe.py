"""One Python function that visits the nodes of an index in a record, without a call for each step.

It does what :meth:`Node.collect` does for the shapes that records nearly always have (maps, lists of maps, texts)
and leaves the rest to it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Protocol

__all__ = ["Node", "Probe", "probe"]

#: (record, rules found so far) -> those and the ones found in the record
Probe = Callable[[Mapping[str, Any], tuple[int, ...]], tuple[int, ...]]

_DEEP: Final = 6  # steps; Python refuses twenty nested blocks, and deeper names are rare
_WIDE: Final = 12  # children; past it the node's own choice of side is faster


class Node(Protocol):
    """What this module asks of a node of the index."""

    @property
    def children(self) -> Mapping[str, Node]: ...
    @property
    def remembered(self) -> Mapping[str, tuple[int, ...]]: ...
    @property
    def bare(self) -> bool:
        """True where no rule waits for a value at this very node."""
        ...

    def remember(self, value: str) -> tuple[int, ...]: ...
    def collect(self, value: Any) -> tuple[int, ...]: ...


def probe(nodes: Iterable[tuple[str, Node]]) -> Probe:
    """Compile the visit of ``nodes``, given with their keys in the record."""
    writer = _Writer()
    for key, node in nodes:
        writer.visit("record", key, node, 1)
    return writer.function()


class _Writer:
    def __init__(self) -> None:
        self._scope: dict[str, Any] = {}
        self._lines = ["def probe(record, rules):"]

    def function(self) -> Probe:
        code = compile("\n".join([*self._lines, "    return rules"]), "<index>", "exec")
        exec(code, self._scope)  # noqa: S102 - made of this module's own words; names of fields stand in the scope
        made: Probe = self._scope["probe"]
        return made

    def visit(self, holder: str, key: str, node: Node, depth: int) -> None:
        """Write the visit of ``node``, found under ``key`` of the map that the variable ``holder`` names."""
        number = len(self._scope)
        self._scope[f"key{number}"] = key
        self._scope[f"collect{number}"] = node.collect
        value, element, pad = f"value{depth}", f"element{depth}", "    " * (3 * depth - 2)
        self._lines.append(f"{pad}{value} = {holder}.get(key{number})")
        if node.bare and depth < _DEEP and len(node.children) <= _WIDE:
            self._lines += [
                f"{pad}if {value} is not None:",
                f"{pad}    for {element} in {value} if type({value}) is list else ({value},):",
                f"{pad}        if type({element}) is dict:",
            ]
            for name, child in node.children.items():
                self.visit(element, name, child, depth + 1)
            self._lines += [
                f"{pad}        elif type({element}) is list:",
                f"{pad}            rules += collect{number}({element})",
            ]
            return
        self._scope[f"recall{number}"] = node.remembered.get
        self._scope[f"remember{number}"] = node.remember
        self._lines += [
            f"{pad}if type({value}) is str:",
            f"{pad}    found = recall{number}({value})",
            f"{pad}    if found is None:",
            f"{pad}        found = remember{number}({value})",
            f"{pad}    if found:",
            f"{pad}        rules += found",
            # A null is asked about too, where there is a key for it.
            f"{pad}elif {value} is not None or key{number} in {holder}:",
            f"{pad}    rules += collect{number}({value})",
        ]
