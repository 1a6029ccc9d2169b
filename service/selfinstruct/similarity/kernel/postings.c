/* Segments: inverted lists of consecutive texts, which find the texts that share a rare token with a query.
 *
 * The tokens of both texts stand in one order, rare ones first. Two texts that share c tokens share one among the first
 * m - c + 1 and n - c + 1 (Chaudhuri, Ganti and Kaushik 2006; for multisets too), so a text is listed under these alone.
 * If the first shared token stands at place i of the query and j of the text (from 0), each lacks what stands before it
 * in the other, and they share at most min(m - i, n - j) tokens (PPJoin: Xiao, Wang, Lin and Yu 2008). A posting holds:
 *
 * - the text;
 * - a signature of what stands in the text from place j on (`scattered_tail`), 56 bits, so D >= i + j + bits that
 *   differ. Here the n-th occurrence of a token is another one than its first;
 * - its slack, (1 - t) n - j in half tokens, rounded up: what the text adds to the bits that may differ.
 *
 * A long list is sorted into cells, by band of length and by reach (n (1 - t / 2) - j, whole tokens), because
 * n - j >= t (m + n) / 2 is n (1 - t / 2) - j >= m t / 2: a query reads some bands, and the far end of each.
 */
#include "kernel.h"

#include <stdlib.h>
#include <string.h>

/* Occurrences in the segment that make a list long. */
enum { LONG_LIST = 1024, STEPS = 48 };
/* The shortest length of each band. */
static const uint16_t BANDS[] = {0,  2,  3,  4,  5,  6,  7,  8,  10, 12, 14, 16, 19,  22,  25,  29,
                                 33, 38, 43, 49, 56, 63, 71, 80, 90, 101, 120, 150, 200, 300, UINT16_MAX};
enum { BAND_COUNT = sizeof BANDS / sizeof *BANDS, CELLS = BAND_COUNT * STEPS };

static const double MARGIN = 1e-6; /* far above the rounding error, far below a token */
enum { SLACK_ZERO = 64, SLACK_MOST = 255, TAIL_BITS = 56 };

/* The least LCS of two texts of so many tokens together whose score reaches the bar. */
static uint32_t needed(double bar, uint64_t tokens) {
    double least = bar / 2 * (double)tokens - MARGIN;
    uint32_t whole = least > 0 ? (uint32_t)least : 0;
    whole += whole < least;
    return whole ? whole : 1;
}

/* The number of rarest tokens of which a text of this size shares one with every text that reaches the bar. */
static uint32_t prefix(double bar, uint32_t size) {
    double least = bar / 2 * size / (1 - bar / 2) - 1;
    uint32_t shortest = least > 1 ? (uint32_t)least : 1;
    while (needed(bar, (uint64_t)size + shortest) > shortest)
        shortest++;
    uint32_t shared = needed(bar, (uint64_t)size + shortest);
    return shared > size ? 0 : size - shared + 1;
}

/* The bit of a token in the signature of a tail. */
static uint64_t tail_bit(uint32_t rank, uint32_t occurrence) {
    uint64_t hash = scattered(rank + occurrence * 0x85EBCA6Bu);
    return (uint64_t)1 << (8 + (hash * TAIL_BITS >> 32));
}

static uint32_t band_of(uint32_t size) {
    uint32_t band = 0;
    while (band + 1 < BAND_COUNT && BANDS[band + 1] <= size)
        band++;
    return band;
}

static uint32_t step_of(double reach) { return reach < 0 ? 0 : reach < STEPS - 1 ? (uint32_t)reach : STEPS - 1; }

static bool is_long(const Segment *segment, uint32_t rank) {
    return segment->lists[rank + 1] - segment->lists[rank] > 1;
}

/* A text whose postings are written: its tokens by rank. */
typedef struct {
    uint32_t *ranks, size, band;
} Sorted;

static void read_sorted(const Segment *segment, const Texts *texts, uint32_t text, Sorted *sorted) {
    const uint16_t *at = texts->units + text_start(texts, text), *end = texts->units + texts->ends[text];
    sorted->size = 0;
    while (at < end)
        sorted->ranks[sorted->size++] = segment->ranks[next_code(&at)];
    sort_u32(sorted->ranks, sorted->size);
    sorted->band = band_of(texts->sizes[text]);
}

static uint32_t cell_of(const Segment *segment, const Sorted *sorted, uint32_t place, double threshold) {
    uint32_t first = segment->lists[sorted->ranks[place]];
    if (!is_long(segment, sorted->ranks[place]))
        return first;
    return first + sorted->band * STEPS + step_of(sorted->size * (1 - threshold / 2) - place + MARGIN);
}

static bool is_first(const uint32_t *ranks, uint32_t place) { return !place || ranks[place] != ranks[place - 1]; }

