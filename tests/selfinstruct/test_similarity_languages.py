# ruff: noqa: RUF001 - letters of many scripts look like Latin ones
"""Verdicts in any script are those of `rouge_score` with the same tokenizer."""

import random
from collections.abc import Callable

import pytest

from service.selfinstruct.recipe import SELF_INSTRUCT, Language
from service.selfinstruct.recipe_changes import with_language
from service.selfinstruct.similarity import UNICODE, Match, SimilarityIndex
from tests.selfinstruct import reference

ANY = with_language(SELF_INSTRUCT, Language.ANY)
THRESHOLD = ANY.filters.rouge_threshold

# Words of each script; those of the first three stand without spaces.
WORDS = {
    "chinese": "解释 为什么 天空 蓝色 写 一首 关于 秋天 短诗 列出 三种 茶 Python 列表 怎样 比较 火车 飞机 的 了 句子",
    "japanese": "東京 タワー について 短い 詩を 書いて ください 三つ の お茶 を 比べる レシピ 文章 要約 Python",
    "thai": "เขียน บทกวี สั้น ๆ เกี่ยวกับ แม่น้ำ สาม สาย อธิบาย ทำไม ท้องฟ้า สีฟ้า เปรียบเทียบ รถไฟ กับ เครื่องบิน",
    "russian": "Объясните почему море солёное напишите КОРОТКОЕ стихотворение об осени сравните поезд и самолёт ёлка",
    "turkish": "İstanbul gezilecek BEŞ müze öner ışık IŞIK çocuklar için bir masal yaz konusu deniz olsun öğretmene",
    "hindi": "हिन्दी में एक छोटी कविता लिखो नदी के बारे में तीन चाय के नाम बताओ और तुलना करो",
    "arabic": "اكتب قصيدة قصيرة عن الخريف اشرح لماذا السماء زرقاء قارن بين القطار والطائرة ثلاثة أنواع من الشاي",
    "code": "Write parseISODate that accepts str and returns datetime.datetime user_name getElementById C++ std::move",
}
WITHOUT_SPACES = ("chinese", "japanese", "thai")
PAIRS = 20_000 // len(WORDS)


score = reference.scorer_of(Language.ANY)


def writer_of(script: str) -> Callable[[random.Random], list[str]]:
    words = WORDS[script].split()
    return lambda rng: rng.choices(words, k=rng.randint(0, 12))


def changed(rng: random.Random, words: list[str], others: list[str]) -> list[str]:
    """Return words some of which are replaced, left out, in capitals or followed by a mark."""
    share = rng.uniform(0.0, 0.5)
    return [
        rng.choice([rng.choice(others or ["x"]), "", word.upper(), f"{word}。", f"{word}, "])
        if rng.random() < share
        else word
        for word in words
    ]


@pytest.mark.parametrize("script", WORDS)
def test_scores_and_verdicts_equal_those_of_rouge_score(script: str) -> None:
    rng, write = random.Random(script), writer_of(script)
    join = "" if script in WITHOUT_SPACES else " "
    verdicts = {True: 0, False: 0}
    for _ in range(PAIRS):
        words, others = write(rng), write(rng)
        one = join.join(words)
        other = join.join(changed(rng, words, others) if rng.random() < 0.8 else others)
        expected = score(one, other)
        index = SimilarityIndex.of(ANY.filters)
        index.add(other)
        assert index.score(one, 0) == expected
        assert index.nearest(one) == (Match(0, expected) if expected > THRESHOLD else None)
        verdicts[expected > THRESHOLD] += 1
    assert min(verdicts.values()) > PAIRS // 10


@pytest.mark.parametrize("script", WORDS)
def test_the_nearest_of_a_pool_is_that_of_rouge_score(script: str) -> None:
    rng, write = random.Random(f"pool {script}"), writer_of(script)
    join = "" if script in WITHOUT_SPACES else " "
    index = SimilarityIndex(0.5, tail=16, tokenizer=UNICODE)
    pool = [join.join(write(rng)) for _ in range(60)]
    for text in pool:
        index.add(text)
    for _ in range(25):
        text = join.join(changed(rng, write(rng), write(rng)))
        scores = [score(text, known) for known in pool]
        best = max(scores)
        assert index.nearest(text) == (Match(scores.index(best), best) if best > 0.5 else None)
