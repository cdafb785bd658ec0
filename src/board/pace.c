/* How fast the link is. */
#include "board/pace.h"

/* Before anything is known: as slow as a slow probe. */
#define FIRST_NS_PER_WORD 1000000u
/* How much of a better figure is believed each time: one part of so many. */
#define BELIEVED 4u
/* One word that took for ever is no reason to go in single file for long. Many words together have more to
 * say. */
#define WORSE_FACTOR 2u
#define SLOWEST_NS_PER_WORD (PACE_ENVELOPE_US * 1000u)

static uint64_t known_ns(const struct pace *pace)
{
    return pace->ns_per_word > 0 ? pace->ns_per_word : FIRST_NS_PER_WORD;
}

uint64_t pace_room(const struct pace *pace)
{
    uint64_t room = PACE_ENVELOPE_US * 1000ull / known_ns(pace);
    return room > 0 ? room : 1;
}

void pace_learn(struct pace *pace, uint64_t words, uint64_t used_us)
{
    uint64_t seen = used_us < UINT64_MAX / 1000 ? used_us * 1000 / words + 1 : SLOWEST_NS_PER_WORD;
    uint64_t known = known_ns(pace);
    uint64_t factor = words > WORSE_FACTOR && words < SLOWEST_NS_PER_WORD ? words : WORSE_FACTOR;
    uint64_t worst = known * factor < SLOWEST_NS_PER_WORD ? known * factor : SLOWEST_NS_PER_WORD;
    if (seen < known) {
        pace->ns_per_word = known - (known - seen) / BELIEVED;
    } else {
        pace->ns_per_word = seen < worst ? seen : worst;
    }
}
