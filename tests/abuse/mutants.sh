#!/bin/bash
# Takes each guard out, one at a time, in a copy, and expects its test to fail: mutants.sh [WORD of the line]...
# Not part of the checks: it builds some 40 times (about ten minutes). Test, file, what sed does to it.
cd "$(dirname "$0")/../.." || exit 1
list='
half_open_connections|lib/node/swarm.c|s/^static void drop_stalled.*/&\n    return;/
hoarders|lib/node/swarm.c|s/held >= max \/ 2/false/
mux-stream-flood|lib/proto/yamux.c|s/ \&\& y->inbound < y->inbound_max//
silence|lib/node/connection.c|s/: "handshake not finished in time"/: "never"/
rsa-16384|lib/crypto/key.c|s/encoded.n > PUBLIC_KEY_MAX/false/
rsa-8200|lib/crypto/peer_rsa.c|s/n < RSA_BITS_LEAST || n > RSA_BITS_MOST/n < RSA_BITS_LEAST/
rsa-1024|lib/crypto/peer_rsa.c|s/n < RSA_BITS_LEAST || n > RSA_BITS_MOST/n > RSA_BITS_MOST/
rsa-even-exponent|lib/crypto/peer_rsa.c|s/ || e % 2 == 0//
rsa-huge-exponent|lib/crypto/peer_rsa.c|s/ || e > RSA_EXPONENT_MOST//
rsa-lying|lib/crypto/der.c|s/return rd_take(r, n);/return rd_take(r, MIN(n, r->in.n));/; s/if (r->in.n != 0) r->bad = true/(void)r/
record-forged|lib/proto/peer_record.c|s/return good ? OK : fail/return true ? OK : fail/
record-foreign|lib/proto/peer_record.c|s/!peer_id_eq(&out->peer, expected)/false/; s/!peer_id_eq(&signer, expected)/false/
record-key-is-not-its-id|lib/proto/peer_record.c|s/!peer_id_eq(&out->peer, expected)/false/
records_are_kept_newest|lib/node/peers.c|s/id->record_seq < p->record_seq/false/
noise-signature-empty|lib/proto/noise.c|s/!public_key_verify(/false \&\& !public_key_verify(/
noise-signature-altered|lib/proto/noise.c|s/!public_key_verify(/false \&\& !public_key_verify(/
noise-signature-foreign|lib/proto/noise.c|s/!public_key_verify(/false \&\& !public_key_verify(/
noise-signature-replayed|lib/proto/noise.c|s/memcpy(text + SIGNED - 32, static_key, 32)/memset(text + SIGNED - 32, 9, 32)/
noise-signature-missing|lib/proto/noise.c|s/ \&\& out->has_key \&\& out->has_signature//
noise-impersonate|lib/proto/noise.c|s/!public_key_verify(/false \&\& !public_key_verify(/
noise_as_dialer|lib/proto/noise.c|s/!z->any_peer \&\& !peer_id_eq/false \&\& !peer_id_eq/
noise_as_dialer|lib/proto/noise.c|s/!public_key_verify(/false \&\& !public_key_verify(/
noise-low-e|lib/crypto/aead.c|s/return crypto_scalarmult_curve25519(out, secret, public) == 0.*/(void)zero; (void)!crypto_scalarmult_curve25519(out, secret, public); return true;/
at_each_byte|lib/base/log.h|s/LOG_REPEAT_MAX = 100/LOG_REPEAT_MAX = 100000/
mux-data-syn|lib/proto/yamux.c|s/f->type == FRAME_DATA \&\& f->length > YAMUX_WINDOW/false/
mux-window-over|lib/proto/yamux.c|s/payload > s->credit/false/
mux-length-max|lib/proto/yamux.c|s/payload > YAMUX_WINDOW_MAX/false/
mux-credit-overflow|lib/proto/yamux.c|s/delta > UINT32_MAX - s->send_credit/false/
mux-credit-overflow-syn|lib/proto/yamux.c|s/f->type == FRAME_WINDOW \&\& f->length > UINT32_MAX - YAMUX_WINDOW/false/; s/delta > UINT32_MAX - s->send_credit/false/
mux-parity|lib/proto/yamux.c|s/of_client == y->client/false/
mux-twice|lib/proto/yamux.c|s/find(y, f->id) != NULL/false/
mux-stream-zero|lib/proto/yamux.c|s/f->id == 0/false/
mux-version|lib/proto/yamux.c|s/p\[0\] != 0/false/
mux-ping-flood|lib/proto/yamux.c|s/++\*counter > max/false/
mux-syn-flood|lib/proto/yamux.c|s/++\*counter > max/false/
mux-syn-rst-flood|lib/proto/yamux.c|s/++\*counter > max/false/
mux-rapid-reset|lib/proto/yamux.c|s/++\*counter > max/false/
mux-unread|lib/proto/yamux.c|s/out_space(y, YAMUX_CONTROL_MAX, YAMUX_HEADER)/out_space(y, 1 << 28, YAMUX_HEADER)/
mux-fin-after-rst|lib/proto/yamux.c|s/if (s == NULL || y->why.code != OK) return;.*/if (s == NULL) over(y, E_PROTO, "unknown");\n    if (s == NULL || y->why.code != OK) return;/
mux-zero-window|lib/proto/yamux.c|s/n = s->send_credit < data.n ? (size_t)s->send_credit : data.n/n = data.n/
id-long|lib/proto/identify.c|s/n > IDENTIFY_MESSAGE_MAX/false/
id-chunks|lib/proto/identify.c|s/r->messages == IDENTIFY_MESSAGES_MAX/false/
id-key|lib/proto/identify.c|s/return peer_id_eq(&id, peer) ? OK/return true ? OK/
push-flood|lib/node/services.c|s/limit_hit(&n->limits, LIMIT_PUSHES, p->pushes)/false/
stores_do_not_grow|lib/node/peers.c|s/n->peers.n >= n->peers.max/false/; s/if (p->n_addrs >= limit_max(&n->limits, LIMIT_PEER_ADDRESSES))/if (false)/
stores_do_not_grow|lib/node/peers.c|s/if (p->n_addrs >= limit_max(&n->limits, LIMIT_PEER_ADDRESSES))/if (false)/
msg-id-short|lib/proto/message.c|s/v.n != MESSAGE_ID/v.n > MESSAGE_ID/
msg-utf8|lib/proto/message.c|s/!utf8_valid(m->subject)/false/
msg-oversized|lib/proto/message.c|s/n > MESSAGE_FRAME_MAX/n > MESSAGE_FRAME_MAX * 2/
msg-stranger|lib/node/message_stream.c|s/!access_may_send(n, p)/false/
file-more|lib/node/file_stream.c|s/if (left == 0) return stream_fault.*/if (left == 0) { *in = bytes_skip(*in, in->n); break; }/
file-path|lib/proto/file.c|s/const char \*file_name_fault(struct bytes name) {/&\n    if (name.n > 0) return NULL;/
terminal_escapes|lib/base/text.c|s/utf8_control(code)/false/
stores_do_not_grow|lib/node/node.c|s/op->kind == STORE_PEER_DROP \&\& op->err == E_NOT_FOUND/false/
'
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
make -s all build/abuse/attacker build/abuse/silktalk || exit 1
cp -a Makefile VERSION LICENSE silktalk.c lib ops contrib "$work" || exit 1
mkdir -p "$work/tests" "$work/build"
cp -a tests/abuse tests/interop tests/bench "$work/tests"
cp -a build/musl build/gen build/abuse build/silktalk build/silktalk.debug "$work/build"
ln -s "$PWD/build/deps" "$work/build/deps"
cd "$work" || exit 1
survivors=0 killed=0
while IFS='|' read -r name files change; do
    [ -n "$name" ] || continue
    if [ $# -gt 0 ]; then
        found=
        for word in "$@"; do case "$name|$files|$change" in *"$word"*) found=1 ;; esac; done
        [ -n "$found" ] || continue
    fi
    for f in $files; do cp -a "$f" "$f.kept" && sed -i "$change" "$f"; done
    changed=
    for f in $files; do cmp -s "$f" "$f.kept" || changed=1; done
    if [ -z "$changed" ]; then
        echo "NO CHANGE  $name: $files: $change"
        survivors=$((survivors + 1))
    elif ! make -s WARN=-w all >build.log 2>&1; then
        echo "NO BUILD   $name: $(grep -m1 error build.log)"
        survivors=$((survivors + 1))
    elif SILKTALK=build/silktalk timeout 120 python3 tests/abuse/abuse.py "$name" >run.log 2>&1; then
        echo "SURVIVED   $name: $change"
        survivors=$((survivors + 1))
    else
        killed=$((killed + 1))
        echo "killed     $name: $(grep -E 'Error' run.log | tail -1 | cut -c1-150)"
    fi
    for f in $files; do mv "$f.kept" "$f" && touch "$f"; done
done <<<"$list"
echo "$killed guards missed when they are out, $survivors not"
[ "$survivors" -eq 0 ]
