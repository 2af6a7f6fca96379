"""What differs between two genotypes? Compares their JSON, so that it serves every space. Pure."""

from __future__ import annotations

from typing import Any

Lines = tuple[tuple[int, str], ...]  # (values that differ, a line that says so)


def differences(before: Any, after: Any) -> list[str]:
    """One line for each place that differs, such as "blocks[1].layers[0].filters: 12 -> 15" or
    "blocks[2] added: conv, kernel 3, filters 8". Entries of a list are aligned so that the fewest
    values differ; places are those in `after`, of what is removed those in `before`."""
    return [line for _, line in _differences(before, after, "")]


def _differences(before: Any, after: Any, place: str) -> Lines:
    if before == after:
        return ()
    if isinstance(before, dict) and isinstance(after, dict):
        keys = [*before, *(key for key in after if key not in before)]
        return tuple(
            line
            for key in keys
            for line in _differences(
                before.get(key), after.get(key), f"{place}.{key}" if place else str(key)
            )
        )
    if _is_list_of_parts(before) and _is_list_of_parts(after):
        return _list_differences(before, after, place)
    return ((1, f"{place}: {brief(before)} -> {brief(after)}"),)


def _list_differences(before: list[Any], after: list[Any], place: str) -> Lines:
    """The edit distance of Wagner and Fischer, over parts that may be changed at the price of
    their own differences."""
    row: list[Lines] = [()]  # of the first i parts before and the first j after
    for j, new in enumerate(after):
        row.append((*row[j], (_size(new), f"{place}[{j}] added: {brief(new)}")))
    for i, old in enumerate(before):
        removed = (_size(old), f"{place}[{i}] removed: {brief(old)}")
        above, row = row, [(*row[0], removed)]
        for j, new in enumerate(after):
            added = (_size(new), f"{place}[{j}] added: {brief(new)}")
            changed = _differences(old, new, f"{place}[{j}]")
            ways = ((*above[j], *changed), (*above[j + 1], removed), (*row[j], added))
            row.append(min(ways, key=lambda lines: sum(size for size, _ in lines)))
    return row[-1]


def _size(value: Any) -> int:
    """How many values a part holds."""
    if isinstance(value, dict):
        return sum(map(_size, value.values()))
    return sum(map(_size, value)) if _is_list_of_parts(value) else 1


def _is_list_of_parts(value: Any) -> bool:
    """Blocks or layers; a list of numbers is one value."""
    return isinstance(value, list) and all(isinstance(part, dict | list) for part in value)


def brief(value: Any) -> str:
    """A part of a genotype on one line, its kind first; what is absent or off in it is left
    out."""
    if isinstance(value, dict):
        shown = [(key, part) for key, part in value.items() if part not in (None, False, [])]
        shown.sort(key=lambda item: item[0] != "kind")
        return ", ".join(
            str(key) if part is True else brief(part) if key == "kind" else f"{key} {brief(part)}"
            for key, part in shown
        )
    if _is_list_of_parts(value):
        return f"[{'; '.join(map(brief, value))}]"
    if isinstance(value, list):
        return " ".join(map(brief, value))
    if isinstance(value, bool):
        return "on" if value else "off"
    return "none" if value is None else str(value)
