// A go-libp2p peer for SilkTalk's interoperation tests: prints one JSON line when it listens, then takes
// one JSON command per line on standard input and answers each with one JSON line; ends with its input.
// Commands run side by side, so answers may come in another order: the "id" joins them.
package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/connmgr"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/pnet"
	"github.com/libp2p/go-libp2p/core/protocol"
	tptu "github.com/libp2p/go-libp2p/p2p/net/upgrader"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	libp2ptls "github.com/libp2p/go-libp2p/p2p/security/tls"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
)

type list []string

func (l *list) String() string     { return strings.Join(*l, ",") }
func (l *list) Set(s string) error { *l = append(*l, s); return nil }

// What every host of this program has in common: the peer itself, and the many of `many`.
type options struct {
	psk          pnet.PSK
	noEarlyMuxer bool
	noTLS        bool
}

type reply map[string]any

type command struct {
	ID        any     `json:"id"`
	Cmd       string  `json:"cmd"`
	Addr      string  `json:"addr"`
	Peer      string  `json:"peer"`
	Protocol  string  `json:"protocol"`
	Hex       string  `json:"hex"`
	Count     int     `json:"count"`
	Streams   int     `json:"streams"`
	Tries     int     `json:"tries"`
	PerAddr   int     `json:"per_address"`
	Bytes     int64   `json:"bytes"`
	Up        uint64  `json:"up"`
	Down      uint64  `json:"down"`
	Max       int64   `json:"max"`
	Timeout   float64 `json:"timeout"` // seconds
	HalfClose bool    `json:"half_close"`
	Ours      bool    `json:"ours"`
}

// noise.New with no muxers: they are agreed on inside the secured connection, as rust-libp2p does.
func noiseWithoutMuxers(id protocol.ID, key crypto.PrivKey, _ []tptu.StreamMuxer) (*noise.Transport, error) {
	return noise.New(id, key, nil)
}

func (o options) list() []libp2p.Option {
	out := []libp2p.Option{
		libp2p.ResourceManager(&network.NullResourceManager{}),
		libp2p.ConnectionManager(connmgr.NullConnMgr{}),
		libp2p.DisableRelay(),
		libp2p.DisableMetrics(),
		libp2p.UserAgent("silktalk-interop-go/1.0.0"),
	}
	if !o.noTLS {
		out = append(out, libp2p.Security(libp2ptls.ID, libp2ptls.New))
	}
	if o.noEarlyMuxer {
		out = append(out, libp2p.Security(noise.ID, noiseWithoutMuxers))
	} else {
		out = append(out, libp2p.Security(noise.ID, noise.New))
	}
	if o.psk != nil {
		out = append(out, libp2p.PrivateNetwork(o.psk))
	}
	return out
}

var keyTypes = map[string]int{
	"ed25519": crypto.Ed25519, "secp256k1": crypto.Secp256k1, "ecdsa": crypto.ECDSA, "rsa": crypto.RSA,
}

// The key in file, or a new one, kept there if a file is named.
func loadKey(kind, file string, bits int) (crypto.PrivKey, error) {
	if file != "" {
		if raw, err := os.ReadFile(file); err == nil {
			return crypto.UnmarshalPrivateKey(raw)
		} else if !os.IsNotExist(err) {
			return nil, err
		}
	}
	number, known := keyTypes[kind]
	if !known {
		return nil, fmt.Errorf("unknown key type %q", kind)
	}
	key, _, err := crypto.GenerateKeyPairWithReader(number, bits, rand.Reader)
	if err != nil || file == "" {
		return key, err
	}
	raw, err := crypto.MarshalPrivateKey(key)
	if err != nil {
		return nil, err
	}
	return key, os.WriteFile(file, raw, 0o600)
}

func newHost(o options, key crypto.PrivKey, listen []string) (host.Host, error) {
	opts := append(o.list(), libp2p.Identity(key), libp2p.Transport(tcp.NewTCPTransport))
	if len(listen) > 0 {
		opts = append(opts, libp2p.ListenAddrStrings(listen...))
	} else {
		opts = append(opts, libp2p.NoListenAddrs)
	}
	return libp2p.New(opts...)
}

func fullAddrs(h host.Host) []string {
	out := []string{}
	for _, a := range h.Addrs() {
		out = append(out, a.String()+"/p2p/"+h.ID().String())
	}
	return out
}

var (
	outLock sync.Mutex
	out     = json.NewEncoder(os.Stdout)
)

func say(r reply) {
	outLock.Lock()
	defer outLock.Unlock()
	_ = out.Encode(r)
}

func answer(p *peerHost, c command) {
	run, known := commands[c.Cmd]
	if !known {
		say(reply{"id": c.ID, "ok": false, "error": "unknown command " + c.Cmd})
		return
	}
	timeout := c.timeout(60)
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	r, err := run(ctx, p, c)
	if err != nil {
		say(reply{"id": c.ID, "ok": false, "error": err.Error()})
		return
	}
	if r == nil {
		r = reply{}
	}
	r["id"], r["ok"] = c.ID, true
	say(r)
}

func run() error {
	var listen list
	var o options
	flag.Var(&listen, "listen", "multiaddr to listen on (repeatable)")
	kind := flag.String("key-type", "ed25519", "ed25519, secp256k1, ecdsa or rsa")
	bits := flag.Int("rsa-bits", 2048, "size of a new RSA key")
	keyFile := flag.String("key-file", "", "libp2p protobuf private key, created if it is missing")
	pskFile := flag.String("psk", "", "swarm.key of a private network")
	flag.BoolVar(&o.noEarlyMuxer, "no-early-muxer", false, "agree on the muxer after Noise, not within it")
	flag.BoolVar(&o.noTLS, "no-tls", false, "offer Noise alone")
	flag.Parse()

	key, err := loadKey(*kind, *keyFile, *bits)
	if err != nil {
		return err
	}
	if *pskFile != "" {
		f, err := os.Open(*pskFile)
		if err != nil {
			return err
		}
		o.psk, err = pnet.DecodeV1PSK(f)
		f.Close()
		if err != nil {
			return err
		}
	}
	h, err := newHost(o, key, listen)
	if err != nil {
		return err
	}
	defer h.Close()
	p, err := serve(h, o)
	if err != nil {
		return err
	}
	say(reply{"ready": true, "peer_id": h.ID().String(), "addrs": fullAddrs(h)})

	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	for {
		line, err := in.ReadBytes('\n')
		if len(line) > 1 {
			var c command
			if bad := json.Unmarshal(line, &c); bad != nil {
				say(reply{"id": nil, "ok": false, "error": "not a command: " + bad.Error()})
			} else {
				go answer(p, c)
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func main() {
	if err := run(); err != nil {
		say(reply{"ready": false, "error": err.Error()})
		fmt.Fprintln(os.Stderr, "go-peer:", err)
		os.Exit(1)
	}
}
