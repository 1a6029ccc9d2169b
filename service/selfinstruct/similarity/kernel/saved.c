/* The texts and words of an index outside of it, to be kept and loaded. Signatures and postings follow from them. */
#include "kernel.h"

#include <stdlib.h>
#include <string.h>

/* Store the sizes of what `index_save` copies: texts, units, words, and bytes of words. */
int index_saved_sizes(const Index *index, uint32_t text, uint32_t word, uint64_t sizes[4]) {
    if (text > index->texts.count || word > index->words.count)
        return INVALID;
    sizes[0] = index->texts.count - text;
    sizes[1] = index->texts.units_used - text_start(&index->texts, text);
    sizes[2] = index->words.count - word;
    sizes[3] = index->words.bytes_used - (word ? index->words.ends[word - 1] : 0);
    return OK;
}

static void copy_ends(uint64_t *copy, const uint64_t *ends, uint32_t first, uint32_t count) {
    uint64_t start = first ? ends[first - 1] : 0;
    for (uint32_t at = first; at < count; at++)
        copy[at - first] = ends[at] - start;
}

/* Copy the texts from `text` on and the words from `word` on. Ends count from the first that is copied. */
int index_save(const Index *index, uint32_t text, uint32_t word, uint64_t *ends, uint16_t *units, uint64_t *word_ends,
               uint8_t *bytes) {
    uint64_t sizes[4];
    if (index_saved_sizes(index, text, word, sizes))
        return INVALID;
    copy_ends(ends, index->texts.ends, text, index->texts.count);
    copy_ends(word_ends, index->words.ends, word, index->words.count);
    if (sizes[1])
        memcpy(units, index->texts.units + index->texts.units_used - sizes[1], sizes[1] * sizeof *units);
    if (sizes[3])
        memcpy(bytes, index->words.bytes + index->words.bytes_used - sizes[3], sizes[3]);
    return OK;
}

static bool are_ends(const uint64_t *ends, uint64_t count, uint64_t last) {
    for (uint64_t at = 0; at < count; at++)
        if (ends[at] < (at ? ends[at - 1] : 0) || ends[at] > last)
            return false;
    return (count ? ends[count - 1] : 0) == last;
}

static int load_words(Words *words, uint64_t count, const uint64_t *ends, const uint8_t *bytes) {
    for (uint64_t at = 0; at < count; at++) {
        uint64_t start = at ? ends[at - 1] : 0;
        uint32_t code, expected = words->count;
        int error = ends[at] == start ? INVALID : words_learn(words, bytes + start, ends[at] - start, &code);
        if (error || code != expected)
            return error ? error : INVALID;
    }
    return OK;
}

/* Read the codes of a text; return their number, or -1 if they are not those of `words` words. */
static int64_t checked_codes(const uint16_t *at, const uint16_t *end, uint32_t words, uint32_t *codes) {
    int64_t count = 0;
    while (at < end) {
        if (*at >= ESCAPE && at + 1 == end)
            return -1;
        uint32_t code = next_code(&at);
        if (code >= words)
            return -1;
        codes[count++] = code;
    }
    return count;
}

static int load_texts(Index *index, uint64_t count, const uint64_t *ends, const uint16_t *units) {
    uint64_t longest = 0;
    for (uint64_t at = 0; at < count; at++) {
        uint64_t size = ends[at] - (at ? ends[at - 1] : 0);
        longest = size > longest ? size : longest;
    }
    if (longest > LONGEST_TEXT)
        return INVALID;
    uint32_t *codes = malloc((longest + 1) * sizeof *codes);
    int error = codes ? OK : OUT_OF_MEMORY;
    for (uint64_t at = 0; at < count && !error; at++) {
        const uint16_t *start = units + (at ? ends[at - 1] : 0);
        int64_t size = checked_codes(start, units + ends[at], index->words.count, codes);
        error = size < 0 ? INVALID : texts_reserve(&index->texts, 2 * (size_t)size);
        if (!error)
            texts_append(&index->texts, codes, (uint32_t)size);
    }
    free(codes);
    return error;
}

/* Append what `index_save` has copied. On an error the words and texts before the failing one are in. */
int index_load(Index *index, const uint64_t sizes[4], const uint64_t *ends, const uint16_t *units,
               const uint64_t *word_ends, const uint8_t *bytes) {
    if (!are_ends(ends, sizes[0], sizes[1]) || !are_ends(word_ends, sizes[2], sizes[3]))
        return INVALID;
    int error = load_words(&index->words, sizes[2], word_ends, bytes);
    return error ? error : load_texts(index, sizes[0], ends, units);
}
