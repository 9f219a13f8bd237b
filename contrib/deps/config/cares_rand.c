/* c-ares 1.18 seeds its query ids from /dev/urandom or, without one, from rand(). SilkTalk runs in roots that have
 * no /dev, so ares_init.c is compiled with -Drand=silktalk_cares_rand and gets the kernel's random bytes. */
#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

int silktalk_cares_rand(void);

int silktalk_cares_rand(void) {
    unsigned char byte;
    ssize_t n;
    do n = getrandom(&byte, 1, 0);
    while (n < 0 && errno == EINTR);
    if (n != 1) abort(); /* a guessable id would let anyone answer our queries */
    return byte;
}
