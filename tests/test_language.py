"""The rules of `r1_trl.language`: what is a word, and in which language."""

from __future__ import annotations

import random
import sys
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from r1_trl import language as language_module
from r1_trl.errors import InputError, MissingExtraError
from r1_trl.language import DEFAULT_LANGUAGES, LANGUAGES, count_words, language_code, language_shares

# The same ten sentences in each language.
SENTENCES = {
    "en": [
        "First we look at the numbers in the question.",
        "The train travels sixty kilometres per hour, so after two hours it has covered twice that distance.",
        "Wait, let me check this step again.",
        "If we add both sides, the unknown term disappears.",
        "Therefore the sum of the angles must be a right angle.",
        "Half of the apples are red and the others are green.",
        "Now divide both sides by three.",
        "This contradicts our assumption, so the number is prime.",
        "Alternatively, we can count the cases one by one.",
        "So the final answer is twelve.",
    ],
    "zh": [
        "首先我们来看题目中的数字。",
        "火车每小时行驶六十公里，所以两小时后它走了两倍的路程。",
        "等一下，让我再检查一下这一步。",
        "如果我们把两边相加，未知项就消失了。",
        "因此这些角的和一定是直角。",
        "一半的苹果是红色的，其余的是绿色的。",
        "现在把两边同时除以三。",
        "这与我们的假设矛盾，所以这个数是质数。",
        "或者，我们可以一个一个地数出所有情况。",
        "所以最终答案是十二。",
    ],
    "ja": [
        "まず問題の数字を見ましょう。",
        "電車は時速六十キロメートルで走るので、二時間後にはその二倍の距離を進んでいます。",
        "待って、このステップをもう一度確認します。",
        "両辺を足すと、未知の項が消えます。",
        "したがって、角の和は直角でなければなりません。",
        "りんごの半分は赤く、残りは緑です。",
        "次に両辺を三で割ります。",
        "これは仮定に矛盾するので、その数は素数です。",
        "あるいは、場合を一つずつ数えることもできます。",
        "したがって最終的な答えは十二です。",
    ],
    "ko": [
        "먼저 문제에 나온 숫자를 살펴봅시다.",
        "기차는 한 시간에 육십 킬로미터를 달리므로 두 시간 후에는 그 두 배의 거리를 갑니다.",
        "잠깐, 이 단계를 다시 확인해 보겠습니다.",
        "양변을 더하면 미지의 항이 사라집니다.",
        "따라서 각의 합은 직각이어야 합니다.",
        "사과의 절반은 빨갛고 나머지는 초록색입니다.",
        "이제 양변을 셋으로 나눕니다.",
        "이것은 우리의 가정에 모순되므로 그 수는 소수입니다.",
        "아니면 경우를 하나씩 셀 수도 있습니다.",
        "그러므로 최종 답은 열둘입니다.",
    ],
    "ru": [
        "Сначала посмотрим на числа в вопросе.",
        "Поезд едет со скоростью шестьдесят километров в час, поэтому за два часа он проедет вдвое больше.",
        "Подождите, я проверю этот шаг ещё раз.",
        "Если сложить обе части, неизвестное исчезает.",
        "Следовательно, сумма углов равна прямому углу.",
        "Половина яблок красные, а остальные зелёные.",
        "Теперь разделим обе части на три.",
        "Это противоречит нашему предположению, значит, число простое.",
        "Иначе можно перебрать все случаи по одному.",
        "Итак, окончательный ответ двенадцать.",
    ],
    "ar": [
        "أولاً ننظر إلى الأعداد في السؤال.",
        "يسير القطار ستين كيلومتراً في الساعة، لذلك يقطع بعد ساعتين ضعف هذه المسافة.",
        "انتظر، دعني أتحقق من هذه الخطوة مرة أخرى.",
        "إذا جمعنا الطرفين يختفي الحد المجهول.",
        "إذن يجب أن يكون مجموع الزوايا زاوية قائمة.",
        "نصف التفاح أحمر والباقي أخضر.",
        "الآن نقسم الطرفين على ثلاثة.",
        "هذا يناقض فرضنا، إذن العدد أولي.",
        "يمكننا أيضاً أن نعد الحالات واحدة واحدة.",
        "إذن الجواب النهائي هو اثنا عشر.",
    ],
    "hi": [
        "पहले हम प्रश्न की संख्याओं को देखते हैं।",
        "रेलगाड़ी साठ किलोमीटर प्रति घंटा चलती है, इसलिए दो घंटे में वह दुगुनी दूरी तय करती है।",
        "रुको, मैं इस चरण को फिर से जाँचता हूँ।",
        "यदि हम दोनों पक्षों को जोड़ें तो अज्ञात पद हट जाता है।",
        "इसलिए कोणों का योग समकोण होना चाहिए।",
        "आधे सेब लाल हैं और बाकी हरे हैं।",
        "अब दोनों पक्षों को तीन से भाग दें।",
        "यह हमारी मान्यता के विरुद्ध है, इसलिए संख्या अभाज्य है।",
        "या हम सभी स्थितियों को एक-एक करके गिन सकते हैं।",
        "इसलिए अंतिम उत्तर बारह है।",
    ],
    "fr": [
        "D'abord, regardons les nombres de la question.",
        "Le train roule à soixante kilomètres par heure, donc après deux heures il a parcouru le double.",
        "Attends, je vérifie encore une fois cette étape.",
        "Si nous additionnons les deux côtés, le terme inconnu disparaît.",
        "Donc la somme des angles doit être un angle droit.",
        "La moitié des pommes sont rouges et les autres sont vertes.",
        "Maintenant, divisons les deux côtés par trois.",
        "Cela contredit notre hypothèse, donc le nombre est premier.",
        "Sinon, nous pouvons compter les cas un par un.",
        "La réponse finale est donc douze.",
    ],
    "de": [
        "Zuerst betrachten wir die Zahlen in der Aufgabe.",
        "Der Zug fährt sechzig Kilometer pro Stunde, also hat er nach zwei Stunden das Doppelte zurückgelegt.",
        "Moment, ich prüfe diesen Schritt noch einmal.",
        "Wenn wir beide Seiten addieren, verschwindet der unbekannte Term.",
        "Daher muss die Summe der Winkel ein rechter Winkel sein.",
        "Die Hälfte der Äpfel ist rot und die anderen sind grün.",
        "Jetzt teilen wir beide Seiten durch drei.",
        "Das widerspricht unserer Annahme, also ist die Zahl eine Primzahl.",
        "Alternativ können wir die Fälle einzeln zählen.",
        "Die endgültige Antwort ist also zwölf.",
    ],
    "es": [
        "Primero miramos los números de la pregunta.",
        "El tren viaja a sesenta kilómetros por hora, así que después de dos horas ha recorrido el doble.",
        "Espera, voy a comprobar este paso otra vez.",
        "Si sumamos ambos lados, el término desconocido desaparece.",
        "Por lo tanto, la suma de los ángulos debe ser un ángulo recto.",
        "La mitad de las manzanas son rojas y las otras son verdes.",
        "Ahora dividimos ambos lados entre tres.",
        "Esto contradice nuestra suposición, así que el número es primo.",
        "Otra opción es contar los casos uno por uno.",
        "Así que la respuesta final es doce.",
    ],
}
EN_ZH = ["en", "zh"]


