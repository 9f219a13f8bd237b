/* Addresses that are good, and those that two programs would read in two ways. */
#include "proto/url.h"

#include <stdio.h>

#include "tests/test.h"

TEST(addresses_are_taken_apart) {
    static const struct {
        const char *text, *host, *target, *field, *whole;
        unsigned port;
        bool tls, ip;
    } rows[] = {
        {"https://hooks.example.com/a/b?c=d", "hooks.example.com", "/a/b?c=d", "hooks.example.com",
         "hooks.example.com:443", 443, true, false},
        {"HTTP://Host:8080", "host", "/", "host:8080", "host:8080", 8080, false, false},
        {"http://10.0.0.7:80/x", "10.0.0.7", "/x", "10.0.0.7", "10.0.0.7:80", 80, false, true},
        {"https://[2001:db8::1]:8443/", "2001:db8::1", "/", "[2001:db8::1]:8443", "[2001:db8::1]:8443", 8443,
         true, true},
        {"http://a?b=c", "a", "/?b=c", "a", "a:80", 80, false, false},
        {"http://a_b-c.d1/%20", "a_b-c.d1", "/%20", "a_b-c.d1", "a_b-c.d1:80", 80, false, false},
    };
    for (size_t i = 0; i < LEN(rows); i++) {
        struct url u;
        struct why w = {OK, ""};
        char field[URL_FIELD_MAX + 1];
        CHECK(url_read(bytes_of(rows[i].text), &u, &w) == OK, "%s: %s", rows[i].text, w.text);
        CHECK(strcmp(u.host, rows[i].host) == 0 && strcmp(u.target, rows[i].target) == 0, "%s: %s %s",
              rows[i].text, u.host, u.target);
        CHECK(u.port == rows[i].port && u.tls == rows[i].tls && u.is_ip == rows[i].ip, "%s", rows[i].text);
        url_authority(&u, false, field);
        CHECK(strcmp(field, rows[i].field) == 0, "%s", field);
        url_authority(&u, true, field);
        CHECK(strcmp(field, rows[i].whole) == 0, "%s", field);
    }
}

TEST(what_is_no_address_is_refused) {
    static const char *const rows[] = {"",
                                       "http",
                                       "http:/a",
                                       "ftp://a",
                                       "https:a",
                                       "http://",
                                       "http:///x",
                                       "http://a:0",
                                       "http://a:65536",
                                       "http://a:",
                                       "http://a:8x",
                                       "http://u@a/",
                                       "http://u:p@a/",
                                       "http://a b/",
                                       "http://a/\n",
                                       "http://a/\x80",
                                       "http://a#b",
                                       "http://a/b#c",
                                       "http://a\\b",
                                       "http://[::1",
                                       "http://[::1]x",
                                       "http://[a]/",
                                       "http://::1/",
                                       "http://127.1/",
                                       "http://0x7f.1/",
                                       "http://2130706433/",
                                       "http://1.2.3.4.5/",
                                       "http://a..b/",
                                       "http://.a/",
                                       "http://a./",
                                       "http://-a/",
                                       "http://[10.0.0.1]/",
                                       "http://a:80:90/",
                                       "http://%61/",
                                       "http://0x7f000001/"};
    for (size_t i = 0; i < LEN(rows); i++) {
        struct url u;
        struct why w = {OK, ""};
        CHECK(url_read(bytes_of(rows[i]), &u, &w) == E_INPUT && w.text[0] != 0, "%s", rows[i]);
    }
}

TEST(lengths_have_limits) {
    char text[URL_TARGET_MAX + 64];
    struct url u;
    struct why w;
    snprintf(text, sizeof text, "http://a/%0*d", URL_TARGET_MAX - 1, 0);
    CHECK(url_read(bytes_of(text), &u, &w) == OK && strlen(u.target) == URL_TARGET_MAX);
    snprintf(text, sizeof text, "http://a/%0*d", URL_TARGET_MAX, 0);
    CHECK(url_read(bytes_of(text), &u, &w) == E_INPUT);
    for (int labels = 126; labels <= 127; labels++) { /* 2n - 1 characters; 253 may be */
        char *p = text + snprintf(text, sizeof text, "http://");
        for (int i = 0; i < labels; i++) p += snprintf(p, 4, "%sa", i > 0 ? "." : "");
        CHECK(url_read(bytes_of(text), &u, &w) == OK && strlen(u.host) == (size_t)(2 * labels - 1));
    }
    char *p = text + snprintf(text, sizeof text, "http://");
    for (int i = 0; i < 128; i++) p += snprintf(p, 4, "%sa", i > 0 ? "." : "");
    CHECK(url_read(bytes_of(text), &u, &w) == E_INPUT);
    snprintf(text, sizeof text, "http://%063d.a/", 0);
    CHECK(url_read(bytes_of(text), &u, &w) == OK);
    snprintf(text, sizeof text, "http://%064d.a/", 0);
    CHECK(url_read(bytes_of(text), &u, &w) == E_INPUT);
}

TEST(the_same_server_is_scheme_host_and_port) {
    static const char *const rows[] = {"https://a/x", "https://A:443/y", "http://a/x", "https://a:444/",
                                       "https://b/"};
    struct url first, u;
    CHECK(url_read(bytes_of(rows[0]), &first, NULL) == OK);
    for (size_t i = 0; i < LEN(rows); i++) {
        CHECK(url_read(bytes_of(rows[i]), &u, NULL) == OK);
        CHECK(url_same_server(&first, &u) == (i < 2), "%s", rows[i]);
    }
}
