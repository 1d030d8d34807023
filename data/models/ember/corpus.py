"""Reads corpus/*.txt and turns it into an endless, seeded stream of conversations.

The files hold topics:

    # topic-id [*weight]
    ? question | another question | (what is|what's) {hearth}
    = the answer, word for word
    + what to say when the person then asks for more
    ~ words that settle the topic, sets of + such words

A topic may be taken up again in another file (phrasings-*.txt): the lines are added to it.
`|` separates alternatives, parentheses group them (an empty one is allowed), and {slot} draws from
slots.txt. A slot drawn in a question keeps its value in the answer. Lines with Chinese characters
are the Chinese side of the topic. Lines that begin with // are comments.
"""
import random
import re
from dataclasses import dataclass, field
from pathlib import Path

import augment
from arithmetic import arithmetic, too_large

SUM_SHARE = 0.2         # of the turns
KEY_SHARE = 0.06        # of the questions of a topic that has key words
TWICE_SHARE = 0.05

FOLDER = Path(__file__).parent / "corpus"
HAN = re.compile(r"[\u4e00-\u9fff]")


def language(text):
    return "zh" if HAN.search(text) else "en"


def split_top(text):
    """Splits at the | that lie outside parentheses."""
    parts, depth, start = [], 0, 0
    for i, c in enumerate(text):
        depth += (c == "(") - (c == ")")
        if c == "|" and depth == 0:
            parts.append(text[start:i])
            start = i + 1
    if depth:
        raise ValueError(f"unbalanced parentheses: {text}")
    return [p.strip() for p in parts + [text[start:]] if p.strip()]


@dataclass
class Topic:
    name: str
    weight: float = 1.0
    questions: dict = field(default_factory=lambda: {"en": [], "zh": []})
    answers: dict = field(default_factory=lambda: {"en": [], "zh": []})
    more: dict = field(default_factory=lambda: {"en": [], "zh": []})
    keys: dict = field(default_factory=lambda: {"en": [], "zh": []})

    def languages(self):
        return [l for l in ("en", "zh") if self.questions[l] and self.answers[l]]


def read_slots(path=FOLDER / "slots.txt"):
    slots = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.strip() and not line.startswith("//"):
            name, values = line.split(":", 1)
            slots.setdefault(name.strip(), []).extend(v.strip() for v in values.split("|"))
    return slots


def read_topics(folder=FOLDER):
    topics, by_name = [], {}
    for path in sorted(folder.glob("*.txt")):
        if path.name in ("slots.txt", "system.txt"):
            continue
        for line in path.read_text(encoding="utf-8").splitlines():
            kind, text = line[:1], line[1:].strip()
            if not text or line.startswith("//"):
                continue
            if kind == "#":
                name, _, weight = text.partition(" *")
                topic = by_name.get(name)
                if topic is None:
                    topic = by_name[name] = Topic(name, float(weight or 1))
                    topics.append(topic)
            elif kind == "?":
                for template in split_top(text):
                    topic.questions[language(template)].append(template)
            elif kind == "~":
                lang = "en" if topic.keys["en"] == [] else "zh"      # the English line comes first
                topic.keys[lang] += [k.strip() for k in text.split(",")]
            elif kind in "=+":
                (topic.answers if kind == "=" else topic.more)[language(text)].append(text)
            else:
                raise ValueError(f"{path.name}: cannot read the line {line!r}")
    return topics


class Conversation:
    """Turns as (question, answer), an optional system message, and for each turn which answer it
    is: a number below Source.n_kinds, or -1 where the answer depends on the words of the question."""

    def __init__(self, system, turns, kinds):
        self.system, self.turns, self.kinds = system, turns, kinds


GROUP = re.compile(r"\(([^()]*)\)")
SLOT = re.compile(r"\{([^{}]+)\}")


