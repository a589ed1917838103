"""A decoder for the part of MessagePack that word lists use: lists, maps, strings, integers.

Source: the MessagePack specification, https://github.com/msgpack/msgpack/blob/master/spec.md
"""

from __future__ import annotations

from typing import Any

# First byte -> how many bytes of length follow.
_STRINGS = {0xD9: 1, 0xDA: 2, 0xDB: 4}
_LISTS = {0xDC: 2, 0xDD: 4}
_UNSIGNED = {0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8}


def decode(content: bytes) -> Any:
    """The one value that the bytes hold.

    Raises:
        ValueError: The bytes end early, go on after the value, or hold another type.
    """
    value, end = _value(content, 0)
    if end != len(content):
        raise ValueError(f"a MessagePack value of {len(content)} bytes, got one of {end} bytes")
    return value


def _value(content: bytes, start: int) -> tuple[Any, int]:
    """The value that begins at a position, and the position after it."""
    if start >= len(content):
        raise ValueError(f"MessagePack data end early, at byte {len(content)}")
    first, position = content[start], start + 1
    if first < 0x80:
        return first, position
    if first < 0x90:
        return _pairs(content, position, first & 0x0F)
    if first < 0xA0:
        return _items(content, position, first & 0x0F)
    if first < 0xC0:
        return _text(content, position, first & 0x1F)
    for sizes, build in ((_STRINGS, _text), (_LISTS, _items)):
        if first in sizes:
            after = position + sizes[first]
            return build(content, after, int.from_bytes(content[position:after], "big"))
    if first in _UNSIGNED:
        after = position + _UNSIGNED[first]
        return int.from_bytes(content[position:after], "big"), after
    raise ValueError(f"a list, map, string or integer in MessagePack, got type byte {first:#04x}")


def _text(content: bytes, start: int, length: int) -> tuple[str, int]:
    end = start + length
    if end > len(content):
        raise ValueError(f"MessagePack data end early, at byte {len(content)}")
    return content[start:end].decode("utf-8"), end


def _items(content: bytes, start: int, count: int) -> tuple[list[Any], int]:
    items = []
    for _ in range(count):
        item, start = _value(content, start)
        items.append(item)
    return items, start


def _pairs(content: bytes, start: int, count: int) -> tuple[dict[Any, Any], int]:
    flat, end = _items(content, start, 2 * count)
    return dict(zip(flat[::2], flat[1::2], strict=True)), end
