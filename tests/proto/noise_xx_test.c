#include "proto/noise_xx.h"

#include "crypto/aead.h"
#include "tests/test.h"

/* Published vectors for Noise_XX_25519_ChaChaPoly_SHA256; the payloads after the handshake go over the split
 * keys, the responder's first. Sources: cacophony vectors/cacophony.txt; snow tests/vectors/snow.txt. */
struct vector {
    const char *prologue, *init_static, *init_ephemeral, *resp_static, *resp_ephemeral, *hash;
    struct {
        const char *payload, *ciphertext;
    } messages[6];
};
static const struct vector vectors[] = {
    {"4a6f686e2047616c74",
     "e61ef9919cde45dd5f82166404bd08e38bceb5dfdfded0a34c8df7ed542214d1",
     "893e28b9dc6ca8d611ab664754b8ceb7bac5117349a4439a6b0569da977c464a",
     "4a3acbfdb163dec651dfa3194dece676d437029c62a408b4c5ea9114246e4893",
     "bbdb4cdbd309f1a1f2e1456967fe288cadd6f712d65dc7b7793d5e63da6b375b",
     "c8e5f64e846193be2a834104c2a009868d6c9f3bd3c186299888b488b2f1f58e",
     {{"4c756477696720766f6e204d69736573",
       "ca35def5ae56cec33dc2036731ab14896bc4c75dbb07a61f879f8e3afa4c79444c756477696720766f6e204d69736573"},
      {"4d757272617920526f746862617264", "95ebc60d2b1fa672c1f46a8aa265ef51bfe38e7ccb39ec5be34069f14480884381c"
                                         "bad1f276e038c48378ffce2b65285e08d6b68aa"
                                         "a3629a5a8639392490e5b9bd5269c2f1e4f488ed8831161f19b7815528f8982ffe0"
                                         "9be9b5c412f8a0db50f8814c7194e83f23dbd8d"
                                         "162c9326ad"},
      {"462e20412e20486179656b", "c7195ffacac1307ff99046f219750fc47693e23c3cb08b89c2af808b444850a80ae475b9df0"
                                 "f169ae80a89be0865b57f58c9fea0d4"
                                 "ec82a286427402f113e4b6ae769a1d95941d49b25030"},
      {"4361726c204d656e676572", "96763ed773f8e47bb3712f0e29b3060ffc956ffc146cee53d5e1df"},
      {"4a65616e2d426170746973746520536179",
       "3e40f15f6f3a46ae446b253bf8b1d9ffb6ed9b174d272328ff91a7e2e5c79c07f5"},
      {"457567656e2042f6686d20766f6e2042617765726b",
       "eb3f3515110702e047a6c9da4478b6ead94873c11c0f2d710ddb3f09fce024b3a58502ae3f"}}},
    {"5468657265206973206e6f20726967687420616e642077726f6e672e2054686572652773206f6e6c792066756e20616e6420626"
     "f7269"
     "6e672e",
     "7dec208517a3b81a2861d7a71266d5d6dc944c5a8816634a86fe63198a0148ee",
     "a32daf21e93c0131495ce1d903181fde81cc46937daaeb990bae7c992709421e",
     "4d0aed5098e3b4ef20357e9f686ce66204c792b358da2e475017d6c485304881",
     "4eece0f195d026db035ff987597c429d3ad3bcc2944df37d649528951b2a27c5",
     NULL,
     {{"d03c489139e645d0711a3c9e810d776b46a84912463fafa87b884eebf242dc34",
       "f9fa868ba97ab8a2686deccfaad5a484ee10a5bb85e3d1dce015a84797f92818d03c489139e645d0711a3c9e810d776b46a84"
       "91246"
       "3fafa87b884eebf242dc34"},
      {"d8190a92f7dc0c93dbea9118ba8055751fb7c6590c416ffbd419964132b99a85",
       "8c4e6fdb7d09d501a86f7eca5c234522751706ed409182c05cdf5f827d4dae47b81c6c5f43b025692c24391eefee725c17d8c"
       "b0fbe"
       "3e4abb8aedf42c4fd2592d4ea48ac08989d6ae8b4adae08b2c34087c808c7aa55a63c02b0fab9e930612336bd43eaea04d3c6"
       "70a0a"
       "146691aa9cc9d357872320dc735dbc48580cffb553db"},
      {"77891b19dcb92ef7c055b672c4a5aa7fdf1c84146b8b303459022729473ce254",
       "933ca6b5ed60df3df66121f0ab49a09e49efa45c613a86a3cecbf4c535cef2f83f72b42837b18e3572f2fdc2b74c331e2368a"
       "545ce"
       "f54bdca081678ab0e9dd5348122459e0c034c851984d88ce610963d43cde6cfe73a67fbd5a63e8bfca96d0"},
      {"d7efdf988072881941db045a42882433817555128fbf5663e56081712ec7d212",
       "54ef0ff0629e1aaa7685a2806ab111cba76b52331f2642276736f415868eacb69ab2577f3bda0cbf72f879685f6ed25f"},
      {"dd7bf01a588bafb52c6cfba952e5d8fe35cc2b3f92b4730ae2474615157345ce",
       "356be70f110306d5c699bb834bb9d58d909e325924dfbec972e406e6f294dc63e1daebefe8a62a334facc8048ab4ad66"}}},
};
static const size_t overhead[] = {0, NOISE_XX_1, NOISE_XX_2, NOISE_XX_3};

