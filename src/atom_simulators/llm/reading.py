"""Writes down what a mail seems to state, by rules: names, amounts, dates, and who promised, asked or decided what."""

import re
from collections.abc import Iterator

from ..facts import MOST_ENTITIES, MOST_RELATIONS, MOST_WORDS, Entity, Relation, Stated
from .units import Unit, UnitMail

_SENTENCE = re.compile(r"[^.!?\n]+(?:[.!?](?!\s)[^.!?\n]*)*")
_NAME = re.compile(r"\b[A-ZÀ-Þ][\w&'-]+(?: (?:of|de|der|von|van|and|&) (?=[A-ZÀ-Þ]))?(?: ?[A-ZÀ-Þ0-9][\w&'-]*)*")
_AMOUNT = re.compile(r"[£$€¥] ?\d[\d.,]*\d|\b\d[\d.,]* ?(?:€|EUR|GBP|USD|Euro)\b")
_MONTH = "January|February|March|April|May|June|July|August|September|October|November|December"
_DATED = re.compile(_MONTH)
_DATE = re.compile(rf"\b\d{{1,2}} (?:{_MONTH})(?: \d{{4}})?\b|\b\d{{4}}-\d\d-\d\d\b")
_FIRM = re.compile(r"\b(?:Ltd|Limited|GmbH|AG|AS|KK|Inc|LLC|Bank|University|Trust|Council|Castings|Ferries|Port)\b")
_PLACE = re.compile(r"\b(?:in|at|from|near) $")
_STARTERS = frozenset(
    {
        "A", "All", "An", "And", "Any", "As", "At", "But", "By", "Dear", "Do", "For", "From", "He", "Hello",
        "Hi", "How", "I", "If", "In", "It", "Just", "Last", "My", "Next", "No", "Not", "Of", "On", "One", "Or",
        "Our", "Please", "She", "So", "Some", "Thank", "Thanks", "That", "The", "Then", "There", "These",
        "They", "This", "To", "We", "What", "When", "Where", "Which", "Who", "Why", "With", "Yes", "You",
        "Your", "Kind", "Regards", "Best", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday",
        "Sunday", "Re", "Fwd"
    }
)  # fmt: skip
_SAYINGS = (
    ("decided", re.compile(r"\b(?:[Ww]e|I) (?:have )?(?:decided|agreed|settled|chose)\b.*")),
    ("committed_to", re.compile(r"\b(?:[Ww]e|I)(?: will| shall|'ll)\b.*")),
    ("requested", re.compile(r"\b(?:[Pp]lease|[Cc]ould you|[Cc]an you|[Ww]ould you)\b.*")),
)


def read(unit: Unit, mail: UnitMail) -> Stated:
    """What a mail seems to state. The same text gives the same facts."""
    addresses = {number: address for address, number in unit.people.items()}
    sender = addresses.get(mail.sender, "") if mail.sender is not None else ""
    people = _called(unit)
    entities: list[Entity] = []
    relations: list[Relation] = []
    for sentence in _SENTENCE.findall(mail.text):
        entities += [entity for entity in _names(sentence, people) if not _has(entities, entity)]
        for kind, saying in _SAYINGS:
            match = saying.search(sentence)
            if match and sender and len(match[0].split()) >= 3:
                name = " ".join(match[0].split()[:8]).rstrip(" ,;:").replace("|", " ")[:80].rstrip()
                quote = " ".join(match[0].split()[:MOST_WORDS])
                entities.append(Entity("commitment", name, quote))
                relations.append(Relation(kind, sender, len(entities) - 1, quote))
                break
    kept = _capped(entities, relations)
    return Stated("", mail.text, (), *kept)


def _names(sentence: str, people: frozenset[str]) -> Iterator[Entity]:
    for match in _NAME.finditer(sentence):
        name, start = match[0], match.start()
        words = name.split()
        if words[0] in _STARTERS:
            words = words[1:]
            name, start = " ".join(words), start + len(match[0]) - len(" ".join(words))
        alone = len(words) == 1 and not sentence[:start].strip(" -*\"'(")
        if not words or alone or not 3 <= len(name) <= 80 or name.casefold() in people or _DATED.match(name):
            continue
        yield Entity(_kind(name, sentence[:start]), name, around(sentence, start, start + len(name)))
    for kind, pattern in (("topic", _AMOUNT), ("event", _DATE)):
        for match in pattern.finditer(sentence):
            yield Entity(kind, match[0], around(sentence, match.start(), match.end()))


def _kind(name: str, before: str) -> str:
    if _FIRM.search(name):
        return "organization"
    if any(letter.isdigit() for letter in name):
        return "product"
    if _PLACE.search(before):
        return "place"
    return "person" if len(name.split()) in (2, 3) else "topic"


def around(sentence: str, start: int, end: int, words: int = 10) -> str:
    """About so many words of a sentence that hold the letters from `start` to `end`; whole words, single spaces."""
    spans = [match.span() for match in re.finditer(r"\S+", sentence)]
    inside = [place for place, (first, last) in enumerate(spans) if first < end and last > start]
    first, last = inside[0], inside[-1]
    while last - first + 1 < words and (first > 0 or last + 1 < len(spans)):
        if last + 1 < len(spans):
            last += 1
        if last - first + 1 < words and first > 0:
            first -= 1
    return " ".join(sentence[a:b] for a, b in spans[first : min(last, first + MOST_WORDS - 1) + 1])


def _called(unit: Unit) -> frozenset[str]:
    """By which names the participants go."""
    names = [name.casefold() for name in unit.names.values() if name]
    return frozenset([*names, *(part for name in names for part in name.split())])


def _has(entities: list[Entity], wanted: Entity) -> bool:
    return any((e.type, e.name.casefold()) == (wanted.type, wanted.name.casefold()) for e in entities)


def _capped(entities: list[Entity], relations: list[Relation]) -> tuple[tuple[Entity, ...], tuple[Relation, ...]]:
    """What relations join comes first, so that a cap takes the rest."""
    relations = relations[:MOST_RELATIONS]
    joined = [end for relation in relations for end in (relation.source, relation.target) if isinstance(end, int)]
    order = [*joined, *(place for place in range(len(entities)) if place not in joined)][:MOST_ENTITIES]
    moved = {old: new for new, old in enumerate(order)}
    return tuple(entities[place] for place in order), tuple(
        Relation(r.type, r.source, moved[r.target], r.quote) for r in relations if isinstance(r.target, int)
    )
