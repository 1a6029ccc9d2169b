/* What Python calls: an index, and questions to it. */
#include "kernel.h"

#include <stdlib.h>
#include <string.h>

/* Texts of a segment that is merged with what follows it: less than so many times as many. */
enum { RATIO = 2 };

Index *index_new(double threshold, uint64_t seed, uint32_t tail, const uint8_t is_token[256]) {
    Index *index = calloc(1, sizeof *index);
    if (!index)
        return NULL;
    index->threshold = threshold;
    index->tail = tail;
    index->words.seed = seed;
    memcpy(index->is_token, is_token, sizeof index->is_token);
    return index;
}

void index_free(Index *index) {
    for (uint32_t at = 0; at < index->segment_count; at++)
        segment_free(index->segments + at);
    free(index->segments);
    texts_free(&index->texts);
    words_free(&index->words);
    free(index);
}

static int add_text(Index *index, const uint8_t *text, size_t size, uint32_t *codes) {
    const uint8_t *at = text;
    uint32_t count = 0;
    for (size_t token; (token = next_token(index->is_token, &at, text + size)); count++) {
        int error = words_learn(&index->words, at - token, token, codes + count);
        if (error)
            return error;
    }
    int error = texts_reserve(&index->texts, 2 * (size_t)count);
    if (!error)
        texts_append(&index->texts, codes, count);
    return error;
}

/* Append `count` texts, text k being the bytes up to ends[k]. On an error the texts before the failing one are in. */
int index_add(Index *index, const uint8_t *bytes, const uint64_t *ends, size_t count) {
    size_t longest = 0;
    for (size_t at = 0; at < count; at++) {
        size_t size = ends[at] - (at ? ends[at - 1] : 0);
        longest = size > longest ? size : longest;
    }
    if (longest > LONGEST_TEXT)
        return TOO_LARGE;
    uint32_t *codes = malloc((longest / 2 + 1) * sizeof *codes);
    int error = codes ? OK : OUT_OF_MEMORY;
    for (size_t at = 0; at < count && !error; at++) {
        size_t start = at ? ends[at - 1] : 0;
        error = add_text(index, bytes + start, ends[at] - start, codes);
    }
    free(codes);
    return error;
}

uint32_t index_size(const Index *index) { return index->texts.count; }

static uint32_t listed(const Index *index) {
    return index->segment_count ? index->segments[index->segment_count - 1].end : 0;
}

/* Make a segment of a tail that is too long, and of the segments before it that are not much larger. */
int index_settle(Index *index) {
    uint32_t start = listed(index), end = index->texts.count, kept = index->segment_count;
    if (end - start <= index->tail)
        return OK;
    while (kept && index->segments[kept - 1].end - index->segments[kept - 1].start < RATIO * (uint64_t)(end - start))
        start = index->segments[--kept].start;
    Segment *segments = realloc(index->segments, ((size_t)kept + 1 + index->segment_count) * sizeof *segments);
    if (!segments)
        return OUT_OF_MEMORY;
    index->segments = segments;
    Segment built;
    int error = segment_build(&built, &index->texts, index->words.count, start, index->threshold);
    if (error)
        return error;
    for (uint32_t at = kept; at < index->segment_count; at++)
        segment_free(segments + at);
    segments[kept] = built;
    index->segment_count = kept + 1;
    return OK;
}

static void scan(const Texts *texts, uint32_t first, Query *query) {
    const uint64_t low = query->folded[0], high = query->folded[1];
    for (uint32_t at = first; at < texts->count; at++) {
        uint64_t differ = (uint64_t)(bits(texts->folded[at][0] ^ low) + bits(texts->folded[at][1] ^ high));
        if (differ <= allowed(query, texts->sizes[at]))
            query_consider(query, texts, at);
    }
}

/* Find the nearest text from `since` on whose score is above the threshold, the first of equals.
 * Returns its position and stores its score, or returns NONE or an error. */
int64_t index_nearest(const Index *index, const uint8_t *text, size_t size, uint32_t since, double *score) {
    Query query;
    int error = query_begin(&query, index, text, size);
    if (!error) {
        uint32_t unlisted = listed(index);
        query.since = since;
        query_raise(&query, index->threshold);
        for (uint32_t at = 0; at < index->segment_count; at++)
            if (index->segments[at].end > since)
                segment_search(index->segments + at, &index->texts, &query, index->threshold);
        scan(&index->texts, since > unlisted ? since : unlisted, &query);
        *score = query.bar;
    }
    query_end(&query);
    return error ? error : query.best;
}

static double f_measure(uint32_t lcs, uint32_t size, uint32_t other) {
    double precision = (double)lcs / size, recall = (double)lcs / other;
    return lcs ? 2 * precision * recall / (precision + recall) : 0;
}

/* Compare a text, if the signatures let it reach the bar, and keep it if it is the best so far. */
void query_consider(Query *query, const Texts *texts, uint32_t text) {
    uint64_t differ = 0;
    for (int at = 0; at < 2; at++) {
        uint64_t upper = texts->upper[text][at] ^ query->upper[at];
        uint64_t lower = texts->folded[text][at] ^ query->folded[at] ^ upper;
        differ += (uint64_t)(bits(upper) + bits(lower));
    }
    if (differ > allowed(query, texts->sizes[text]) || text < query->since)
        return;
    uint32_t size, lcs = query_lcs(query, texts, text, &size);
    double score = f_measure(lcs, query->size, size);
    if (score > query->bar || (score == query->bar && query->best != NONE && text < query->best)) {
        query->best = text;
        query_raise(query, score);
    }
}

static void score_all(Query *query, const Texts *texts, uint32_t first, uint32_t last, double *scores) {
    for (uint32_t at = first; at < last; at++) {
        uint32_t other, lcs = query->size ? query_lcs(query, texts, at, &other) : 0;
        scores[at - first] = lcs ? f_measure(lcs, query->size, other) : 0;
    }
}

/* Store the score of a text with each of the texts first ... last - 1. */
int index_scores(const Index *index, const uint8_t *text, size_t size, uint32_t first, uint32_t last, double *scores) {
    if (first > last || last > index->texts.count)
        return INVALID;
    Query query;
    int error = query_begin(&query, index, text, size);
    if (error == OK || error == NONE)
        score_all(&query, &index->texts, first, last, scores);
    query_end(&query);
    return error == NONE ? OK : error;
}

/* Store the score of the text at `position` with each text before it. */
int index_scores_before(const Index *index, uint32_t position, double *scores) {
    if (position >= index->texts.count)
        return INVALID;
    Query query;
    int error = query_begin_at(&query, index, position);
    if (error == OK || error == NONE)
        score_all(&query, &index->texts, 0, position, scores);
    query_end(&query);
    return error == NONE ? OK : error;
}

/* The bytes of the arrays in use. */
uint64_t index_bytes(const Index *index) {
    const Words *words = &index->words;
    const Texts *texts = &index->texts;
    uint64_t sum = words->bytes_used + words->count * sizeof *words->ends + words->slot_count * sizeof *words->slots;
    sum += texts->units_used * sizeof *texts->units;
    sum += texts->count * (sizeof *texts->ends + sizeof *texts->sizes + sizeof *texts->folded + sizeof *texts->upper);
    for (uint32_t at = 0; at < index->segment_count; at++)
        sum += segment_bytes(index->segments + at);
    return sum;
}

uint32_t index_words(const Index *index) { return index->words.count; }

/* A digest of the files that the library was built from. */
const char *kernel_sources(void) { return SOURCES; }