/* A generator whose next bytes are the two keys: the static one is drawn first. */
static struct rng prepared(const char *static_key, const char *ephemeral) {
    struct rng r = rng_seeded(0);
    r.left = 64;
    test_hex(static_key, r.pool + sizeof r.pool - 64, 32);
    test_hex(ephemeral, r.pool + sizeof r.pool - 32, 32);
    return r;
}
static void start(const struct vector *v, struct noise_xx ends[2]) {
    uint8_t prologue[64];
    struct bytes p = bytes_at(prologue, test_hex(v->prologue, prologue, sizeof prologue));
    struct rng rng = prepared(v->init_static, v->init_ephemeral);
    noise_xx_start(&ends[0], p, &rng);
    rng = prepared(v->resp_static, v->resp_ephemeral);
    noise_xx_start(&ends[1], p, &rng);
}
static void check_transport(const struct vector *v, struct noise_xx ends[2]) {
    uint8_t key[2][2][32]; /* of whom; from whom */
    noise_xx_split(&ends[0], key[0][0], key[0][1]);
    noise_xx_split(&ends[1], key[1][0], key[1][1]);
    CHECK(memcmp(key[0], key[1], sizeof key[0]) == 0, "the two ends have different keys");
    for (size_t i = 3; i < LEN(v->messages) && v->messages[i].payload != NULL; i++) {
        uint8_t plain[64], want[80], got[80];
        struct bytes p = bytes_at(plain, test_hex(v->messages[i].payload, plain, sizeof plain));
        size_t n = test_hex(v->messages[i].ciphertext, want, sizeof want), from = i % 2;
        aead_seal(got, key[from][from], (i - 3) / 2, bytes_of(NULL), p);
        CHECK(n == p.n + AEAD_TAG && memcmp(got, want, n) == 0, "message %zu", i);
    }
}
TEST(noise_xx_published_vectors) {
    for (size_t v = 0; v < LEN(vectors); v++) {
        struct noise_xx ends[2];
        start(&vectors[v], ends);
        for (int number = 1; number <= 3; number++) {
            uint8_t plain[64], want[256], got[64];
            struct noise_xx *from = &ends[number == 2], *to = &ends[number != 2];
            struct bytes p = bytes_at(plain,
                                      test_hex(vectors[v].messages[number - 1].payload, plain, sizeof plain));
            struct bytes w = bytes_at(
                want, test_hex(vectors[v].messages[number - 1].ciphertext, want, sizeof want));
            struct buf out = {.max = 256};
            CHECK(noise_xx_write(from, number, p, &out), "vector %zu, message %d is not written", v, number);
            CHECK(bytes_eq(buf_view(&out), w), "vector %zu, message %d differs", v, number);
            CHECK(noise_xx_read(to, number, w, got), "vector %zu, message %d is not read", v, number);
            CHECK(w.n - overhead[number] == p.n && memcmp(got, plain, p.n) == 0, "vector %zu, payload %d", v,
                  number);
            buf_free(&out);
        }
        CHECK(memcmp(ends[0].h, ends[1].h, 32) == 0, "vector %zu: hashes differ", v);
        CHECK(memcmp(ends[0].rs, ends[1].s_public, 32) == 0 && memcmp(ends[1].rs, ends[0].s_public, 32) == 0,
              "%zu", v);
        uint8_t hash[32];
        if (vectors[v].hash != NULL)
            CHECK(test_hex(vectors[v].hash, hash, 32) == 32 && memcmp(ends[0].h, hash, 32) == 0, "%zu: hash",
                  v);
        check_transport(&vectors[v], ends);
    }
}
/* Both ends of the first vector, with all messages before `number` exchanged. */
static void bring_to(int number, struct noise_xx ends[2]) {
    start(&vectors[0], ends);
    for (int i = 1; i < number; i++) {
        uint8_t plain[64], got[64];
        struct buf out = {.max = 256};
        size_t n = test_hex(vectors[0].messages[i - 1].payload, plain, sizeof plain);
        CHECK(noise_xx_write(&ends[i == 2], i, bytes_at(plain, n), &out));
        CHECK(noise_xx_read(&ends[i != 2], i, buf_view(&out), got));
        buf_free(&out);
    }
}
TEST(noise_xx_altered_messages) {
    for (int number = 2; number <= 3; number++) {
        uint8_t message[256], payload[256];
        size_t n = test_hex(vectors[0].messages[number - 1].ciphertext, message, sizeof message);
        struct noise_xx ends[2], *to = &ends[number != 2];
        bring_to(number, ends);
        for (size_t bit = 0; bit < 8 * n; bit++) {
            struct noise_xx copy = *to;
            message[bit / 8] ^= (uint8_t)(1 << bit % 8);
            CHECK(!noise_xx_read(&copy, number, bytes_at(message, n), payload), "message %d, bit %zu", number,
                  bit);
            message[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        for (size_t cut = 0; cut < n; cut++) {
            struct noise_xx copy = *to;
            CHECK(!noise_xx_read(&copy, number, bytes_at(message, cut), payload), "message %d, %zu bytes",
                  number, cut);
        }
        CHECK(noise_xx_read(to, number, bytes_at(message, n), payload), "message %d as it was", number);
    }
}
/* Nothing protects message 1 by itself; but it is hashed, so the answer to an altered one is of no use. That
 * holds for the key's highest bit too, which X25519 ignores. */
TEST(noise_xx_altered_first_message) {
    struct noise_xx ends[2];
    uint8_t message[64], payload[64];
    size_t n = test_hex(vectors[0].messages[0].ciphertext, message, sizeof message);
    bring_to(1, ends);
    struct buf out = {.max = 256};
    CHECK(noise_xx_write(&ends[0], 1, BYTES("Ludwig von Mises"), &out) && out.n == n &&
          memcmp(out.p, message, n) == 0);
    for (size_t bit = 0; bit < 8 * n; bit++) {
        struct noise_xx to = ends[1], from = ends[0];
        buf_clear(&out);
        message[bit / 8] ^= (uint8_t)(1 << bit % 8);
        if (noise_xx_read(&to, 1, bytes_at(message, n), payload) &&
            noise_xx_write(&to, 2, bytes_of(NULL), &out))
            CHECK(!noise_xx_read(&from, 2, buf_view(&out), payload), "bit %zu", bit);
        message[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (size_t cut = 0; cut < NOISE_XX_1; cut++) {
        struct noise_xx to = ends[1];
        CHECK(!noise_xx_read(&to, 1, bytes_at(message, cut), payload), "%zu bytes", cut);
    }
    buf_free(&out);
}
TEST(noise_xx_low_order_ephemeral) {
    struct rng rng = rng_seeded(4);
    struct noise_xx x;
    struct buf out = {.max = 256};
    uint8_t payload[1], zero[32] = {0};
    noise_xx_start(&x, bytes_of(NULL), &rng);
    CHECK(noise_xx_read(&x, 1, bytes_at(zero, 32), payload), "message 1 has no key agreement yet");
    CHECK(!noise_xx_write(&x, 2, bytes_of(NULL), &out), "agreed with a low-order point");
    noise_xx_start(&x, bytes_of(NULL), &rng);
    uint8_t message[NOISE_XX_2] = {1};
    CHECK(!noise_xx_read(&x, 2, bytes_at(message, sizeof message), payload), "agreed with the point 1");
    buf_free(&out);
}
TEST(noise_xx_full_output_is_refused) {
    for (size_t max = 0; max <= NOISE_XX_2; max++) {
        struct rng rng = rng_seeded(5);
        struct noise_xx a, b;
        uint8_t payload[1];
        noise_xx_start(&a, bytes_of(NULL), &rng);
        noise_xx_start(&b, bytes_of(NULL), &rng);
        struct buf first = {.max = NOISE_XX_1}, out = {.max = max};
        CHECK(noise_xx_write(&a, 1, bytes_of(NULL), &first) &&
              noise_xx_read(&b, 1, buf_view(&first), payload));
        CHECK(noise_xx_write(&b, 2, bytes_of(NULL), &out) == (max == NOISE_XX_2), "with room for %zu", max);
        buf_free(&first);
        buf_free(&out);
    }
}
