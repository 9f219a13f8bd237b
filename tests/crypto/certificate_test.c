/* Certificates made with: openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 36500,
 * and -newkey rsa:2048. */
#include "crypto/certificate.h"
#include "tests/test.h"

static const char ec_cert[] = "-----BEGIN CERTIFICATE-----\n"
                              "MIIBbzCCARWgAwIBAgIUZZbUDHadmT1zWesRya+uiaOxNoEwCgYIKoZIzj0EAwIw\n"
                              "DDEKMAgGA1UEAwwBdDAgFw0yNjExMjQxMTAzMzhaGA8yMTI2MTAzMTExMDMzOFow\n"
                              "DDEKMAgGA1UEAwwBdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABDcF7ZnSsNLR\n"
                              "MDhPGV7Iaawqb1USMVwxmRj3Y0/EuRNIWlAzFPc5ExWnt8u8zfpkRqE3ftzJGEQi\n"
                              "1NeIFxRQ8E6jUzBRMB0GA1UdDgQWBBSbEy/sW00W98fLgjg9QfFRa0kZaTAfBgNV\n"
                              "HSMEGDAWgBSbEy/sW00W98fLgjg9QfFRa0kZaTAPBgNVHRMBAf8EBTADAQH/MAoG\n"
                              "CCqGSM49BAMCA0gAMEUCIQD8rXfHizf8zzZA191Ft7mZH8L8819IU21gVptvGfM4\n"
                              "xQIgKYN3gU7IjKs1qSJ266nI/bcYg/Vob8YffEhDCDlXfyM=\n"
                              "-----END CERTIFICATE-----\n";
static const char ec_key[] = "-----BEGIN PRIVATE KEY-----\n"
                             "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg6fIe9ewyK3NXmgAL\n"
                             "VYAgSsg6CUne49nu9Ka52LRXYiihRANCAAQ3Be2Z0rDS0TA4TxleyGmsKm9VEjFc\n"
                             "MZkY92NPxLkTSFpQMxT3ORMVp7fLvM36ZEahN37cyRhEItTXiBcUUPBO\n"
                             "-----END PRIVATE KEY-----\n";
static const char ec_other[] = "-----BEGIN EC PRIVATE KEY-----\n"
                               "MHcCAQEEINsT0k0G8LD+w15W1u+Z/bPg3ybzh6KM8oM3fNwYybBUoAoGCCqGSM49\n"
                               "AwEHoUQDQgAESRt5TTg5YfBer+3KS3hVHGMw1HDNqAMZg7S57xxYvZcOtZwDnImz\n"
                               "sbS76Ud1S9DeQ0MTsMARR0LCmAjvdNA4bQ==\n"
                               "-----END EC PRIVATE KEY-----\n";
