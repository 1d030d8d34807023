"""Ember's vocabulary: byte-level BPE trained on the corpus, and its chat template.

Every byte is a token, so nothing is unknown. Numbers are split into digits (qwen2's pattern), and
merges never cross a Chinese character: one character is one token, whatever words it stands in.
"""
import json

import regex
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

PATTERN = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
BOS, END, SYSTEM, USER, EMBER = "<|bos|>", "<|end|>", "<|system|>", "<|user|>", "<|ember|>"
THINK, THINK_END = "<think>", "</think>"
CONTROL = [BOS, END, SYSTEM, USER, EMBER]
SPECIAL = CONTROL + [THINK, THINK_END]

# What a token of an example is: text to read, a word of a question (of one whose answer repeats
# some of it, as in sums), or Ember's: the first N_CHOICE tokens of an answer, or those after them.
OTHER, ASKED, COPIED, CHOICE, SPOKEN = range(5)
N_CHOICE = 10

CHAT_TEMPLATE = """\
{{- bos_token -}}
{%- for message in messages -%}
{%- if message.role == 'system' -%}
<|system|>{{ message.content | trim }}<|end|>
{%- elif message.role == 'user' -%}
<|user|>{{ message.content | trim }}<|end|>
{%- elif message.role == 'assistant' -%}
{%- set content = message.content -%}
{%- if '</think>' in content -%}
{%- set content = content.split('</think>')[-1] -%}
{%- endif -%}
<|ember|>{{ content | trim }}<|end|>
{%- else -%}
{{- raise_exception('Ember knows the roles system, user and assistant, not ' ~ message.role ~ '.') -}}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}
<|ember|>
{%- endif -%}
"""


def splitter():
    return pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(PATTERN), "isolated"),
                                    pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def train(texts, n_vocab):
    tok = Tokenizer(models.BPE())
    # While training, a Chinese character is a word of its own; when encoding, the pattern alone
    # decides, and the merges that were never learned cannot apply.
    tok.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(PATTERN), "isolated"),
        pre_tokenizers.Split(Regex(r"[\u4e00-\u9fff\u3000-\u303f\uff00-\uffef]"), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tok.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=n_vocab - len(SPECIAL), min_frequency=2, show_progress=False,
                                  initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()))
    tok.train_from_iterator(texts, trainer)
    tok.pre_tokenizer = splitter()
    tok.add_special_tokens(SPECIAL)
    return tok


class Chat:
    """Token ids of conversations; `tok` is what train() returned or a file that holds it."""

    def __init__(self, tok):
        self.tok = Tokenizer.from_file(str(tok)) if not isinstance(tok, Tokenizer) else tok
        self.bos, self.end, self.system, self.user, self.ember = map(self.tok.token_to_id, CONTROL)

    def ids(self, text):
        return self.tok.encode(text, add_special_tokens=False).ids

    def prompt(self, turns, system=None):
        """turns: (question, answer) pairs; the last answer is None and is what Ember writes."""
        out = [self.bos]
        if system:
            out += [self.system, *self.ids(system), self.end]
        for question, answer in turns:
            out += [self.user, *self.ids(question), self.end, self.ember]
            if answer is not None:
                out += [*self.ids(answer.split(THINK_END)[-1]), self.end]
        return out

    def example(self, conversation, opening=None):
        """(ids, roles, kinds, turn starts) of a conversation.

        roles: what each token is, see below. kinds: over a question and up to the token before its
        answer, which answer it is, else -1. `opening` cuts the last answer after so many tokens:
        the choice of the answer is made there, the rest is known by heart, and more questions are
        seen in the same time.
        """
        ids, roles, kinds, starts = [self.bos], [OTHER], [-1], []
        if conversation.system:
            part = [self.system, *self.ids(conversation.system), self.end]
            ids, roles, kinds = ids + part, roles + [OTHER] * len(part), kinds + [-1] * len(part)
        last = len(conversation.turns) - 1
        for i, (question, answer) in enumerate(conversation.turns):
            starts.append(len(ids))
            kind, asked = conversation.kinds[i], self.ids(question)
            # Thoughts are not kept in the history: in an earlier turn they are cut off, and what
            # is left is no example of how to answer.
            cut = i < last and THINK_END in answer
            reply = [*self.ids(answer.split(THINK_END)[-1] if cut else answer), self.end]
            if i == last and kind >= 0:
                reply = reply[:opening]
            ids += [self.user, *asked, self.end, self.ember] + reply
            roles += [OTHER] + [ASKED if kind >= 0 else COPIED] * len(asked) + [OTHER, OTHER]
            roles += [OTHER if cut else CHOICE if n < N_CHOICE else SPOKEN for n in range(len(reply))]
            kinds += [-1] + [kind] * (len(asked) + 2) + [-1] * len(reply)
        return ids, roles, kinds, starts

    def text(self, ids):
        return self.tok.decode(ids, skip_special_tokens=False)


def normalise(text):
    """Letters, digits and Chinese characters only: what two phrasings are compared by."""
    return regex.sub(r"[^\p{L}\p{N}]+", " ", text.lower()).strip()


def merges(tok):
    """The merge rules as GGUF lists them: "left right", the first rule first."""
    rules = json.loads(tok.to_str())["model"]["merges"]
    return [rule if isinstance(rule, str) else " ".join(rule) for rule in rules]


def rebuild(tokens, rules):
    """The tokenizer of the token list and merge rules that lie in a GGUF."""
    vocab = {t: i for i, t in enumerate(tokens)}
    tok = Tokenizer(models.BPE(vocab={t: i for t, i in vocab.items() if t not in SPECIAL},
                               merges=[tuple(r.split(" ")) for r in rules]))
    tok.pre_tokenizer = splitter()
    tok.decoder = decoders.ByteLevel()
    tok.add_special_tokens(SPECIAL)
    if any(tok.token_to_id(t) != i for t, i in vocab.items()):
        raise ValueError("the special tokens are not the last ones of the vocabulary")
    return tok
