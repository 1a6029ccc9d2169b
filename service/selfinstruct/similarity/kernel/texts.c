/* The texts: their tokens in order, and their signatures. */
#include "kernel.h"

#include <stdlib.h>

int texts_reserve(Texts *texts, size_t units) {
    size_t count = (size_t)texts->count + 1;
    if (count > UINT32_MAX)
        return TOO_LARGE;
    bool enough = grow(&texts->units, &texts->units_room, texts->units_used + units + 1, sizeof *texts->units) &&
                  grow(&texts->ends, &texts->ends_room, count, sizeof *texts->ends) &&
                  grow(&texts->sizes, &texts->sizes_room, count, sizeof *texts->sizes) &&
                  grow(&texts->folded, &texts->folded_room, count, sizeof *texts->folded) &&
                  grow(&texts->upper, &texts->upper_room, count, sizeof *texts->upper);
    return enough ? OK : OUT_OF_MEMORY;
}

/* `texts_reserve` has made room: two units for each token. */
void texts_append(Texts *texts, const uint32_t *codes, uint32_t size) {
    uint16_t *units = texts->units + texts->units_used;
    for (uint32_t at = 0; at < size; at++) {
        if (codes[at] >= ESCAPE)
            *units++ = (uint16_t)(ESCAPE + (codes[at] >> 16));
        *units++ = (uint16_t)codes[at];
    }
    texts->units_used = (size_t)(units - texts->units);
    texts->ends[texts->count] = texts->units_used;
    texts->sizes[texts->count] = (uint16_t)(size < LONGEST ? size : LONGEST);
    texts->longest = size > texts->longest ? size : texts->longest;
    signature_of(codes, size, texts->folded[texts->count], texts->upper[texts->count]);
    texts->count++;
}

void signature_of(const uint32_t *codes, uint32_t size, uint64_t folded[2], uint64_t upper[2]) {
    uint64_t words[4] = {0};
    for (uint32_t at = 0; at < size; at++) {
        uint32_t bit = scattered(codes[at]) >> 24;
        words[bit / 64] ^= (uint64_t)1 << bit % 64;
    }
    for (int at = 0; at < 2; at++) {
        folded[at] = words[at] ^ words[2 + at];
        upper[at] = words[2 + at];
    }
}

void texts_free(Texts *texts) {
    free(texts->units);
    free(texts->ends);
    free(texts->sizes);
    free(texts->folded);
    free(texts->upper);
}