static void count_postings(Segment *segment, const Sorted *sorted, double threshold) {
    uint32_t count = sorted->size ? prefix(threshold, sorted->size) : 0;
    for (uint32_t place = 0; place < count; place++)
        if (is_first(sorted->ranks, place))
            segment->cells[cell_of(segment, sorted, place, threshold)]++;
}

static uint64_t slack_of(const Sorted *sorted, uint32_t place, double threshold) {
    double slack = 2 * ((1 - threshold) * sorted->size - place + MARGIN) + SLACK_ZERO + 1;
    return slack < 0 ? 0 : slack < SLACK_MOST ? (uint64_t)slack : SLACK_MOST;
}

/* Write the postings of a text. `cells` holds the end of each cell, less what is written. */
static void write_postings(Segment *segment, const Sorted *sorted, uint32_t text, double threshold) {
    uint32_t count = sorted->size ? prefix(threshold, sorted->size) : 0, occurrence = 0;
    uint64_t tail = 0;
    for (uint32_t place = 0; place < sorted->size; place++) {
        occurrence = is_first(sorted->ranks, place) ? 0 : occurrence + 1;
        tail ^= tail_bit(sorted->ranks[place], occurrence);
    }
    for (uint32_t place = 0; place < count; place++) {
        bool first = is_first(sorted->ranks, place);
        occurrence = first ? 0 : occurrence + 1;
        if (first) {
            uint32_t at = --segment->cells[cell_of(segment, sorted, place, threshold)];
            segment->owners[at] = text - segment->start;
            segment->tails[at] = tail | slack_of(sorted, place, threshold);
        }
        tail ^= tail_bit(sorted->ranks[place], occurrence);
    }
}

/* Rank the words by frequency, rare ones first, and give each a list: one cell, or CELLS if it is long. */
static int rank_words(Segment *segment, const Texts *texts) {
    uint32_t codes = segment->codes;
    uint64_t *order = calloc((size_t)codes + 1, sizeof *order), cells = 0;
    segment->ranks = malloc(((size_t)codes + 1) * sizeof *segment->ranks);
    segment->lists = malloc(((size_t)codes + 1) * sizeof *segment->lists);
    if (!order || !segment->ranks || !segment->lists) {
        free(order);
        return OUT_OF_MEMORY;
    }
    const uint16_t *at = texts->units + text_start(texts, segment->start), *end = texts->units + texts->units_used;
    while (at < end)
        order[next_code(&at)] += (uint64_t)1 << 32;
    for (uint32_t code = 0; code < codes; code++)
        order[code] |= code;
    sort_u64(order, codes);
    for (uint32_t rank = 0; rank < codes; rank++) {
        segment->ranks[(uint32_t)order[rank]] = rank;
        segment->lists[rank] = (uint32_t)cells;
        cells += order[rank] >> 32 > LONG_LIST ? CELLS : 1;
    }
    segment->lists[codes] = (uint32_t)cells;
    free(order);
    return cells < UINT32_MAX ? OK : TOO_LARGE;
}

/* Turn the sizes of the cells into their ends, and return the sum. */
static uint64_t ends_of_cells(uint32_t *cells, uint32_t count) {
    uint64_t sum = 0;
    for (uint32_t cell = 0; cell < count; cell++) {
        sum += cells[cell];
        cells[cell] = (uint32_t)sum;
    }
    cells[count] = (uint32_t)sum;
    return sum;
}

static int fill(Segment *segment, const Texts *texts, double threshold, Sorted *sorted) {
    uint32_t cells = segment->lists[segment->codes];
    if (!(segment->cells = calloc((size_t)cells + 1, sizeof *segment->cells)))
        return OUT_OF_MEMORY;
    for (uint32_t text = segment->start; text < segment->end; text++) {
        read_sorted(segment, texts, text, sorted);
        count_postings(segment, sorted, threshold);
    }
    uint64_t postings = ends_of_cells(segment->cells, cells);
    if (postings > UINT32_MAX)
        return TOO_LARGE;
    segment->owners = malloc((postings + 1) * sizeof *segment->owners);
    segment->tails = malloc((postings + 1) * sizeof *segment->tails);
    if (!segment->owners || !segment->tails)
        return OUT_OF_MEMORY;
    for (uint32_t text = segment->start; text < segment->end; text++) {
        read_sorted(segment, texts, text, sorted);
        write_postings(segment, sorted, text, threshold);
    }
    return OK;
}

