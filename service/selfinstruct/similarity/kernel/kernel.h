/* The nearest text by ROUGE-L: the parts of the compiled index, and how they work together.
 *
 * F = 2 LCS / (m + n) of two texts of m and n tokens. Let D be the number of tokens that one text has and the other
 * lacks (as multisets, both ways). The LCS is at most (m + n - D) / 2, so F > t needs D <= (1 - t) (m + n). A search
 * bounds D from below, and computes the LCS of the few texts that the bounds do not rule out:
 *
 * - Signatures: each token of a text flips one of 256 bits. What two texts share cancels out, so at most D bits differ.
 *   The two halves of a signature, folded onto each other, are a signature of 128 bits, which is tested first.
 * - Postings (postings.c): in an order of all tokens, rare ones first, the first shared token stands at place i of one
 *   text and at j of the other. So D >= i + j + the bits that differ in the signatures of what stands behind.
 *
 * Once a text above the threshold is found, its score takes the threshold's place: a text that cannot reach it is ruled
 * out. Bounds are rounded so that a text that ties is compared; of equal scores the first position wins.
 *
 * No function keeps state outside the index. Functions that take `const Index *` may run side by side; `index_add`,
 * `index_load` and `index_settle` need the index for themselves. Integers are those of a 64-bit machine of any byte
 * order. A failed allocation returns OUT_OF_MEMORY and leaves the index as it was.
 */
#ifndef KERNEL_H
#define KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { OK = 0, NONE = -1, OUT_OF_MEMORY = -2, TOO_LARGE = -3, INVALID = -4 };

/* Codes of words, from 0 in the order in which they were learnt. */
#define UNKNOWN UINT32_MAX
#define MOST_WORDS (1u << 28)
/* In bytes. Tokens are separated: there are at most half as many, rounded up. */
#define LONGEST_TEXT (1u << 28)
/* Lengths of texts are kept in 16 bits; this one stands for all greater lengths too. */
#define LONGEST UINT16_MAX

typedef struct {
    uint32_t hash, code_plus_1; /* 0 in an empty slot */
} WordSlot;

/* Words by code, and codes by word (open addressing). `seed` keeps hostile texts from choosing colliding words. */
typedef struct {
    uint64_t seed;
    uint8_t *bytes;
    size_t bytes_used, bytes_room;
    uint64_t *ends; /* of each word in `bytes` */
    size_t ends_room;
    uint32_t count;
    WordSlot *slots;
    size_t slot_count; /* a power of two, or 0 */
} Words;

/* Tokens of all texts, and what a scan reads of each text. */
typedef struct {
    uint16_t *units; /* a code below ESCAPE, or two units for a greater one */
    size_t units_used, units_room;
    uint64_t *ends; /* of each text in `units` */
    uint16_t *sizes; /* in tokens, at most LONGEST */
    uint64_t (*folded)[2]; /* both halves of the signature, folded by xor */
    uint64_t (*upper)[2]; /* the upper half */
    uint32_t count, longest; /* texts, and the tokens of the longest */
    size_t ends_room, sizes_room, folded_room, upper_room;
} Texts;

typedef struct {
    uint32_t start, end; /* the texts in it */
    uint32_t codes; /* words known when it was built */
    uint32_t *ranks; /* of each code: 0 is the rarest word in these texts */
    uint32_t *lists; /* of each rank: its first cell; and the number of cells */
    uint32_t *cells; /* of each cell: its first posting; and the number of postings */
    uint32_t *owners; /* of each posting: the text, from `start` */
    uint64_t *tails; /* of each posting: 56 bits of signature and 8 of slack */
} Segment;

typedef struct {
    double threshold;
    uint8_t is_token[256]; /* the bytes that tokens are made of; all others separate them */
    uint32_t tail; /* texts beyond the last segment are scanned one by one, at most so many */
    Words words;
    Texts texts;
    Segment *segments;
    uint32_t segment_count;
} Index;

/* The places of a token in a block of 64 tokens of a query: open addressing, with twice as many rows as tokens. */
typedef struct {
    uint64_t places;
    uint32_t code_plus_1; /* 0 in an empty row */
} Row;
enum { BLOCK = 64, ROWS = 2 * BLOCK };

