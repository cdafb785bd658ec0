/*
 * Ordinary C as a compiler emits it, run on the board and, built with -DHOST, on the machine that tests it:
 * both must leave the same words in results[].
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#define RESULTS_MAX 512

#ifdef HOST
#include <stdio.h>
static uint32_t results[RESULTS_MAX];
#else
/* At a fixed place, so that the test finds it. */
static volatile uint32_t *const results = (volatile uint32_t *)0x20000100;
#endif

static unsigned result_count;

static void put(uint32_t value)
{
    if (result_count + 1 < RESULTS_MAX) {
        results[1 + result_count++] = value;
        results[0] = result_count;
    }
}

static void put64(uint64_t value)
{
    put((uint32_t)value);
    put((uint32_t)(value >> 32));
}

static uint32_t seed = 12345;

static uint32_t next_random(void)
{
    seed = seed * 1664525u + 1013904223u;
    return seed ^ (seed >> 15);
}

/* --- checksums -------------------------------------------------------------------------------------------
 */

static uint8_t message[1000];

static uint32_t crc32(const uint8_t *bytes, size_t length)
{
    uint32_t crc = ~0u;
    for (size_t i = 0; i < length; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++) {
            crc = (crc & 1) ? (crc >> 1) ^ 0xEDB88320u : crc >> 1;
        }
    }
    return ~crc;
}

static uint32_t rotate(uint32_t value, unsigned by)
{
    return value >> by | value << (32 - by);
}

static void sha256(const uint8_t *bytes, size_t length, uint32_t state[8])
{
    static const uint32_t initial[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                        0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    static const uint32_t constants[64] = {
        0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
        0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
        0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
        0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
        0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
        0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
        0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
        0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
    };
    for (int i = 0; i < 8; i++) {
        state[i] = initial[i];
    }
    size_t blocks = (length + 9 + 63) / 64;
    for (size_t block = 0; block < blocks; block++) {
        uint32_t w[64];
        for (size_t i = 0; i < 16; i++) {
            uint32_t word = 0;
            for (size_t j = 0; j < 4; j++) {
                size_t at = block * 64 + i * 4 + j;
                uint32_t byte = at < length ? bytes[at] : at == length ? 0x80u : 0;
                word = word << 8 | byte;
            }
            w[i] = word;
        }
        if (block == blocks - 1) {
            w[15] = (uint32_t)(length * 8);
        }
        for (int i = 16; i < 64; i++) {
            uint32_t s0 = rotate(w[i - 15], 7) ^ rotate(w[i - 15], 18) ^ w[i - 15] >> 3;
            uint32_t s1 = rotate(w[i - 2], 17) ^ rotate(w[i - 2], 19) ^ w[i - 2] >> 10;
            w[i] = w[i - 16] + s0 + w[i - 7] + s1;
        }
        uint32_t v[8];
        for (int i = 0; i < 8; i++) {
            v[i] = state[i];
        }
        for (int i = 0; i < 64; i++) {
            uint32_t s1 = rotate(v[4], 6) ^ rotate(v[4], 11) ^ rotate(v[4], 25);
            uint32_t choose = (v[4] & v[5]) ^ (~v[4] & v[6]);
            uint32_t first = v[7] + s1 + choose + constants[i] + w[i];
            uint32_t s0 = rotate(v[0], 2) ^ rotate(v[0], 13) ^ rotate(v[0], 22);
            uint32_t majority = (v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]);
            for (int k = 7; k > 0; k--) {
                v[k] = v[k - 1];
            }
            v[4] += first;
            v[0] = first + s0 + majority;
        }
        for (int i = 0; i < 8; i++) {
            state[i] += v[i];
        }
    }
}

static void test_checksums(void)
{
    uint32_t state[8];
    for (size_t i = 0; i < sizeof(message); i++) {
        message[i] = (uint8_t)(i * 7 + (i >> 3));
    }
    put(crc32(message, sizeof(message)));
    sha256(message, sizeof(message), state);
    for (int i = 0; i < 8; i++) {
        put(state[i]);
    }
}

/* --- arithmetic ------------------------------------------------------------------------------------------
 */

static void test_wide_arithmetic(void)
{
    for (int i = 0; i < 12; i++) {
        uint64_t a = (uint64_t)next_random() << 32 | next_random();
        uint64_t b = ((uint64_t)next_random() << 32 | next_random()) >> (i * 5);
        int64_t c = (int64_t)a;
        int64_t d = (int64_t)(b | 1);
        put64(a * b);
        put64(a / (b | 1));
        put64(a % (b | 1));
        put64((uint64_t)(c / d));
        put64((uint64_t)(c % d));
        put64(a << (b & 63));
        put64((uint64_t)(c >> (b & 63)));
        put((uint32_t)(a < b) | (uint32_t)(c < d) << 1 | (uint32_t)(a == b) << 2);
    }
}

static void test_narrow_arithmetic(void)
{
    for (int i = 0; i < 12; i++) {
        uint32_t a = next_random();
        uint32_t b = next_random() >> (i * 2);
        int32_t c = (int32_t)a;
        int32_t d = (int32_t)(b | 1);
        put(a / (b | 1));
        put(a % (b | 1));
        put((uint32_t)(c / d));
        put((uint32_t)(c % d));
        put((uint32_t)(int32_t)(int8_t)a + (uint32_t)(int32_t)(int16_t)b);
        put((uint32_t)(uint8_t)(a + b) * (uint16_t)(a - b));
        put((uint32_t)(c >> (b & 31)) ^ (a >> (a & 31)) ^ (b << (b & 31)));
        put((uint32_t)__builtin_clz(a | 1) + (uint32_t)__builtin_ctz(a | 0x80000000u) * 100u +
            (uint32_t)__builtin_popcount(a) * 10000u);
        put(__builtin_bswap32(a) ^ __builtin_bswap16((uint16_t)b));
    }
}