/* Build the segment of the texts from `start` on; some microseconds a text. */
int segment_build(Segment *segment, const Texts *texts, uint32_t codes, uint32_t start, double threshold) {
    *segment = (Segment){.start = start, .end = texts->count, .codes = codes};
    uint64_t most = 0;
    for (uint32_t text = start; text < texts->count; text++) {
        uint64_t units = texts->ends[text] - text_start(texts, text);
        most = units > most ? units : most;
    }
    Sorted sorted = {.ranks = malloc((most + 1) * sizeof *sorted.ranks)};
    int error = sorted.ranks ? rank_words(segment, texts) : OUT_OF_MEMORY;
    if (!error)
        error = fill(segment, texts, threshold, &sorted);
    free(sorted.ranks);
    if (error)
        segment_free(segment);
    return error;
}

uint64_t segment_bytes(const Segment *segment) {
    uint64_t cells = segment->lists[segment->codes], postings = segment->cells[cells];
    return 4 * (2 * (uint64_t)segment->codes + 1 + cells + 1) + 12 * postings;
}

void segment_free(Segment *segment) {
    free(segment->ranks);
    free(segment->lists);
    free(segment->cells);
    free(segment->owners);
    free(segment->tails);
}

/* Compare the postings first ... last - 1, if at most `limit` / 2 bits differ after what their slack adds. */
static void read_list(const Segment *segment, const Texts *texts, Query *query, uint32_t first, uint32_t last,
                      uint64_t tail, int64_t limit) {
    for (uint32_t at = first; at < last; at++)
        if (2 * bits((segment->tails[at] ^ tail) >> 8) <= limit + (int64_t)(segment->tails[at] & 0xFF))
            query_consider(query, texts, segment->start + segment->owners[at]);
}

/* Twice the bits that may differ, without the slack of the posting: (1 - bar) m - i, less (bar - t) n for the bar's
 * rise, n >= `shortest`. A slack of SLACK_MOST stands for more: it must pass whatever differs. */
static int64_t limit_of(const Query *query, uint32_t place, double shortest, double threshold) {
    double limit = 2 * ((1 - query->bar) * query->size - place - (query->bar - threshold) * shortest + MARGIN);
    double least = 2 * TAIL_BITS - SLACK_MOST;
    limit -= SLACK_ZERO;
    if (limit < least)
        return (int64_t)least;
    int64_t whole = (int64_t)limit;
    return whole > limit ? whole - 1 : whole;
}

/* Read the list of a token that stands at `place` of the query. */
static void read_postings(const Segment *segment, const Texts *texts, Query *query, uint32_t place, uint64_t tail,
                       double threshold) {
    uint32_t rank = (uint32_t)(query->order[place] >> 32) - 1;
    const uint32_t *cells = segment->cells + segment->lists[rank];
    double shortest = query->size * query->bar / (2 - query->bar) - MARGIN;
    if (!is_long(segment, rank)) {
        read_list(segment, texts, query, cells[0], cells[1], tail, limit_of(query, place, shortest, threshold));
        return;
    }
    for (uint32_t band = 0; band < BAND_COUNT; band++) {
        double half = query->bar / 2, least = BANDS[band] > shortest ? BANDS[band] : shortest;
        if (band + 1 < BAND_COUNT && BANDS[band + 1] - 1 < shortest)
            continue;
        if (least * half > query->size * (1 - half) - place + MARGIN)
            break;
        uint32_t step = step_of(query->size * half + least * (half - threshold / 2) - MARGIN);
        read_list(segment, texts, query, cells[band * STEPS + step], cells[(band + 1) * STEPS], tail,
                  limit_of(query, place, least, threshold));
    }
}

/* Bring the query's tokens into the order of the segment: rank + 1 and code, and 0 for the rank of a word it lacks. */
static void sort_query(const Segment *segment, Query *query) {
    for (uint32_t at = 0; at < query->size; at++) {
        uint32_t code = query->codes[at];
        query->order[at] = code < segment->codes ? ((uint64_t)segment->ranks[code] + 1) << 32 : 0;
    }
    sort_u64(query->order, query->size);
}

void segment_search(const Segment *segment, const Texts *texts, Query *query, double threshold) {
    sort_query(segment, query);
    uint64_t tail = 0;
    uint32_t occurrence = 0;
    for (uint32_t place = 0; place < query->size; place++) {
        bool first = !place || query->order[place] != query->order[place - 1];
        occurrence = first ? 0 : occurrence + 1;
        if (query->order[place])
            tail ^= tail_bit((uint32_t)(query->order[place] >> 32) - 1, occurrence);
    }
    /* The bar may rise meanwhile, and then fewer places do. */
    for (uint32_t place = 0; place < prefix(query->bar, query->size); place++) {
        bool first = !place || query->order[place] != query->order[place - 1];
        occurrence = first ? 0 : occurrence + 1;
        if (!query->order[place])
            continue;
        if (first)
            read_postings(segment, texts, query, place, tail, threshold);
        tail ^= tail_bit((uint32_t)(query->order[place] >> 32) - 1, occurrence);
    }
}
