package main

import (
	"bufio"
	"bytes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"

	"golang.org/x/crypto/chacha20poly1305"
)

// The dialing end of Noise_XX_25519_ChaChaPoly_SHA256 as libp2p runs it (specs noise/README.md), made to cost the
// load generator as little as can be: its ephemeral key is its static key, made once, so that of the three
// Diffie-Hellman results one is known already for each server and two are the same; its payloads are signed
// before the measurement; the server's signature is not checked. The server notices none of this.

const (
	suite     = "Noise_XX_25519_ChaChaPoly_SHA256"
	recordMax = 65535
	tagSize   = 16
)

// A stock of identities, each with its ready handshake payload.
type stock struct {
	key      *ecdh.PrivateKey
	payloads [][]byte
	public   [][]byte // protobuf, for identify
	lock     sync.Mutex
	known    map[[32]byte][]byte // server's static key -> the result with ours
}

func pbBytes(out []byte, field byte, b []byte) []byte {
	out = append(out, field<<3|2)
	out = binary.AppendUvarint(out, uint64(len(b)))
	return append(out, b...)
}

func publicKeyProto(pub ed25519.PublicKey) []byte { return append([]byte{8, 1, 18, 32}, pub...) }

func newStock(n int) (*stock, error) {
	key, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	s := &stock{key: key, known: map[[32]byte][]byte{}}
	for range n {
		pub, private, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			return nil, err
		}
		signed := append([]byte("noise-libp2p-static-key:"), key.PublicKey().Bytes()...)
		p := pbBytes(nil, 1, publicKeyProto(pub))
		p = pbBytes(p, 2, ed25519.Sign(private, signed))
		p = pbBytes(p, 4, pbBytes(nil, 2, []byte("/yamux/1.0.0")))
		s.payloads, s.public = append(s.payloads, p), append(s.public, publicKeyProto(pub))
	}
	return s, nil
}

func (s *stock) withStatic(server []byte) ([]byte, error) {
	s.lock.Lock()
	defer s.lock.Unlock()
	id := [32]byte(server)
	if got, found := s.known[id]; found {
		return got, nil
	}
	got, err := dh(s.key, server)
	if err == nil {
		s.known[id] = got
	}
	return got, err
}

func dh(key *ecdh.PrivateKey, public []byte) ([]byte, error) {
	p, err := ecdh.X25519().NewPublicKey(public)
	if err != nil {
		return nil, err
	}
	return key.ECDH(p)
}

type symmetric struct {
	ck, h [32]byte
	aead  cipher.AEAD
	n     uint64
}

func (s *symmetric) mixHash(b []byte) { s.h = sha256.Sum256(append(s.h[:len(s.h):len(s.h)], b...)) }

func hkdf(ck, in []byte) (a, b [32]byte) {
	m := hmac.New(sha256.New, ck)
	m.Write(in)
	temp := m.Sum(nil)
	m = hmac.New(sha256.New, temp)
	m.Write([]byte{1})
	copy(a[:], m.Sum(nil))
	m.Reset()
	m.Write(a[:])
	m.Write([]byte{2})
	copy(b[:], m.Sum(nil))
	return a, b
}

func (s *symmetric) mixKey(in []byte) {
	var k [32]byte
	s.ck, k = hkdf(s.ck[:], in)
	s.aead, _ = chacha20poly1305.New(k[:])
	s.n = 0
}

func nonce(n uint64) []byte {
	var b [12]byte
	binary.LittleEndian.PutUint64(b[4:], n)
	return b[:]
}

func (s *symmetric) seal(plain []byte) []byte {
	out := s.aead.Seal(nil, nonce(s.n), plain, s.h[:])
	s.n++
	s.mixHash(out)
	return out
}

func (s *symmetric) open(sealed []byte) ([]byte, error) {
	out, err := s.aead.Open(nil, nonce(s.n), sealed, s.h[:])
	s.n++
	s.mixHash(sealed)
	return out, err
}

// A secured connection: records out of recv, bytes in by write.
type secure struct {
	net.Conn
	in         *bufio.Reader
	send, recv cipher.AEAD
	sendN      uint64
	recvN      uint64
	sealed     []byte
	earlyMuxer bool
}