static const char rsa_cert[] = "-----BEGIN CERTIFICATE-----\n"
                               "MIIC+zCCAeOgAwIBAgIUQylHnQ0qBbwi8sfLbPjpDROQgXowDQYJKoZIhvcNAQEL\n"
                               "BQAwDDEKMAgGA1UEAwwBdDAgFw0yNjExMjQxMTAzMzhaGA8yMTI2MTAzMTExMDMz\n"
                               "OFowDDEKMAgGA1UEAwwBdDCCASIwDQYJKoZIhvcNAQEBBQADggEPADCCAQoCggEB\n"
                               "ALy84QCHnnxrxU0/zarxHIWhkW3BSct+dbrzhEn4zFgVhBr/jQxeNO6f8OH4ThUN\n"
                               "maJW+BNclv69gKKqwPMqL99Gkzw/NYveN3u6ZeAs8YGeV6TpkGSXExd3ej7FnIzn\n"
                               "cUEQ3w0PpxCGTn2TnnOapd9Mk4agvWjYrllh5IUKU+ZjLZ3aXLtF/oe/wQWuaQDs\n"
                               "JQCDlPaKl8tqd5iFs7XwGjyrd41bjxQRFa/GvZMv9jzlVoJ71/Tmdk0drjhhocbH\n"
                               "ATS+XY2nGdoUkF46d4ExFeBgZW5tNnfQOouPhAj6Bkf5ikRJde0rlVKFAPuM4USo\n"
                               "D8GP0mTKN7n1qORNIzwLcicCAwEAAaNTMFEwHQYDVR0OBBYEFIUMvaudx8GuPjMZ\n"
                               "iTeCQax1Yj+cMB8GA1UdIwQYMBaAFIUMvaudx8GuPjMZiTeCQax1Yj+cMA8GA1Ud\n"
                               "EwEB/wQFMAMBAf8wDQYJKoZIhvcNAQELBQADggEBAB7aX29+uX9oIkrS+M6usKqj\n"
                               "FNI/joP+otrWnWIAxS8AB4tKfc/mXTTGqRthOalXwZWIilxP7K2rwc70FH4+3jsg\n"
                               "ujJ00bR0f/MxU/sYevGBP59PPynWpwg7Sp/SNTLPoVfHsDcA37FBhDqcBdoCaBXB\n"
                               "6tNFf/ggnXulmrON8mw5Ro8edrclw+b5SnCDCa0Igsiq2yAk+f/9gm+JSp3HwMhk\n"
                               "HMbwKz3utNzPNbfIEmM7UEZLQ5rAcV4G5Qker2nVuPllFpPkDw7HgWjaLv80TwkJ\n"
                               "M4QpGPqlVf9ENaD+HNFsFajL6nUrOk9nLUlUptprn2z6c8Kwqzeiyt4krv2Z2w8=\n"
                               "-----END CERTIFICATE-----\n";
static const char rsa_key[] = "-----BEGIN PRIVATE KEY-----\n"
                              "MIIEvgIBADANBgkqhkiG9w0BAQEFAASCBKgwggSkAgEAAoIBAQC8vOEAh558a8VN\n"
                              "P82q8RyFoZFtwUnLfnW684RJ+MxYFYQa/40MXjTun/Dh+E4VDZmiVvgTXJb+vYCi\n"
                              "qsDzKi/fRpM8PzWL3jd7umXgLPGBnlek6ZBklxMXd3o+xZyM53FBEN8ND6cQhk59\n"
                              "k55zmqXfTJOGoL1o2K5ZYeSFClPmYy2d2ly7Rf6Hv8EFrmkA7CUAg5T2ipfLaneY\n"
                              "hbO18Bo8q3eNW48UERWvxr2TL/Y85VaCe9f05nZNHa44YaHGxwE0vl2NpxnaFJBe\n"
                              "OneBMRXgYGVubTZ30DqLj4QI+gZH+YpESXXtK5VShQD7jOFEqA/Bj9Jkyje59ajk\n"
                              "TSM8C3InAgMBAAECggEAHSsxuOO8zizXtsscDYWq60ofkC9VqNH3/vcgpFADwL8+\n"
                              "he+lzFoI4zIrx7iY1K8f5dN8Dn36Rg9igIFURaBo+qBNI/v+2glzWLdjhERd5LLk\n"
                              "h7OjIbCpfjB0X5wpyCsCuVQSrNGU97xSCB1W2TX22a5bhGx2KWyHcX/sEdWZRtsc\n"
                              "H544FUCpcccBvDb6XL+/vx1kUHVyIbf6SkyGCwYWbr61oRp/RvZT+WGS5cVfXL/o\n"
                              "AdB8v860nuVplbl3uIhJkDfeYY9KitzckSlZJlYSFEARi80KJtM//YXSt5Rn0WLn\n"
                              "lCTvxUcaaNOu+kA8GQW2Njzxcq09avdeU/XgPhEueQKBgQDfTkRINL2anE7G4cJf\n"
                              "4Tzh1a/ZGpXWLGLKeAXQCjFjMHADpXsXWod0hANm+kdJS/A09+fV/yNjcN/qrq81\n"
                              "S2ionib7hZbhkS+C4Ae5GRIHEar+Zr7yciI0zoTkd6/vM/Mtli8oPWfZGG+y/ppE\n"
                              "tdoPhikBSZKfUTYIOlyyxsI6SQKBgQDYXvhe0p4cACfUkChg1e3BZSilz3Nu9Ff8\n"
                              "8GfRldP8N7bzXFq9UjJ+sLWekohfpYRSPbdkL0bivxKlEK2MCbshAgZ9gekqxXDW\n"
                              "y/wdvXuXsJ1e8frTVgg7/BudZXWHN4slcJuWnN/jGhhXtUMHSd8Rgkg0Lp+wXWfG\n"
                              "sdhfRb7I7wKBgQCMIEv+14GnVLCmYqKbkfanbHU1klY2GJJBpUFYhBzrtkiEMUJl\n"
                              "rDxV5EVSSHmVSB7Kzknf4oOtcfZBCS8PDWv2a4/gw7qjf3zF7plKEK5cWzzm+UiX\n"
                              "UQGgC3we9fAj9YCCubyLzsSs2YW2V8gsl8TnevOeSDHG4ao7TYw/7zOQaQKBgCzh\n"
                              "di9lDLrOJXTn+hgsB8cnzoimQVFwiZfD3iURKQmWHPLZ41CF7kdtLB8aUgNU999/\n"
                              "Qb0cOV3rOFjY3sa/dftgyivaeJ0Qm1lSspcQqMRMNDhvhRG1NLwMjUXWt8w2bzxy\n"
                              "4TMaky4uSYJX7PFkF0swdP2t9h3FIjOKzFDmzK4tAoGBANSjTW7gxx/7C5Yes5Ay\n"
                              "T8Pg85Fc1wNQzAiyWQrGRWPRIiujiAn0RXr0jGAudtsNMTEJwbIZWMz1NOTOLX/X\n"
                              "plUSLiAjtpFQDM0p4lk/MwcB/IFFw19qcFkTruL7GYX1nPXqTiT3OnVQKH73+zSd\n"
                              "lCp7hbHvykRzFRsEf7IDTUnZ\n"
                              "-----END PRIVATE KEY-----\n";

