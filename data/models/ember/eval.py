"""Scores the shipped file: `python eval.py ember.gguf [questions.json]`.

Without a second argument it asks dev.txt, where the right answer is the topic's own, and 100 sums.
questions.json (../../../tests/cli/ember_questions.json) is the held-out test: [{"q", "any", "none"}], where
each list in "any" must have a member in the answer and no member of "none" may be in it. `--leaks`
proves that none of its questions can be drawn from the corpus.
"""
import json
import random
import re
import sys
from pathlib import Path

import regex
import torch

from arithmetic import arithmetic
from augment import ALIKE, BEFORE_EN, BEFORE_ZH, CLOSE_EN, CLOSE_ZH, OPEN_EN, OPEN_ZH
from corpus import SLOT, read_slots, read_topics
from reference import answers, read
from tokenizer import normalise

HERE = Path(__file__).parent


def right(answer, rule):
    return (all(any(k.lower() in answer.lower() for k in group) for group in rule["any"])
            and not any(k.lower() in answer.lower() for k in rule.get("none", [])))


def squeeze(text):
    return normalise(text).replace(" ", "")


def pattern_of_words(text):
    """Words that augment.py may put for each other match each other."""
    pattern, others = ALIKE["zh" if regex.search(r"\p{Han}", text) else "en"]
    out, at = [], 0
    for m in pattern.finditer(text):
        words = {squeeze(w) for w in [m[0], *others[m[0].lower()]]}
        out += [squeeze(text[at:m.start()]), "(?:" + "|".join(sorted(words)) + ")"]
        at = m.end()
    return "".join(out) + squeeze(text[at:])


def pattern_of(template, slots):
    """A pattern that matches what a template can expand to, as squeeze() leaves it."""
    out = []
    for part in re.split(r"([()|]|\{[^}]*\})", template):
        if part and part in "()|":
            out.append({"(": "(?:", ")": ")", "|": "|"}[part])
        elif SLOT.fullmatch(part):
            out.append("(?:" + "|".join(pattern_of(v, slots) for v in slots[part[1:-1]]) + ")")
        else:
            out.append(pattern_of_words(part))
    return "".join(out)


def leaks(questions):
    """The questions that some template, opened and closed as augment.py may, expands to."""
    slots = read_slots()
    openings = {squeeze(p) for p in OPEN_EN + OPEN_ZH + BEFORE_EN + BEFORE_ZH}
    closings = {squeeze(p) for p in CLOSE_EN + CLOSE_ZH}
    bare = {}
    for q in questions:
        text = squeeze(q)
        starts = [text] + [text[len(o):] for o in openings if text.startswith(o)]
        bare[q] = set(starts) | {s[:-len(c)] for s in starts for c in closings if c and s.endswith(c)}
    found = set()
    for template in {t for topic in read_topics() for side in topic.questions.values() for t in side}:
        pattern = regex.compile(pattern_of(template, slots))
        found |= {q for q, forms in bare.items() if any(pattern.fullmatch(f) for f in forms)}
    return sorted(found)


def check_leaks(questions):
    # The check must be able to fail: something that is in the corpus has to be found.
    if leaks(["hello, What is HEARTH?"]) == [] or leaks(["请问，什么是量化？"]) == []:
        raise SystemExit("the leak check finds nothing at all")
    found = leaks(questions)
    print(f"{len(questions)} questions, {len(found)} of them in the corpus", *found, sep="\n  ")
    return not found


def score_dev(model, chat):
    topics = {t.name: t for t in read_topics()}
    lines = [l.split("\t") for l in (HERE / "dev.txt").read_text(encoding="utf-8").splitlines() if "\t" in l]
    got = answers(model, chat, [([(q, None)], None) for _, q in lines])
    wrong = [(n, q, a) for (n, q), a in zip(lines, got) if a not in sum(topics[n].answers.values(), [])]
    for name, q, a in wrong:
        print(f"  {name}: {q}\n      {a}")
    print(f"dev: {len(lines) - len(wrong)} of {len(lines)}")
    rng = random.Random(7)
    sums = [arithmetic(rng, rng.choice(("en", "zh"))) for _ in range(100)]
    got = answers(model, chat, [([(q, None)], None) for q, _ in sums])
    bad = [(q, a) for (q, want), a in zip(sums, got) if a.split(">")[-1] != want.split(">")[-1]]
    print(f"sums: {100 - len(bad)} of 100", *bad[:5], sep="\n  ")


def main():
    args = [a for a in sys.argv[1:] if a != "--leaks"]
    rules = json.loads(Path(args[-1]).read_text(encoding="utf-8")) if args[-1].endswith(".json") else None
    if "--leaks" in sys.argv:
        raise SystemExit(not check_leaks([r["q"] for r in rules]))
    torch.set_num_threads(2)
    model, chat = read(args[0])
    if rules is None:
        return score_dev(model, chat)
    got = answers(model, chat, [([(r["q"], None)], None) for r in rules])
    n_right = 0
    for rule, answer in zip(rules, got):
        ok = right(answer, rule)
        n_right += ok
        print(f"{'   ' if ok else 'NO '}{rule['q']}\n      {answer}")
    print(f"{n_right} of {len(rules)} right")
    raise SystemExit(n_right < 0.9 * len(rules))


if __name__ == "__main__":
    main()