def joined(language: str, count: int = 10) -> str:
    return ("" if language in ("zh", "ja") else " ").join(SENTENCES[language][:count])


def share(text: str, target: str, languages: list[str] | None = None) -> float:
    counts = count_words(text, languages, target)
    return counts.get(target, 0) / max(1, sum(counts.values()))


def half(a: str, b: str) -> str:
    """Sentence by sentence in turn, each said once."""
    return " ".join(SENTENCES[a if i % 2 else b][i] for i in range(10))


def test_text_and_translation_weigh_the_same():
    words = {
        language: sum(count_words(joined(language)).values()) for language in ("en", "zh", "ja", "fr", "de", "es")
    }
    assert max(words.values()) <= 1.1 * min(words.values())


# Each word or nothing: what is a word.
WORDS = [
    ("the sum of the angles", 5, "English words"),
    ("x + y = n, so f(x) > b", 1, "single letters are variables: only 'so' is left"),
    ("I saw a car", 2, "'I' and 'a' are single letters too"),
    ("triangle ABC with DNA", 2, "two to four capitals are labels or acronyms"),
    ("THE ANSWER WAITS", 2, "longer words in capitals are words"),
    ("log and sin are functions of km", 4, "names of functions and units"),
    ("don't, l'eau, aujourd’hui", 3, "an apostrophe does not split"),
    ("f'(x) and y''", 1, "a derivative is no word"),
    ("12 3.14 1e-5 ½ ٣ 三", 1, "numbers are no words, unless spelled out"),
    ("x1 foo_bar b2b 3rd 5kg", 0, "identifiers with digits or underscores"),
    ("第3个 is 3rd", 3, "a digit does not swallow the Chinese beside it"),
    ("see `the code here` now", 2, "inline code"),
    ("before\n```python\nprint(hello world)\n```\nafter", 2, "fenced code"),
    ("before ```print(hello world)", 1, "a fence that never closes"),
    ("one ` backtick alone", 3, "a backtick that never closes hides nothing"),
    ("so $a^2 + \\text{some words}$ holds", 2, "inline mathematics"),
    ("so $$\\text{total cost} = x$$ holds", 2, "display mathematics"),
    (r"so \(mean of x\) holds", 2, "parenthesised mathematics"),
    (r"so \[mean of x\] holds", 2, "bracketed mathematics"),
    (r"so \begin{align}mean &= of\end{align} holds", 2, "an environment"),
    (r"so \frac{total}{number of} is \boxed{\frac{seven}{two}} here", 3, "commands with arguments, nested"),
    ("it costs $5 and then $7 more", 5, "two prices are no formula"),
    ("between $5-to-$10 each", 3, "not even without a space"),
    ("see https://example.com/some/page?and=more here", 2, "a URL"),
    ("see https://example.com/页。然后", 3, "a URL ends at the first character beyond ASCII"),
    ("see www.example.com here", 2, "a bare host"),
    ("mail some.one@example.com now", 2, "an e-mail address"),
    ("<b>bold</b> <a href='some page' id=x>link</a> <br/> <思考>", 2, "tags with their attributes"),
    ("if x <y and z> w", 2, "comparisons are no tag"),
    ("答案", 1, "two Chinese characters are a word"),
    ("和", 1, "one is at least one"),
    ("首先我们来看题目", 5, "1.5 Chinese characters a word, rounded"),
    ("答えは", 2, "2 Japanese characters a word, rounded"),
    ("답은 열둘입니다", 2, "Korean is split at spaces"),
    ("मैं हूँ", 2, "vowel signs belong to the word"),
    ("كَتَبَ الطَّالِبُ كـتـاب", 3, "so do Arabic diacritics and tatweel"),
    ("คำตอบสุดท้าย", 3, "4 Thai characters a word"),
    ("ანა არის", 2, "a script of no language here: words, undetermined"),
    ("𝑥 ∈ ℝ, α + π", 0, "mathematical letters and single Greek letters"),
    ("", 0, "nothing"),
    ("\ud800 \x00 \udfff", 0, "no letters at all"),
]


