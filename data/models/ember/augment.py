"""Makes one written question into many: how people open, close, shorten and mistype it."""
import re

OPEN_EN = """hi,|hello,|hey,|please|can you tell me:|could you tell me:|so|so,|ok,|okay,|well,|tell me,|tell me please,|
i have a question:|quick question:|question:|one more question:|just curious,|i was wondering,|i wonder,|i would like to know:|
i want to know,|and|and also,|also,|but|another thing:|sorry,|excuse me,|my friend asked me:|good morning,|good evening,|hmm,|
thanks.|thank you.|great.|cool.|nice.|ok thanks.|i am new here.|i'm a beginner,|stupid question maybe, but|now,|next:|
please explain:|i don't understand:|let me ask:|one thing:|ember,|hey ember,|hello ember,|for my notes:|help me out:|
i just installed this,|i'm confused.|sorry to bother you,|before i start:|by the way,|btw|actually,|hey there,""".replace("\n", "").split("|")
CLOSE_EN = "please|thanks|thank you|in short|in one sentence|in simple words|briefly|exactly|then|again|for me|here|actually|" \
           "i'm curious|i don't get it|if i may ask|do you know|can you explain|explain please|right|now|today".split("|")
FILLER = "actually exactly really just basically currently please even usually generally also then".split()
WEAK = {"the", "a", "an", "is", "do", "does", "of", "to", "i", "it", "you", "me", "are", "my", "on", "in", "for", "can", "be"}
SHORT = [(r"\bwhat is\b", ["what's", "whats", "what is", "wats"]), (r"\bwhat's\b", ["what is", "whats"]), (r"\bhow is\b", ["how's"]),
         (r"\bwhere is\b", ["where's", "wheres"]), (r"\bdo not\b", ["don't", "dont"]), (r"\bdoes not\b", ["doesn't", "doesnt"]),
         (r"\bdon't\b", ["dont", "do not"]), (r"\bi am\b", ["i'm", "im"]), (r"\bis not\b", ["isn't"]), (r"\bwho is\b", ["who's"]),
         (r"\byou are\b", ["you're"]), (r"\bcan not\b", ["can't", "cannot"]), (r"\bcannot\b", ["can't", "cant"]),
         (r"\byou\b", ["u", "you", "you"]), (r"\bplease\b", ["pls", "please"]), (r"\bare\b", ["are", "are", "r"]),
         (r"\bhow do i\b", ["how can i", "how do you", "how to", "how would i", "how could i"]),
         (r"\bhow can i\b", ["how do i", "how to", "how might i", "is there a way to"]),
         (r"\bcan i\b", ["may i", "could i", "am i able to", "is it possible to"]),
         (r"\bdoes it\b", ["will it", "can it"]), (r"\bwhat does (\w+) mean", [r"what is the meaning of \1", r"meaning of \1"]),
         (r"\btell me about\b", ["explain", "describe", "what can you tell me about", "say something about", "i want to know about"]),
         (r"\bwhy does\b", ["why would"]), (r"\bneed\b", ["require", "need"]), (r"\bmany\b", ["many", "many"])]
OPEN_ZH = "请问|请问一下，|你好，|你好，请问|我想问一下，|麻烦问下，|那|那么|所以|能告诉我|能不能告诉我|可以告诉我|告诉我|想知道|我想知道|" \
          "我想了解一下|帮我解释一下，|请说说|请解释|问一下|好奇问一下，|谢谢。|好的。|好，|另外，|还有，|对了，|顺便问一下，|我不太懂，|" \
          "新手请教：|请教一下，|不好意思，|小白问一下，|其实|下一个问题：|嗨，|打扰一下，|再问一个：|我有个问题：|简单说说".split("|")
CLOSE_ZH = "呢|啊|呀|谢谢|，谢谢|，请简单说明|，说简单点|，一句话|来着|，能解释吗|，请回答|哦|嘛".split("|")
SWAP_ZH = [("什么", ["啥", "什么"]), ("怎么", ["如何", "怎样", "怎么样才能", "咋"]), ("如何", ["怎么", "怎样"]), ("为什么", ["为何", "为啥", "怎么"]),
           ("可以", ["能", "能够", "可不可以"]), ("多少", ["几", "多少"]), ("是不是", ["是否"]), ("哪里", ["哪儿", "什么地方"]), ("需要", ["要", "得"]),
           ("吗", ["么", "吗", ""]), ("你", ["您", "你"]), ("是什么", ["是什么东西", "是啥", "什么意思", "指什么", "是什么意思"]),
           ("有多大", ["多大", "大小是多少"]), ("支持", ["支不支持", "支持"]), ("能", ["可以", "能"]), ("的", ["", "的"]), ("我", ["咱", "我"])]