/* A text that is compared: its tokens, and the best text so far. */
typedef struct {
    uint32_t size; /* in tokens */
    uint32_t *codes; /* a word that the index lacks has a code of its own beyond all others */
    uint64_t folded[2], upper[2];
    uint32_t blocks;
    Row *rows; /* ROWS for each block */
    bool *carries; /* from one block to the next, for each token of the longest text */
    uint64_t *order; /* the tokens by rank, while a segment is read */
    uint32_t since; /* the first text that counts */
    double bar; /* the score to beat */
    int64_t best; /* the nearest text above the threshold so far, or NONE */
    uint64_t allowed_base, allowed_each; /* D <= (base + each n) / 65536 for a text of n tokens */
} Query;

/* words.c */
int words_learn(Words *words, const uint8_t *word, size_t size, uint32_t *code);
uint32_t words_find(const Words *words, const uint8_t *word, size_t size);
void words_free(Words *words);

/* texts.c */
int texts_reserve(Texts *texts, size_t units);
void texts_append(Texts *texts, const uint32_t *codes, uint32_t size);
void texts_free(Texts *texts);
void signature_of(const uint32_t *codes, uint32_t size, uint64_t folded[2], uint64_t upper[2]);

/* query.c */
int query_begin(Query *query, const Index *index, const uint8_t *text, size_t size);
int query_begin_at(Query *query, const Index *index, uint32_t text);
void query_end(Query *query);
void query_raise(Query *query, double bar);
uint32_t query_lcs(const Query *query, const Texts *texts, uint32_t text, uint32_t *size);
void query_consider(Query *query, const Texts *texts, uint32_t text);

/* postings.c */
int segment_build(Segment *segment, const Texts *texts, uint32_t codes, uint32_t start, double threshold);
void segment_search(const Segment *segment, const Texts *texts, Query *query, double threshold);
void segment_free(Segment *segment);
uint64_t segment_bytes(const Segment *segment);

/* Return the token after `*at` that ends before `end`, and its size; 0 if there is none. */
static inline size_t next_token(const uint8_t *is_token, const uint8_t **at, const uint8_t *end) {
    const uint8_t *first = *at;
    while (first < end && !is_token[*first])
        first++;
    const uint8_t *last = first;
    while (last < end && is_token[*last])
        last++;
    *at = last;
    return (size_t)(last - first);
}

/* A code as one or two units. */
#define ESCAPE 0xF000u
static inline uint32_t next_code(const uint16_t **at) {
    uint32_t unit = *(*at)++;
    return unit < ESCAPE ? unit : (unit - ESCAPE) << 16 | *(*at)++;
}

static inline uint64_t text_start(const Texts *texts, uint32_t text) { return text ? texts->ends[text - 1] : 0; }

/* The most bits that may differ in the signatures of the query and a text of this size. */
static inline uint64_t allowed(const Query *query, uint16_t size) {
    return size < LONGEST ? (query->allowed_base + query->allowed_each * size) >> 16 : UINT64_MAX;
}

static inline int bits(uint64_t word) { return __builtin_popcountll(word); }

static inline uint32_t scattered(uint32_t number) { return number * 2654435769u; } /* Knuth, TAOCP 3, 6.4 */

/* Sort numbers, few of them as a rule: Shell's method, a plain insertion sort for the last step. */
#define DEFINE_SORT(name, type)                                                                                        \
    static inline void name(type *numbers, size_t count) {                                                             \
        size_t gap = 1;                                                                                                \
        while (gap < count / 27)                                                                                       \
            gap = 3 * gap + 1;                                                                                         \
        for (; gap; gap /= 3)                                                                                          \
            for (size_t i = gap; i < count; i++) {                                                                     \
                type moved = numbers[i];                                                                               \
                size_t j = i;                                                                                          \
                for (; j >= gap && numbers[j - gap] > moved; j -= gap)                                                 \
                    numbers[j] = numbers[j - gap];                                                                     \
                numbers[j] = moved;                                                                                    \
            }                                                                                                          \
    }
DEFINE_SORT(sort_u32, uint32_t)
DEFINE_SORT(sort_u64, uint64_t)

/* Make room for `wanted` items, with some to spare; return false if there is no memory. */
bool grow(void *items, size_t *room, size_t wanted, size_t item_size);

#endif