@pytest.mark.parametrize(("text", "words", "reason"), WORDS, ids=[reason for *_, reason in WORDS])
def test_what_is_a_word(text, words, reason):
    assert sum(count_words(text, EN_ZH).values()) == words, reason


KANJI = "次に両辺を三で割ります。計算終了。答えは十二です。"
SHARES = [
    *[(joined(code), code, None, 1.0, 0.05, f"pure {code}") for code in DEFAULT_LANGUAGES],
    *[
        (joined(a), b, None, 0.0, 0.05, f"{a} is not {b}")
        for a, b in zip(DEFAULT_LANGUAGES, [*DEFAULT_LANGUAGES[1:], "en"], strict=True)
    ],
    *[(joined(a), b, None, 0.0, 0.05, f"{a} is not {b}, of one script") for a in ("en", "fr") for b in ("de", "es")],
    (" ".join(SENTENCES["en"][:5] + SENTENCES["zh"][5:]), "zh", EN_ZH, 0.5, 0.1, "half the sentences each, by script"),
    (half("en", "fr"), "en", None, 0.5, 0.1, "half the sentences each, by detector"),
    (half("en", "fr"), "fr", None, 0.5, 0.1, "and from the other side"),
    (half("de", "es"), "de", None, 0.5, 0.1, "half the sentences each"),
    (half("ja", "zh"), "ja", None, 0.5, 0.15, "one script in part, told apart by kana"),
    (half("ko", "ru"), "ko", None, 0.5, 0.15, "two scripts"),
    (half("ar", "hi"), "hi", None, 0.5, 0.15, "two scripts"),
    ("Nous devons calculer la somme, and then we add the two numbers.", "fr", None, 5 / 12, 0.1, "a switch midway"),
    ("Zuerst prüfen wir die Zahlen porque necesitamos la respuesta.", "de", None, 5 / 9, 0.15, "without a comma"),
    ("我们先 check 一下答案", "zh", None, 5 / 6, 0.01, "one English word dropped into Chinese"),
    ("We check the 答案 again here.", "en", None, 5 / 6, 0.01, "one Chinese word dropped into English"),
    (KANJI, "ja", None, 1.0, 0.0, "a short kana-less sentence between Japanese ones is Japanese"),
    (KANJI.replace("計算終了", "计算结束"), "ja", None, 10 / 13, 0.0, "unless its characters are simplified"),
    ("計算終了。", "ja", None, 0.0, 0.0, "a text without any kana is Chinese"),
    ("計算終了。", "ja", ["en", "ja"], 1.0, 0.0, "unless no Chinese may occur"),
    (joined("ru"), "en", EN_ZH, 0.0, 0.0, "a language not asked for is a word all the same"),
    (joined("en") + joined("ru"), "en", EN_ZH, 0.6, 0.05, "and lowers the share"),
    (joined("fr"), "en", EN_ZH, 1.0, 0.0, "where only en and zh may occur, Latin is English"),
    (joined("fr"), "fr", EN_ZH, 1.0, 0.05, "the target joins the languages"),
    (joined("fr"), "en", ["zh", "fr"], 0.0, 0.05, "as a rival of those that are there"),
    ("Il treno viaggia e quindi la risposta finale è dodici.", "it", None, 1.0, 0.05, "beyond the ten"),
    ("Отже, остаточна відповідь дванадцять, бо ми поділили на три.", "uk", None, 1.0, 0.05, "Cyrillic rivals"),
    (
        "Now use Euler's totient theorem and the naïve Gauß sum to get the answer.",
        "en",
        None,
        1.0,
        0.05,
        "foreign names",
    ),
    *[
        (text, code, None, 1.0, 0.0, f"a short {code} prompt")
        for code, text in [
            ("en", "Compute $3 + 4$."),
            ("en", "Solve"),
            ("en", "Final answer"),
            ("fr", "Calculer $3 + 4$."),
            ("de", "Berechne $3 + 4$."),
            ("es", "Calcula $3 + 4$."),
            ("zh", "计算"),
            ("ja", "計算せよ"),
        ]
    ],
]