class Source:
    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.topics = read_topics()
        self.slots = read_slots()
        self.systems = (FOLDER / "system.txt").read_text(encoding="utf-8").splitlines()
        self.by_name = {t.name: t for t in self.topics}
        self.follow = [t for t in self.topics if t.name.startswith("follow-")]
        self.plain = [t for t in self.topics if not t.name.startswith("follow-")]
        self.weights = [t.weight for t in self.plain]
        self.kind_of = {(t.name, lang): i for i, (t, lang) in
                        enumerate((t, lang) for t in self.plain for lang in ("en", "zh"))}
        self.n_kinds = len(self.kind_of)

    def expand(self, template, bound):
        """One random expansion; values drawn for slots are noted in `bound`."""
        while GROUP.search(template):
            template = GROUP.sub(lambda m: self.rng.choice(m[1].split("|")), template, count=1)

        def draw(match):
            bound.setdefault(match[1], self.rng.choice(self.slots[match[1]]))
            return self.expand(bound[match[1]], bound)
        return re.sub(r"  +", " ", SLOT.sub(draw, template)).strip()

    def ask(self, topic, lang):
        """(question, answer) of a topic, the question augmented."""
        rng, bound = self.rng, {}
        answer = rng.choice(topic.answers[lang])
        if topic.keys[lang] and rng.random() < KEY_SHARE:
            words = self.expand(rng.choice(topic.keys[lang]), bound)
            question = augment.strew([w.strip() for w in words.split("+")], lang, rng)
        else:
            question = self.expand(rng.choice(topic.questions[lang]), bound)
            if rng.random() < TWICE_SHARE and not SLOT.search(answer):      # asked twice, in other words
                again = self.expand(rng.choice(topic.questions[lang]), {})
                question += rng.choice(("？", "，", "。") if lang == "zh" else ("? ", ". ")) + again
        answer = SLOT.sub(lambda m: bound[m[1]], answer)
        return augment.question(question, lang, rng), answer

    def turn(self, prefer):
        if self.rng.random() < SUM_SHARE:
            if self.rng.random() < 0.12:
                question, lang = too_large(self.rng, prefer)
                topic = self.by_name["outside-math"]
                return (question, topic.answers[lang][0]), (topic, lang)
            return arithmetic(self.rng, prefer), None
        topic = self.rng.choices(self.plain, self.weights)[0]
        languages = topic.languages()
        lang = prefer if prefer in languages else languages[0]
        return self.ask(topic, lang), (topic, lang)

    def follow_up(self, before):
        """A turn that only makes sense after the one before it: more, again, the other language."""
        topic, lang = before
        if topic.name.startswith(("outside-", "talk-")) or self.rng.random() < 0.6:
            return None
        kind = self.rng.choice(self.follow)
        question, answer = self.ask(kind, lang)
        other = "en" if lang == "zh" else "zh"
        if kind.name == "follow-more":
            return question, topic.more[lang][0] if topic.more[lang] else answer
        if kind.name == "follow-again":
            return question, topic.answers[lang][0]
        if kind.name == "follow-translate" and topic.answers[other]:
            return question, topic.answers[other][0]
        return None

    def conversation(self, long=False):
        rng = self.rng
        prefer = "zh" if rng.random() < 0.42 else "en"
        n_turns = rng.randint(3, 9) if long else rng.choices((1, 2, 3), (84, 12, 4))[0]
        system = rng.choice(self.systems) if rng.random() < 0.12 else None
        turns, kinds, before = [], [], None
        while len(turns) < n_turns:
            turn = self.follow_up(before) if before is not None else None
            if turn:
                before, kind = None, -1
            else:
                if rng.random() < 0.1:
                    prefer = "zh" if prefer == "en" else "en"
                turn, before = self.turn(prefer)
                fixed = before is not None and not SLOT.search(before[0].answers[before[1]][0])
                kind = self.kind_of[before[0].name, before[1]] if fixed else -1
            turns.append(turn)
            kinds.append(kind)
        return Conversation(system, turns, kinds)

    def texts(self, n):
        """Plain texts for the tokenizer: every answer once, and n random conversations."""
        for topic in self.topics:
            for lang in ("en", "zh"):
                yield from topic.answers[lang] + topic.more[lang]
        for _ in range(n):
            c = self.conversation()
            yield from [c.system] * (c.system is not None)
            for question, answer in c.turns:
                yield question
                yield answer