TEST(a_certificate_and_its_key) {
    struct wall until = {0};
    struct why w;
    CHECK(certificate_look(bytes_of(ec_cert), bytes_of(ec_key), &until, &w) == OK, "%s", w.text);
    CHECK(until.ms == 4949118218000LL, "%lld", (long long)until.ms);
    CHECK(certificate_look(bytes_of(rsa_cert), bytes_of(rsa_key), &until, &w) == OK, "%s", w.text);
    CHECK(until.ms == 4949118218000LL, "%lld", (long long)until.ms);
    CHECK(certificate_look(bytes_of(ec_cert), (struct bytes){NULL, 0}, &until, &w) == OK);
}

TEST(another_key_and_none) {
    struct wall until;
    struct why w;
    CHECK(certificate_look(bytes_of(ec_cert), bytes_of(rsa_key), &until, &w) == E_VERIFY);
    CHECK(certificate_look(bytes_of(rsa_cert), bytes_of(ec_key), &until, &w) == E_VERIFY);
    CHECK(certificate_look(bytes_of(ec_cert), bytes_of(ec_other), &until, &w) == E_VERIFY);
    CHECK(certificate_look(bytes_of(ec_cert), bytes_of(ec_cert), &until, &w) == E_INPUT);
    CHECK(certificate_look(bytes_of(ec_key), bytes_of(ec_key), &until, &w) == E_INPUT);
    CHECK(certificate_look(BYTES("nothing"), bytes_of(ec_key), &until, &w) == E_INPUT);
}

TEST(cut_and_changed_text_is_no_crash) {
    struct wall until;
    struct bytes cert = bytes_of(rsa_cert), key = bytes_of(ec_key);
    struct buf copy = {.max = 8192};
    for (size_t n = 0; n < cert.n; n++)
        CHECK(certificate_look(bytes_sub(cert, 0, n), key, &until, NULL) != OK);
    for (size_t n = 0; n < cert.n; n++) {
        buf_clear(&copy);
        buf_add(&copy, cert);
        copy.p[n] ^= 1;
        certificate_look(buf_view(&copy), key, &until, NULL);
    }
    buf_free(&copy);
}