@pytest.mark.parametrize(
    ("text", "target", "languages", "expected", "tolerance", "reason"), SHARES, ids=[case[-1] for case in SHARES]
)
def test_share_of_the_target(text, target, languages, expected, tolerance, reason):
    assert share(text, target, languages) == pytest.approx(expected, abs=tolerance + 1e-9), reason


@pytest.mark.parametrize("chinese", [0, 1, 2, 3, 4])
def test_share_follows_the_quarters(chinese):
    """25, 50 and 75 % of the sentences in Chinese give about that share."""
    sentences = [SENTENCES["zh" if i % 4 < chinese else "en"][j] for i, j in enumerate([0, 2, 4, 7, 3, 5, 6, 8])]
    assert share(" ".join(sentences), "zh", EN_ZH) == pytest.approx(chinese / 4, abs=0.05)


@pytest.mark.parametrize("seed", range(5))
def test_share_rises_with_each_translated_sentence(seed):
    order = random.Random(seed).sample(range(10), 10)
    shares = []
    for done in range(11):
        text = " ".join(SENTENCES["zh" if i in order[:done] else "en"][i] for i in range(10))
        shares.append(share(text, "zh", None))
    assert shares == sorted(set(shares))
    assert (shares[0], shares[-1]) == (0.0, 1.0)


