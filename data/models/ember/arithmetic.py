"""Small sums, written out: the only exercises that Ember thinks about before it answers.

Sums and differences of numbers with up to three digits are worked column by column between
<think> and </think>; products up to 12 x 12 and sums of single digits are known by heart.
"""
import re

HAN = re.compile(r"[\u4e00-\u9fff]")
ASK = {
    "+": ["{a}+{b}", "{a} + {b}", "{a} + {b} =", "{a}+{b}=", "what is {a} + {b}", "what is {a} plus {b}", "{a} plus {b}", "calculate {a}+{b}",
          "add {a} and {b}", "what's {a}+{b}", "how much is {a} + {b}", "compute {a} + {b}", "the sum of {a} and {b}", "what does {a}+{b} make",
          "can you add {a} to {b}", "how much is {a} and {b}", "please work out {a} + {b}", "what do you get for {a} + {b}", "solve {a}+{b}",
          "if i have {a} apples and get {b} more, how many do i have", "i have {a} files and copy {b} more. how many files"],
    "-": ["{a}-{b}", "{a} - {b}", "{a} - {b} =", "{a}-{b}=", "what is {a} - {b}", "what is {a} minus {b}", "{a} minus {b}", "calculate {a}-{b}",
          "subtract {b} from {a}", "what's {a}-{b}", "how much is {a} - {b}", "compute {a} - {b}", "take {b} away from {a}", "{a} less {b}",
          "the difference between {a} and {b}", "what remains of {a} after {b}", "please work out {a} - {b}", "solve {a}-{b}",
          "i had {a} apples and ate {b}. how many are left"],
    "×": ["{a}*{b}", "{a} x {b}", "{a} × {b}", "{a} * {b} =", "what is {a} times {b}", "{a} times {b}", "what is {a} x {b}", "multiply {a} by {b}",
          "calculate {a}*{b}", "what's {a}*{b}", "how much is {a} times {b}", "the product of {a} and {b}", "compute {a} × {b}", "{a}×{b}=",
          "what is {a} multiplied by {b}", "solve {a}*{b}"],
}
ASK_ZH = {
    "+": ["{a}+{b}", "{a}加{b}", "{a}+{b}等于多少", "{a}加{b}等于几", "计算{a}+{b}", "{a} + {b} 是多少", "请算一下{a}加{b}", "{a}和{b}的和是多少",
          "帮我算{a}+{b}", "{a}加上{b}是多少", "我有{a}个苹果，又买了{b}个，一共几个", "算算{a}+{b}=?", "{a}+{b}＝？"],
    "-": ["{a}-{b}", "{a}减{b}", "{a}-{b}等于多少", "{a}减{b}等于几", "计算{a}-{b}", "{a} - {b} 是多少", "请算一下{a}减{b}", "{a}和{b}的差是多少",
          "帮我算{a}-{b}", "{a}减去{b}是多少", "我有{a}个苹果，吃了{b}个，还剩几个"],
    "×": ["{a}*{b}", "{a}乘{b}", "{a}×{b}等于多少", "{a}乘以{b}等于几", "计算{a}*{b}", "{a} × {b} 是多少", "请算一下{a}乘{b}", "{a}和{b}的积是多少",
          "帮我算{a}×{b}", "{a}乘以{b}是多少", "{a}x{b}"],
}


def columns(a, b, sign):
    """The written method, right to left: one short clause per digit. What is carried or borrowed is
    the 1 before the clause's result, or before its first number."""
    steps, carry = [], 0
    for i in range(max(len(str(a)), len(str(b)))):
        x, y = a // 10 ** i % 10, b // 10 ** i % 10
        more = f"{sign}1" if carry else ""
        if sign == "+":
            total = x + y + carry
            carry = int(total > 9)
        else:
            borrow = int(x - y - carry < 0)
            x += 10 * borrow
            total = x - y - carry
            carry = borrow
        steps.append(f"{x}{sign}{y}{more}={total}")
    return "; ".join(steps)


def draw(rng, sign):
    if sign == "×":
        return rng.randint(0, 12), rng.randint(0, 12)
    digits = rng.choices((1, 2, 3), (30, 50, 20))[0]
    top = 10 ** digits - 1
    low = 0 if digits == 1 else 10 ** (digits - 1)
    a, b = rng.randint(low, top), rng.randint(0, top)
    if sign == "-" and b > a:
        a, b = b, a
    return (a, b) if sign == "-" or rng.random() < 0.6 else (b, a)


def draw_large(rng, sign):
    """What Ember does not try."""
    if sign == "×":
        return rng.sample((rng.randint(13, 99), rng.randint(2, 10 ** rng.randint(2, 5))), 2)
    return rng.sample((rng.randint(1000, 10 ** rng.randint(4, 7)), rng.randint(0, 10 ** rng.randint(2, 7))), 2)


def ask(rng, lang, sign, a, b):
    question = rng.choice((ASK_ZH if lang == "zh" else ASK)[sign]).format(a=a, b=b)
    if lang == "en" and rng.random() < 0.5:
        question = question[:1].upper() + question[1:]
    if rng.random() < 0.4 and question[-1] not in "=?？":
        question += "？" if lang == "zh" else "?"
    return question


def too_large(rng, lang):
    """(question, its language)"""
    sign = rng.choices("+-×", (30, 25, 45))[0]
    question = ask(rng, lang, sign, *draw_large(rng, sign))
    return question, "zh" if HAN.search(question) else "en"


def arithmetic(rng, lang):
    sign = rng.choices("+-×", (45, 30, 25))[0]
    a, b = draw(rng, sign)
    result = {"+": a + b, "-": a - b, "×": a * b}[sign]
    question = ask(rng, lang, sign, a, b)
    answer = f"{a} {'−' if sign == '-' else sign} {b} = {result}" + ("。" if HAN.search(question) else ".")
    if sign != "×" and max(a, b) > 9:
        answer = f"<think>{columns(a, b, sign)}</think>{answer}"
    return question, answer
