/* A text that is compared with others: its LCS with each (bit-parallel), and the best so far. */
#include "kernel.h"

#include <stdlib.h>
#include <string.h>

/* The row of a code, or the empty row where it belongs. */
static Row *row_of(Row *rows, uint32_t code) {
    uint32_t at = scattered(code) >> 25;
    while (rows[at].code_plus_1 && rows[at].code_plus_1 != code + 1)
        at = (at + 1) % ROWS;
    return rows + at;
}

static void read_text(Query *query, const Index *index, const uint8_t *text, size_t size) {
    const uint8_t *at = text, *end = text + size;
    uint32_t unknown = 0;
    for (size_t token; (token = next_token(index->is_token, &at, end)); query->size++) {
        uint32_t code = words_find(&index->words, at - token, token);
        query->codes[query->size] = code == UNKNOWN ? UNKNOWN - 1 - unknown++ : code;
    }
}

static void fill_rows(Query *query) {
    for (uint32_t place = 0; place < query->size; place++) {
        Row *row = row_of(query->rows + (size_t)(place / BLOCK) * ROWS, query->codes[place]);
        row->code_plus_1 = query->codes[place] + 1;
        row->places |= (uint64_t)1 << place % BLOCK;
    }
}

/* Prepare what the tokens in `codes` need. */
static int prepare(Query *query, const Texts *texts) {
    if (!query->size)
        return NONE;
    signature_of(query->codes, query->size, query->folded, query->upper);
    query->blocks = (query->size + BLOCK - 1) / BLOCK;
    query->rows = calloc((size_t)query->blocks * ROWS, sizeof *query->rows);
    query->carries = malloc((size_t)texts->longest + 1);
    query->order = malloc(query->size * sizeof *query->order);
    if (!query->rows || !query->carries || !query->order)
        return OUT_OF_MEMORY;
    fill_rows(query);
    return OK;
}

/* Begin with a text of `size` bytes. Returns OK, NONE if it has no token, or an error; `query_end` is due always. */
int query_begin(Query *query, const Index *index, const uint8_t *text, size_t size) {
    *query = (Query){.best = NONE};
    if (size > LONGEST_TEXT)
        return TOO_LARGE;
    if (!(query->codes = malloc((size / 2 + 1) * sizeof *query->codes)))
        return OUT_OF_MEMORY;
    read_text(query, index, text, size);
    return prepare(query, &index->texts);
}

/* The same with a text of the index. */
int query_begin_at(Query *query, const Index *index, uint32_t text) {
    const uint16_t *at = index->texts.units + text_start(&index->texts, text);
    const uint16_t *end = index->texts.units + index->texts.ends[text];
    *query = (Query){.best = NONE};
    if (!(query->codes = malloc((size_t)(end - at + 1) * sizeof *query->codes)))
        return OUT_OF_MEMORY;
    while (at < end)
        query->codes[query->size++] = next_code(&at);
    return prepare(query, &index->texts);
}

void query_end(Query *query) {
    free(query->codes);
    free(query->rows);
    free(query->carries);
    free(query->order);
}

/* Let only texts count that can reach the score `bar`, ties included: D <= (1 - bar) (m + n), rounded up. */
void query_raise(Query *query, double bar) {
    query->bar = bar;
    query->allowed_each = (uint64_t)((1 - bar) * 65536) + 1;
    query->allowed_base = (uint64_t)((1 - bar) * 65536 * query->size) + 2;
}

/* The LCS by bits: one column of its matrix for each token of the text (Hyyrö 2004). A zero bit is a step of the LCS. */
static uint32_t lcs_of_one_block(const Query *query, const uint16_t *at, const uint16_t *end, uint32_t *size) {
    uint64_t state = ~(uint64_t)0;
    uint32_t count = 0;
    for (; at < end; count++) {
        uint64_t matched = state & row_of(query->rows, next_code(&at))->places;
        state = (state + matched) | (state - matched);
    }
    *size = count;
    return (uint32_t)bits(~state);
}

/* The same for a query of several blocks, block by block; `carries` go from the columns of one into those of the next. */
static uint32_t lcs_of_blocks(const Query *query, const uint16_t *start, const uint16_t *end, uint32_t *size) {
    uint32_t steps = 0;
    for (uint32_t block = 0; block < query->blocks; block++) {
        Row *rows = query->rows + (size_t)block * ROWS;
        uint64_t state = ~(uint64_t)0;
        uint32_t count = 0;
        for (const uint16_t *at = start; at < end; count++) {
            uint64_t matched = state & row_of(rows, next_code(&at))->places, sum;
            bool over = __builtin_add_overflow(state, matched, &sum);
            over |= __builtin_add_overflow(sum, (uint64_t)(block && query->carries[count]), &sum);
            query->carries[count] = over;
            state = sum | (state - matched);
        }
        *size = count;
        steps += (uint32_t)bits(~state);
    }
    return steps;
}

/* Return the LCS of the query with a text, and the size of that text. */
uint32_t query_lcs(const Query *query, const Texts *texts, uint32_t text, uint32_t *size) {
    const uint16_t *start = texts->units + text_start(texts, text), *end = texts->units + texts->ends[text];
    return query->blocks == 1 ? lcs_of_one_block(query, start, end, size) : lcs_of_blocks(query, start, end, size);
}
