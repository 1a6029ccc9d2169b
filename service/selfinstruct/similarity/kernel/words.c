/* The vocabulary: words by code, and a hash table from words to codes. */
#include "kernel.h"

#include <stdlib.h>
#include <string.h>

bool grow(void *items, size_t *room, size_t wanted, size_t item_size) {
    if (wanted <= *room)
        return true;
    size_t more = wanted + wanted / 2 + 16;
    if (more < wanted || more > SIZE_MAX / item_size)
        return false;
    void *moved, *before;
    memcpy(&before, items, sizeof before);
    if (!(moved = realloc(before, more * item_size)))
        return false;
    memcpy(items, &moved, sizeof moved);
    *room = more;
    return true;
}

static uint64_t mixed(uint64_t one, uint64_t other) {
    __uint128_t product = (__uint128_t)one * other;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* A multiplicative hash of eight bytes at a time, keyed by a secret seed. */
static uint32_t hash_of(const Words *words, const uint8_t *word, size_t size) {
    uint64_t hash = words->seed ^ (size * 0x9E3779B97F4A7C15u);
    for (; size > 8; word += 8, size -= 8) {
        uint64_t part;
        memcpy(&part, word, 8);
        hash = mixed(hash ^ part, 0xD6E8FEB86659FD93u);
    }
    uint64_t rest = 0;
    for (size_t at = 0; at < size; at++)
        rest = rest << 8 | word[at];
    hash = mixed(hash ^ rest, words->seed | 1);
    return (uint32_t)(hash ^ hash >> 32);
}

static bool is_word(const Words *words, uint32_t code, const uint8_t *word, size_t size) {
    uint64_t start = code ? words->ends[code - 1] : 0;
    return words->ends[code] - start == size && !memcmp(words->bytes + start, word, size);
}

/* Return the slot of a word, or the empty slot where it belongs. There is an empty one. */
static WordSlot *slot_of(const Words *words, uint32_t hash, const uint8_t *word, size_t size) {
    size_t mask = words->slot_count - 1, at = hash & mask;
    for (;; at = (at + 1) & mask) {
        WordSlot *slot = words->slots + at;
        if (!slot->code_plus_1 || (slot->hash == hash && is_word(words, slot->code_plus_1 - 1, word, size)))
            return slot;
    }
}

static bool more_slots(Words *words) {
    size_t count = words->slot_count ? 2 * words->slot_count : 1024;
    WordSlot *slots = calloc(count, sizeof *slots);
    if (!slots)
        return false;
    for (size_t at = 0; at < words->slot_count; at++) {
        WordSlot slot = words->slots[at];
        size_t to = slot.hash & (count - 1);
        if (!slot.code_plus_1)
            continue;
        while (slots[to].code_plus_1)
            to = (to + 1) & (count - 1);
        slots[to] = slot;
    }
    free(words->slots);
    words->slots = slots;
    words->slot_count = count;
    return true;
}

uint32_t words_find(const Words *words, const uint8_t *word, size_t size) {
    if (!words->count)
        return UNKNOWN;
    WordSlot *slot = slot_of(words, hash_of(words, word, size), word, size);
    return slot->code_plus_1 ? slot->code_plus_1 - 1 : UNKNOWN;
}

int words_learn(Words *words, const uint8_t *word, size_t size, uint32_t *code) {
    if (2 * (size_t)words->count >= words->slot_count && !more_slots(words))
        return OUT_OF_MEMORY;
    uint32_t hash = hash_of(words, word, size);
    WordSlot *slot = slot_of(words, hash, word, size);
    if (!slot->code_plus_1) {
        if (words->count == MOST_WORDS)
            return TOO_LARGE;
        if (!grow(&words->bytes, &words->bytes_room, words->bytes_used + size, 1) ||
            !grow(&words->ends, &words->ends_room, (size_t)words->count + 1, sizeof *words->ends))
            return OUT_OF_MEMORY;
        memcpy(words->bytes + words->bytes_used, word, size);
        words->bytes_used += size;
        words->ends[words->count++] = words->bytes_used;
        *slot = (WordSlot){hash, words->count};
    }
    *code = slot->code_plus_1 - 1;
    return OK;
}

void words_free(Words *words) {
    free(words->bytes);
    free(words->ends);
    free(words->slots);
}
