"""XML from strangers, as trees that hold nothing but elements, attributes and text.

What XML can do beyond that is what attacks are made of, and is refused before a parser sees it: document
types (entities, external ones and bombs), other encodings (in which a check would read something else
than the parser), comments and processing instructions (which split a text in two, so that one reader
takes the first half and another all of it), two elements of one ID (of which one is signed and the other
read).

And XML for them. lxml is loaded with the first document: a server whose applications do not speak SAML is
spared its 5 MB.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from iam.kernel.errors import Forbidden

LONGEST = 64 * 1024
"""Characters that a document may have."""
_DEEPEST = 32
_MOST = 2000
_DECLARATION = re.compile(rb"\s*<\?xml\s[^>]*?encoding\s*=\s*[\"']([^\"']*)[\"']", re.ASCII)
_UNSPEAKABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_IDS = ("ID", "Id", "id", "{http://www.w3.org/XML/1998/namespace}id")

Element = Any
"""An `lxml.etree._Element`: the library has no public name for it."""


class XmlRefused(Forbidden):
    """This is no XML, or of a kind that is never read."""

    code = "xml_refused"
    title = "This XML is not accepted."


def parse_xml(data: bytes, *, comments_pass: bool = False, longest: int = LONGEST) -> Element:
    """The root of this document.

    Args:
        comments_pass: comments are left out instead of refused. Never for what is signed.
        longest: bytes that it may have.

    Raises:
        XmlRefused: it is not well-formed, larger or deeper than anything decent, or holds what the
            module's own words forbid.
    """
    if len(data) > longest:
        raise XmlRefused(f"It is longer than {longest} bytes.")
    from lxml import etree

    declared = _DECLARATION.match(data)
    if declared and declared[1].lower() not in (b"utf-8", b"us-ascii"):
        raise XmlRefused("Its encoding must be UTF-8.")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise XmlRefused("It is not UTF-8.") from None
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise XmlRefused("A document type is never read.")
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        huge_tree=False,
        remove_comments=comments_pass,
        remove_pis=comments_pass,
    )
    try:
        root = etree.fromstring(text.encode(), parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise XmlRefused("It is not well-formed.") from error
    _check(root)
    return root


def _check(root: Element) -> None:
    if root.getroottree().docinfo.internalDTD is not None:
        raise XmlRefused("A document type is never read.")
    seen: set[str] = set()
    for number, (node, depth) in enumerate(_walk(root)):
        if not isinstance(node.tag, str):
            raise XmlRefused("Comments, instructions and entities are not accepted.")
        if depth > _DEEPEST or number > _MOST:
            raise XmlRefused("It is nested too deep, or has too many elements.")
        for name in _IDS:
            value = node.get(name)
            if value is not None:
                if value in seen:
                    raise XmlRefused("Two elements have the same ID.")
                seen.add(value)
    if next(root.itersiblings(), None) is not None or root.getprevious() is not None:
        raise XmlRefused("Comments, instructions and entities are not accepted.")


def _walk(root: Element) -> Iterator[tuple[Element, int]]:
    waiting = [(root, 1)]
    while waiting:
        node, depth = waiting.pop()
        yield node, depth
        waiting += ((child, depth + 1) for child in node)


def text_of(node: Element) -> str:
    """The text of an element that holds nothing else, without the space around it.

    Raises:
        XmlRefused: it has children.
    """
    if len(node):
        raise XmlRefused(f"{local_name(node)} may hold nothing but text.")
    return (node.text or "").strip()


def boolean_of(text: str) -> bool:
    """An xs:boolean.

    Raises:
        XmlRefused: it is none.
    """
    if text.strip() not in ("true", "1", "false", "0"):
        raise XmlRefused("A yes or no must be true or false.")
    return text.strip() in ("true", "1")


def plain(text: str) -> str:
    """A text as XML can hold it: what it has no way to say is replaced."""
    return _UNSPEAKABLE.sub("\ufffd", text)


def local_name(node: Element) -> str:
    """An element's name without its namespace."""
    return str(node.tag).rpartition("}")[2]


def only_child(node: Element, tag: str) -> Element | None:
    """The child of this name; None if there is none.

    Raises:
        XmlRefused: there are several, of which each reader could mean another.
    """
    found = [child for child in node if child.tag == tag]
    if len(found) > 1:
        raise XmlRefused(f"{local_name(found[0])} may come only once.")
    return found[0] if found else None


def new_element(
    tag: str, attributes: Mapping[str, str] | None = None, nsmap: Mapping[str, str] | None = None
) -> Element:
    """The root of a document of ours. `nsmap`: namespaces by the prefixes that they get."""
    from lxml import etree

    return etree.Element(tag, attributes, nsmap)


def add_element(
    parent: Element,
    tag: str,
    attributes: Mapping[str, str] | None = None,
    nsmap: Mapping[str, str] | None = None,
) -> Element:
    """A new last child."""
    from lxml import etree

    return etree.SubElement(parent, tag, attributes, nsmap)


def xml_octets(root: Element) -> bytes:
    """An element as it is put into something else: ASCII, without a declaration."""
    from lxml import etree

    octets: bytes = etree.tostring(root)
    return octets


def xml_document(root: Element) -> bytes:
    """A document of its own: UTF-8, which it declares."""
    from lxml import etree

    octets: bytes = etree.tostring(root, xml_declaration=True, encoding="UTF-8")
    return octets