func (c *secure) readFrame(max int) ([]byte, error) {
	var head [2]byte
	if _, err := io.ReadFull(c.in, head[:]); err != nil {
		return nil, err
	}
	n := int(binary.BigEndian.Uint16(head[:]))
	if n > max {
		return nil, errors.New("a frame that is too long")
	}
	b := make([]byte, n)
	_, err := io.ReadFull(c.in, b)
	return b, err
}

func frame(b []byte) []byte { return append([]byte{byte(len(b) >> 8), byte(len(b))}, b...) }

// One proposal of multistream-select on the bare connection.
func selectRaw(c io.Writer, in *bufio.Reader, protocol string) error {
	hello := "\x13/multistream/1.0.0\n"
	want := hello + string(rune(len(protocol)+1)) + protocol + "\n"
	if _, err := io.WriteString(c, want); err != nil {
		return err
	}
	got := make([]byte, len(want))
	if _, err := io.ReadFull(in, got); err != nil {
		return err
	}
	if string(got) != want {
		return fmt.Errorf("%s was not agreed on: %q", protocol, got)
	}
	return nil
}

func (s *stock) handshake(c net.Conn, identity, room int) (*secure, error) {
	out := &secure{Conn: c, in: bufio.NewReaderSize(c, room)}
	if err := selectRaw(c, out.in, "/noise"); err != nil {
		return nil, err
	}
	var y symmetric
	copy(y.h[:], suite)
	y.ck = y.h
	y.mixHash(nil) // the prologue is empty
	own := s.key.PublicKey().Bytes()
	y.mixHash(own)
	y.mixHash(nil)
	if _, err := c.Write(frame(own)); err != nil {
		return nil, err
	}
	second, err := out.readFrame(4096)
	if err != nil {
		return nil, err
	}
	if len(second) < 32+48+tagSize {
		return nil, errors.New("the second handshake message is too short")
	}
	remote := second[:32]
	y.mixHash(remote)
	ee, err := dh(s.key, remote)
	if err != nil {
		return nil, err
	}
	y.mixKey(ee)
	static, err := y.open(second[32:80])
	if err != nil {
		return nil, err
	}
	es, err := s.withStatic(static)
	if err != nil {
		return nil, err
	}
	y.mixKey(es)
	payload, err := y.open(second[80:])
	if err != nil {
		return nil, err
	}
	out.earlyMuxer = bytes.Contains(payload, []byte("/yamux/1.0.0"))
	third := y.seal(own)
	y.mixKey(ee) // se: our static key is our ephemeral one
	third = append(third, y.seal(s.payloads[identity%len(s.payloads)])...)
	if _, err := c.Write(frame(third)); err != nil {
		return nil, err
	}
	k1, k2 := hkdf(y.ck[:], nil)
	out.send, _ = chacha20poly1305.New(k1[:])
	out.recv, _ = chacha20poly1305.New(k2[:])
	return out, nil
}

// The next record's plaintext, good until the next call.
func (c *secure) record() ([]byte, error) {
	head, err := c.in.Peek(2)
	if err != nil {
		return nil, err
	}
	n := int(binary.BigEndian.Uint16(head))
	all, err := c.in.Peek(2 + n)
	if err != nil {
		return nil, err
	}
	var number [12]byte
	binary.LittleEndian.PutUint64(number[4:], c.recvN)
	c.recvN++
	out, err := c.recv.Open(all[2:2], number[:], all[2:], nil) // in place, in the reader's own memory
	if err != nil {
		return nil, err
	}
	_, err = c.in.Discard(2 + n)
	return out, err
}

// Seals b into as many records as it takes, behind those that wait in sealed. One caller at a time.
func (c *secure) seal(b []byte) {
	for len(b) > 0 {
		part := b[:min(len(b), recordMax-tagSize)]
		b = b[len(part):]
		n := len(part) + tagSize
		c.sealed = append(c.sealed, byte(n>>8), byte(n))
		var number [12]byte
		binary.LittleEndian.PutUint64(number[4:], c.sendN)
		c.sendN++
		c.sealed = c.send.Seal(c.sealed, number[:], part, nil)
	}
}

// Writes the records that wait, and b, at once.
func (c *secure) write(b []byte) error {
	c.seal(b)
	if len(c.sealed) == 0 {
		return nil
	}
	_, err := c.Conn.Write(c.sealed)
	c.sealed = c.sealed[:0]
	return err
}