/* --- data structures -------------------------------------------------------------------------------------
 */

struct packed {
    unsigned a : 3;
    signed b : 5;
    unsigned c : 11;
    signed d : 13;
};

struct pair {
    uint16_t key;
    int8_t small;
    int64_t large;
};

static struct pair make_pair(uint32_t value)
{
    struct pair pair = {(uint16_t)value, (int8_t)(value >> 8), (int64_t)(int32_t)value * 12345};
    return pair;
}

static void test_structures(void)
{
    static struct pair pairs[16];
    struct packed fields = {0, 0, 0, 0};
    for (unsigned i = 0; i < 16; i++) {
        pairs[i] = make_pair(next_random());
        fields.a += pairs[i].key & 7u;
        fields.b = (int)((unsigned)fields.b ^ (unsigned)pairs[i].small) & 15;
        fields.c += pairs[i].key;
        fields.d = (int)(pairs[i].large & 0xFFF);
        put((uint32_t)fields.a | (uint32_t)fields.b << 8 | (uint32_t)fields.c << 16);
        put((uint32_t)fields.d);
    }
    struct pair copy = pairs[3];
    pairs[3] = pairs[12];
    pairs[12] = copy;
    put64((uint64_t)(pairs[3].large - pairs[12].large));
}

static void sort(int32_t *items, int low, int high)
{
    while (low < high) {
        int32_t pivot = items[(low + high) / 2];
        int i = low;
        int j = high;
        while (i <= j) {
            while (items[i] < pivot) {
                i++;
            }
            while (items[j] > pivot) {
                j--;
            }
            if (i <= j) {
                int32_t swap = items[i];
                items[i++] = items[j];
                items[j--] = swap;
            }
        }
        if (j - low < high - i) {
            sort(items, low, j);
            low = i;
        } else {
            sort(items, i, high);
            high = j;
        }
    }
}

static void test_sort(void)
{
    static int32_t items[150];
    for (int i = 0; i < 150; i++) {
        items[i] = (int32_t)next_random();
    }
    sort(items, 0, 149);
    for (int i = 0; i < 150; i += 10) {
        put((uint32_t)items[i]);
    }
}

/* --- control flow ----------------------------------------------------------------------------------------
 */

static int32_t evaluate(const char *text)
{
    int32_t stack[16];
    int depth = 0;
    for (; *text != '\0'; text++) {
        switch (*text) {
        case '0':
        case '1':
        case '2':
        case '3':
        case '4':
        case '5':
        case '6':
        case '7':
        case '8':
        case '9':
            stack[depth++] = *text - '0';
            break;
        case '+':
            depth--;
            stack[depth - 1] += stack[depth];
            break;
        case '-':
            depth--;
            stack[depth - 1] -= stack[depth];
            break;
        case '*':
            depth--;
            stack[depth - 1] *= stack[depth];
            break;
        case '/':
            depth--;
            stack[depth - 1] /= stack[depth];
            break;
        case '~':
            stack[depth - 1] = -stack[depth - 1];
            break;
        case 'd':
            stack[depth] = stack[depth - 1];
            depth++;
            break;
        default:
            return -1;
        }
    }
    return stack[0];
}

static uint32_t ackermann(uint32_t m, uint32_t n)
{
    if (m == 0) {
        return n + 1;
    }
    return n == 0 ? ackermann(m - 1, 1) : ackermann(m - 1, ackermann(m, n - 1));
}

static int32_t twice(int32_t x)
{
    return 2 * x;
}

static int32_t square(int32_t x)
{
    return x * x;
}

static int32_t negate(int32_t x)
{
    return -x;
}

static int32_t sum(int count, ...)
{
    va_list args;
    int32_t total = 0;
    va_start(args, count);
    for (int i = 0; i < count; i++) {
        total = total * 3 + va_arg(args, int32_t);
    }
    va_end(args);
    return total;
}

static void test_control_flow(void)
{
    static int32_t (*const functions[])(int32_t) = {twice, square, negate};
    int32_t value = 3;
    for (int i = 0; i < 9; i++) {
        value = functions[i % 3](value) % 1000;
        put((uint32_t)value);
    }
    put((uint32_t)evaluate("34+d*5~-9/7*"));
    put((uint32_t)evaluate("x"));
    put(ackermann(2, 9));
    put((uint32_t)sum(7, 1, -2, 3, -4, 5, -6, 7));
}

int main(void)
{
    test_checksums();
    test_wide_arithmetic();
    test_narrow_arithmetic();
    test_structures();
    test_sort();
    test_control_flow();
#ifdef HOST
    for (unsigned i = 0; i <= result_count; i++) {
        printf("%08x\n", results[i]);
    }
#endif
    return 0;
}

#ifndef HOST
extern uint32_t bss_start[], bss_end[], data_start[], data_end[], data_load[];

void start(void);
void start(void)
{
    uint32_t *from = data_load;
    for (uint32_t *to = data_start; to < data_end; to++) {
        *to = *from++;
    }
    for (uint32_t *to = bss_start; to < bss_end; to++) {
        *to = 0;
    }
    main();
    __asm__ volatile("bkpt #0");
}
#endif
