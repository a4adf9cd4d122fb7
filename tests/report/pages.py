"""Parses pages into their elements, attributes, scripts and charts."""

import html.parser
import json
import re
from xml.etree import ElementTree


class Page(html.parser.HTMLParser):
    """A parsed page.

    Attributes:
      tags: names of all elements, in order.
      attributes: (name, value) of all elements.
      scripts: (attributes, text) of all script elements.
      policy: the Content-Security-Policy.
      text: all text outside of scripts and styles.
    """

    def __init__(self, text: str):
        super().__init__()
        self.tags, self.attributes, self.scripts, self.text, self.policy = [], [], [], "", None
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag == "script":
            self.scripts.append((dict(attrs), ""))
        if ("http-equiv", "Content-Security-Policy") in attrs:
            self.policy = dict(attrs)["content"]

    def handle_data(self, data):
        if self.cdata_elem == "script":
            attributes, text = self.scripts[-1]
            self.scripts[-1] = (attributes, text + data)
        elif self.cdata_elem is None:
            self.text += data

    def data(self, identity: str):
        """Returns the JSON in the block with this id."""
        (text,) = (text for attributes, text in self.scripts if attributes.get("id") == identity)
        return json.loads(text)


def pictures(text):
    """Returns all SVG elements of a page."""
    return [ElementTree.fromstring(each) for each in re.findall(r"<svg.*?</svg>", text, re.DOTALL)]


def picture(text, title):
    """Returns the SVG element with this title."""
    (match,) = [each for each in pictures(text) if each.get("aria-label") == title]
    return match


def tooltips(element):
    """Returns the tooltips in an SVG element."""
    return [each.text for each in element.iter("title")]
