"""Names of videos and classes: one form for equal names, and what tells apart two that are nearly equal."""

import re
import unicodedata
from collections.abc import Iterable

_SEPARATORS = re.compile(r"[_\-. /]+")


def as_name(text: str) -> str:
    """Returns a name without surrounding blanks and byte order mark, its accents in one form (NFC, not macOS's NFD)."""
    return unicodedata.normalize("NFC", text.strip().lstrip("\ufeff").strip())


def loose(name: str) -> str:
    """Returns what names have in common that differ in capital letters, blanks, dashes or underscores alone."""
    return _SEPARATORS.sub("", unicodedata.normalize("NFKC", name).casefold())


class Nearest:
    """Finds, among some names, the one that a name was probably meant to be."""

    def __init__(self, names: Iterable[str]):
        self._names, self._loose, self._parts = {}, {}, {}
        for name in names:
            self._names[name] = name
            for table, keys in ((self._loose, [loose(name)]), (self._parts, _parts(name))):
                for key in keys:
                    table[key] = None if table.get(key, name) != name else name  # None: of several names

    def to(self, name: str) -> tuple[str, str] | None:
        """Returns a name that differs a little, and in what; None if there is none, or more than one."""
        if other := self._names.get(as_name(name)):
            return other, "blanks or the Unicode form of accents"
        if other := self._loose.get(loose(name)):
            return other, "capital letters, blanks, dashes or underscores"
        for other in (self._parts.get(loose(name)), *(self._loose.get(part) for part in _parts(name))):
            if other:
                longer, shorter = sorted((loose(other), loose(name)), key=len, reverse=True)
                return other, "a prefix" if longer.endswith(shorter) else "a suffix"
        return None


def _parts(name: str) -> list[str]:
    """Returns the loose forms of a name without a prefix or without a suffix, which end at a separator."""
    cuts = list(_SEPARATORS.finditer(name))
    parts = [loose(part) for cut in cuts for part in (name[cut.end() :], name[: cut.start()])]
    return [part for part in parts if part and part != loose(name)]