STREW_EN = """i you we it they my your the a this that is are was do does did can could would should will want need have had like know think
 tell say ask please about for with without on in at to from of and or but if when while because so then just really some any one
 there here what which how why where who whether today now again maybe possible way thing things something anything someone people friend
 boss colleague new old own good using use used try got get give make take see look find work works go going happen happens mean means
 idea understand explain heard told wonder curious question answer moment time first next after before still already only also even much many
 more very quite all every other same different right best better looking let help me him us supposed able allowed sort kind bit""".split()
STREW_ZH = "我|你|我们|这个|那个|的|了|吗|呢|想|要|能|可以|会|知道|说|告诉|请|一下|怎么|什么|为什么|如果|但是|然后|现在|今天|朋友|听说|真的|有|没有|" \
           "是|不是|在|到|用|对|关于|一个|一般|通常|比较|到底|究竟|其实|应该|需要|帮我|看看|觉得|东西|时候|情况|办法|具体|大概|刚才|以后|还|都|也|就|把|给|让|跟".split("|")
# Words that may stand for each other in a question.
ALIKE_EN = """graphics card|GPU|video card|graphics board
RAM|main memory|system memory|DRAM
computer|PC|machine|laptop|desktop|rig
folder|directory
conversation|chat|dialogue|thread
conversations|chats|dialogues
answer|reply|response
answers|replies|responses
delete|remove|erase|get rid of|throw away
fast|quick|speedy
faster|quicker
slow|sluggish|not fast
stop|halt|abort|cancel|interrupt
change|modify|alter|adjust
use|make use of|employ
big|large|huge
small|tiny|little
show|display
find|locate|look up
save|store|keep
saved|stored|kept
need|require
needs|requires
settings|preferences|options|configuration
download|fetch|get|grab
explain|describe|clarify
why|how come|for what reason|what is the reason that
purpose|point|aim
program|application|app|software|tool
difference between|distinction between
best|ideal|optimal
internet|internet connection|web connection|network connection
free|gratis|free of charge
error|fault|failure
bug|defect|problem
picture|image|photo
terminal|command line|shell|console
shortcut|hotkey|key combination
VRAM|video memory|graphics memory|GPU memory
disk|drive|hard disk|SSD
processor|CPU
limit|restrict|cap
choose|pick|select
merge|join|combine
write|compose|draft
happens|occurs
support|handle|work with
supported|compatible
allowed|permitted
help|assist
buy|purchase
clever|smart|intelligent
stupid|dumb|silly
made|created|developed|built
tell me|let me know
talk|speak
picks|chooses|selects
explanation|description
reason|cause
often|frequently
maximum|max|highest
minimum|min|lowest
size|dimensions
long|lengthy
right now|at the moment|currently
possible|feasible
must i|do i have to|do i need to|should i""".split("\n")
ALIKE_ZH = """显卡|GPU|独显|独立显卡
内存|RAM|运行内存
电脑|计算机|机器|笔记本|主机|PC
文件夹|目录
对话|聊天|会话
回答|回复|答复
删除|删掉|移除|清除
停止|中止|打断|停下|终止
修改|更改|改|调整
使用|用|运用
显示|展示
查找|搜索|寻找|找
保存|存储|储存|存
设置|选项|偏好设置|配置
下载|获取
解释|说明|讲解
程序|软件|应用|工具
意思|含义
区别|差别|不同
最好|最佳
免费|不要钱|不花钱
终端|命令行|控制台
快捷键|热键
显存|显卡内存
硬盘|磁盘
处理器|CPU
限制|控制
选择|挑选
转换|转成|变成
合并|拼接
图片|照片|图像
网络|互联网|网
介绍|说说|讲讲
作用|用处|用途
安装|装
打开|开启
聪明|智能
笨|傻
原因|理由
必须|一定要|非得
有哪些|都有什么|有什么
什么时候|何时
加快|提高|提升
大小|尺寸
最大|上限
支持|兼容""".split("\n")
# Sentences before a question that have nothing to do with it.
BEFORE_EN = """I installed this yesterday.|I bought a new computer last week.|I am quite new to all this.|My colleague showed me this.|
I read an article about it.|I have been trying for an hour.|Sorry for asking so much.|I am preparing a talk.|I teach at a school.|
I have 64 GB of RAM and an RTX 4070.|I am on Linux.|I use Windows 11.|I am not a programmer.|I work with sensitive documents.|
I tried other programs before.|I have used Ollama so far.|My English is not so good.|It is late here.|I want to understand this better.|
I saw a video about this.|We are a small company.|I am a student.|I have a short question for you.|There is one thing that I do not get.""".replace("\n", "").split("|")
BEFORE_ZH = "我昨天刚装好。|我上周买了新电脑。|我是新手。|同事给我看了这个。|我看到一篇文章。|我试了一个小时了。|不好意思问这么多。|我在准备一个报告。|" \
            "我有 64 GB 内存和一块 RTX 4070。|我用的是 Linux。|我用 Windows 11。|我不会编程。|我以前用过别的软件。|我之前一直用 Ollama。|时间不早了。|" \
            "我想更好地理解这个。|我看了一个视频。|我们是一家小公司。|我是学生。|有一点我没弄明白。".split("|")
