"""The JSON Schema of the envelope, made from the table that the decoder reads."""

from __future__ import annotations

from aurora.link.vocabulary import FROM_CLIENT, FROM_HUB, MEMBERS, VERSION, Member, Shape, Value

__all__ = ["schema"]

type _Tree = dict[str, object]


def schema() -> _Tree:
    """Draft 2020-12. `$defs` has `from-client` and `from-hub`; a whole message is one of them.

    What JSON Schema cannot say is not in it: wildcards, bytes of a topic, depth, keys there twice. So all that the
    decoder takes is valid, and not all that is valid is taken.
    """
    ways = {"from-client": _way(FROM_CLIENT, implied="pub"), "from-hub": _way(FROM_HUB)}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"AuroraLink, version {VERSION}",
        "$defs": ways,
        "anyOf": [{"$ref": f"#/$defs/{way}"} for way in ways],
    }


def _way(shapes: dict[str, Shape], implied: str = "") -> _Tree:
    return {"oneOf": [_shape(row, type_required=row.type != implied) for row in shapes.values()]}


def _shape(row: Shape, *, type_required: bool) -> _Tree:
    named = (*row.required, *row.optional)
    return {
        "title": row.type,
        "description": row.doc,
        "type": "object",
        "properties": {"type": {"const": row.type}, **{name: _member(MEMBERS[name]) for name in named}},
        "required": [*(["type"] if type_required else []), *row.required],
        "additionalProperties": False,
    }


def _member(row: Member) -> _Tree:
    tree: _Tree = {"description": row.doc}
    if row.value is not Value.ANYTHING:
        tree["type"] = str(row.value)
    if row.words:
        tree["enum"] = list(row.words)
    elif row.value is Value.TEXT:
        tree |= {"minLength": row.least, "maxLength": row.most}
    elif row.value in (Value.INTEGER, Value.NUMBER):
        tree |= {"minimum": row.least, "maximum": row.most}
    elif row.value is Value.OBJECT:
        parts = ("topic", "data", "retain")
        tree |= {
            "properties": {name: _member(MEMBERS[name]) for name in parts},
            "required": ["topic", "data"],
            "additionalProperties": False,
        }
    return tree
