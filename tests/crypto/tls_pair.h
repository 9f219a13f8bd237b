/* tests/crypto/tls_pair.h: a certificate of the tests alone: P-256, for localhost and 127.0.0.1, until 2126,
 * signed by its own key. */
#pragma once

static const char tls_test_certificate[] =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBmjCCAUGgAwIBAgIUKMFFa8Hqnrx/xDmnadPDIz0pw+8wCgYIKoZIzj0EAwIw\n"
    "FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyNDExNDEwOFoYDzIxMjYxMDMx\n"
    "MTE0MTA4WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO\n"
    "PQMBBwNCAARkVd4cUCv0q09VUahcq7eqhnw/D2/70aaDu/sUehSWLn+oLXU1HffF\n"
    "m/5wb5FEl+E5VL23fs+nE9mMg6kmMOiBo28wbTAdBgNVHQ4EFgQUieMnZVxWgTE8\n"
    "FxpGjeaQLIC7KTAwHwYDVR0jBBgwFoAUieMnZVxWgTE8FxpGjeaQLIC7KTAwGgYD\n"
    "VR0RBBMwEYIJbG9jYWxob3N0hwR/AAABMA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZI\n"
    "zj0EAwIDRwAwRAIgHkFpItsVGdpDLDOxRxCZxV17T1zEZdetwJoefHBH64wCIArX\n"
    "1RaRso1taqUrx/M+jJAsTbE+WdX+c+IdtjoBh+03\n"
    "-----END CERTIFICATE-----\n";
static const char tls_test_key[] = "-----BEGIN PRIVATE KEY-----\n"
                                   "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg75yiJvISuZwxVmHb\n"
                                   "6TMl7KyLzb1QKCKlg7ovtNb1Hu6hRANCAARkVd4cUCv0q09VUahcq7eqhnw/D2/7\n"
                                   "0aaDu/sUehSWLn+oLXU1HffFm/5wb5FEl+E5VL23fs+nE9mMg6kmMOiB\n"
                                   "-----END PRIVATE KEY-----\n";