KEYS = "abcdefghijklmnopqrstuvwxyz"


def typo(text, rng):
    """One slip of a finger: a letter lost, doubled, swapped with its neighbour or replaced."""
    if len(text) < 5:
        return text
    i = rng.randrange(1, len(text) - 1)
    if not text[i].isalpha():
        return text
    return rng.choice((text[:i] + text[i + 1:], text[:i] + text[i] + text[i:],
                       text[:i] + text[i + 1] + text[i] + text[i + 2:],
                       text[:i] + rng.choice(KEYS) + text[i + 1:]))


def alike(groups, whole_words):
    """(pattern that finds any of the words, word → the others of its group)"""
    others = {}
    for group in groups:
        words = group.split("|")
        for word in words:
            others.setdefault(word.lower(), []).extend(w for w in words if w != word)
    edge = r"\b" if whole_words else ""
    words = sorted(others, key=len, reverse=True)
    return re.compile(edge + "(" + "|".join(map(re.escape, words)) + ")" + edge, re.I), others


ALIKE = {"en": alike(ALIKE_EN, True), "zh": alike(ALIKE_ZH, False)}


def replace_alike(text, lang, rng, share=0.16):
    pattern, others = ALIKE[lang]
    return pattern.sub(lambda m: rng.choice(others[m[0].lower()]) if rng.random() < share else m[0], text)


def english(text, rng):
    text = replace_alike(text.rstrip("?"), "en", rng)
    for pattern, choices in SHORT:
        if rng.random() < 0.3:
            text = re.sub(pattern, rng.choice(choices), text, count=1, flags=re.I)
    words = text.split()
    if rng.random() < 0.12 and len(words) > 3:
        words = [w for w in words if w.lower() not in WEAK or rng.random() < 0.5] or words
    if rng.random() < 0.08:
        words.insert(rng.randrange(len(words) + 1), rng.choice(FILLER))
    if rng.random() < 0.12:
        for _ in range(rng.randint(1, 3)):
            words.insert(rng.randrange(len(words) + 1), rng.choice(STREW_EN))
    text = " ".join(words)
    if rng.random() < 0.24:
        opening = rng.choice(OPEN_EN)
        if rng.random() < 0.6:
            opening = opening.rstrip(",:") + (opening[-1] if opening[-1] == "." else "")
        text = opening + " " + text
    elif rng.random() < 0.04:
        text = rng.choice(BEFORE_EN) + " " + text
    if rng.random() < 0.08:
        text += rng.choice((" ", ", ")) + rng.choice(CLOSE_EN)
    for _ in range(rng.choices((0, 1, 2), (88, 9, 3))[0]):
        text = typo(text, rng)
    style = rng.random()
    if style < 0.35:
        text = text.lower()
    elif style < 0.9:
        text = text[:1].upper() + text[1:]
    elif style < 0.92:
        text = text.upper()
    return text + rng.choices(("?", "", ".", "??", " ?", "!"), (58, 32, 5, 1, 2, 2))[0]


def chinese(text, rng):
    text = replace_alike(text.rstrip("？?"), "zh", rng)
    for old, choices in SWAP_ZH:
        if old in text and rng.random() < 0.18:
            text = text.replace(old, rng.choice(choices), 1)
    if rng.random() < 0.22:
        text = rng.choice(OPEN_ZH) + text
    elif rng.random() < 0.04:
        text = rng.choice(BEFORE_ZH) + text
    if rng.random() < 0.12:
        text += rng.choice(CLOSE_ZH)
    if rng.random() < 0.1:
        i = rng.randrange(len(text) + 1)
        text = text[:i] + rng.choice(STREW_ZH) + text[i:]
    if rng.random() < 0.06 and len(text) > 5:
        i = rng.randrange(len(text))
        text = text[:i] + text[i + 1:]
    if rng.random() < 0.25:
        text = text.lower()
    return text + rng.choices(("？", "", "?", "。", "！"), (50, 35, 8, 6, 1))[0]


def strew(keys, lang, rng):
    """A question of which only the key words matter: everyday words stand around them at random."""
    words = STREW_ZH if lang == "zh" else STREW_EN
    out = []
    for i, key in enumerate(keys):
        out += rng.choices(words, k=rng.choice((0, 1, 2, 3, 4, 5) if i == 0 else (0, 1, 1, 2, 3))) + [key]
    out += rng.choices(words, k=rng.choice((0, 0, 1, 2, 3, 4)))
    return ("" if lang == "zh" else " ").join(out)


def question(text, lang, rng):
    return (chinese if lang == "zh" else english)(text, rng)