def test_accuracy_on_random_mixtures_of_one_script():
    """The error of the share over 240 mixtures of two of en, fr, de, es: whole sentences, and switches midway."""
    rng = random.Random(0)
    errors: dict[bool, list[float]] = {True: [], False: []}
    for number in range(240):
        midway = number % 2 == 1
        a, b = rng.sample(["en", "fr", "de", "es"], 2)
        parts: list[tuple[str, str]] = []
        for i in rng.sample(range(10), 5):
            if midway:
                first, second = SENTENCES[a][i].rstrip(".").split(), SENTENCES[b][i].split()
                parts += [(a, " ".join(first[: len(first) // 2])), (b, " ".join(second[len(second) // 2 :]))]
            else:
                code = rng.choice([a, b])
                parts.append((code, SENTENCES[code][i]))
        words = [(code, sum(count_words(part, [code]).values())) for code, part in parts]
        expected = sum(n for code, n in words if code == a) / sum(n for _, n in words)
        errors[midway].append(abs(share(" ".join(part for _, part in parts), a) - expected))
    assert sum(errors[False]) / 120 < 0.01
    assert sum(errors[True]) / 120 < 0.06


def test_shares_sum_to_one():
    shares = language_shares(joined("en") + joined("zh") + joined("ru"), EN_ZH)
    assert set(shares) == {"en", "zh", "und"}
    assert sum(shares.values()) == pytest.approx(1.0)
    assert language_shares("3 + 4 = 7") == {}


def test_target_and_whole_count_agree():
    text = half("en", "fr") + joined("ja", 3) + joined("zh", 3)
    for code in ("en", "fr", "de", "ja", "zh", "ru"):
        assert share(text, code) == pytest.approx(language_shares(text).get(code, 0.0))


@pytest.mark.parametrize("tag", ["zh", "ZH", "zh-Hans", "zh_CN", " zh "])
def test_language_tags(tag):
    assert language_code(tag) == "zh"


def test_unknown_language_names_itself_and_the_choices():
    with pytest.raises(InputError, match=r"'tlh' is not supported; choose from en, fr"):
        count_words("text", ["en", "tlh"])


def test_every_language_is_one_that_lingua_knows():
    shared = [code for code in LANGUAGES if list(LANGUAGES.values()).count(LANGUAGES[code]) > 1]
    assert count_words("Hello мир كتاب", shared)


class TestWithoutTheExtra:
    @pytest.fixture(autouse=True)
    def _without_lingua(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "lingua", None)
        caches = [language_module._detector_installed, language_module._warn_latin_is_english]
        caches += [language_module._detector, language_module._log_probabilities]
        for cached in caches:
            cached.cache_clear()
        yield
        for cached in caches:
            cached.cache_clear()

    def test_script_only_needs_no_detector(self, caplog):
        assert share("先算 then check", "zh", EN_ZH) == pytest.approx(1 / 3)
        assert share(joined("zh"), "zh") == 1.0
        assert share(joined("ru"), "ru") == 1.0
        assert share(joined("fr"), "fr", ["zh", "fr"]) == 1.0
        assert not caplog.records

    def test_latin_counts_as_english_and_says_so_once(self, caplog):
        assert share(joined("fr"), "en") == 1.0
        assert count_words("the answer") == {"en": 2}
        assert [record.levelname for record in caplog.records] == ["WARNING"]
        assert 'pip install "r1-trl[language]"' in caplog.text

    @pytest.mark.parametrize(
        ("target", "languages"), [("fr", None), ("uk", None), ("fr", EN_ZH), ("en", ["en", "fr"])]
    )
    def test_what_needs_the_detector_asks_for_it(self, target, languages):
        with pytest.raises(MissingExtraError, match=r"r1-trl\[language\]"):
            share("text", target, languages)


def test_script_only_calls_no_detector(monkeypatch):
    def fail(*_):
        raise AssertionError("the detector was called")

    monkeypatch.setattr(language_module, "_log_probabilities", fail)
    assert count_words(joined("en") + joined("zh"), EN_ZH)
    assert share(joined("en") + joined("zh"), "zh") > 0


def test_short_texts_are_fast():
    text = (joined("en") + joined("zh")) * 4
    count_words(text[:2000], EN_ZH)
    start = time.perf_counter()
    for _ in range(20):
        count_words(text[:2000], EN_ZH)
    assert (time.perf_counter() - start) / 20 < 0.005  # measured 0.25 ms; the rest is for a busy machine


# fmt: off
SPIKES = [
    "$", "<", "\\", "`", "```", "~", "http://", "7", "a", "字", "あ", "a ", "a1", "a.", "@", "a@", "$a", "<a ",
    "<a b=c ", "</", r"\(", r"\[", r"\begin{a}", r"\end{a}", r"\a{", r"\a{}", r"\a[", "{", "x'", "``a", "$$a",
    "\ud800", "\x00", "www.", "_", "a-", "'", "É ", "é", "क्", "\u0301", "ab ", "\n", "。",
]
# fmt: on


@pytest.mark.parametrize("spike", SPIKES)
def test_pathological_text_takes_linear_time(spike):
    """The patterns alone on 1 MB, since `count_words` reads no more than `MAX_CHARACTERS`."""
    text = spike * (1_000_000 // len(spike))
    start = time.perf_counter()
    language_module._prose(text)
    count_words(text)
    assert time.perf_counter() - start < 2


def test_text_is_bounded(monkeypatch):
    monkeypatch.setattr(language_module, "MAX_CHARACTERS", 5)
    assert count_words("word zebra", EN_ZH) == {"en": 1}


def test_detector_input_is_bounded():
    """Many words that are all different: none is in the cache, none has been seen."""
    rng = random.Random(0)
    text = " ".join("".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=8)) for _ in range(1_000_000 // 9))
    start = time.perf_counter()
    assert sum(count_words(text).values()) == pytest.approx(200_000 / 9, rel=0.02)
    assert time.perf_counter() - start < 5


PIECES = st.sampled_from(
    [*SPIKES, "the answer ", "答案", "それは", "réponse ", "Ответ ", "答", "\\boxed{", "}", "]", "<think>"]
)


@given(st.lists(PIECES | st.text(st.characters(), max_size=20), max_size=30).map("".join))
@settings(max_examples=150, deadline=None)
def test_any_text_has_shares(text):
    for languages in (None, EN_ZH, ["ja", "zh"]):
        shares = language_shares(text, languages)
        assert not shares or sum(shares.values()) == pytest.approx(1.0)
        assert all(0 < value <= 1 for value in shares.values())
