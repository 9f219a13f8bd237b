// A go-libp2p server for `make bench`: TCP, Noise, Yamux, identify, ping and perf, no limits, nothing else.
// Prints one JSON line when it listens, and ends with its input. With commands on its input it is a client:
// {"addr": multiaddr, "up": bytes, "down": bytes} -> {"seconds": s}.
package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/connmgr"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
)

const perfID = "/perf/1.0.0"

func loadKey(file string) (crypto.PrivKey, error) {
	if raw, err := os.ReadFile(file); err == nil {
		return crypto.UnmarshalPrivateKey(raw)
	}
	key, _, err := crypto.GenerateEd25519Key(rand.Reader)
	if err != nil {
		return nil, err
	}
	raw, err := crypto.MarshalPrivateKey(key)
	if err != nil {
		return nil, err
	}
	return key, os.WriteFile(file, raw, 0o600)
}

func finish(s network.Stream, err error) {
	if err != nil {
		s.Reset()
		return
	}
	s.Close()
}

func sendZeros(s network.Stream, n uint64) error {
	zeros := make([]byte, 64<<10)
	for n > 0 {
		done, err := s.Write(zeros[:min(n, uint64(len(zeros)))])
		if err != nil {
			return err
		}
		n -= uint64(done)
	}
	return nil
}

func servePerf(s network.Stream) {
	var head [8]byte
	_, err := io.ReadFull(s, head[:])
	if err == nil {
		_, err = io.Copy(io.Discard, s)
	}
	if err == nil {
		err = sendZeros(s, binary.BigEndian.Uint64(head[:]))
	}
	finish(s, err)
}

type transfer struct {
	Addr     string
	Up, Down uint64
}

func fetch(h host.Host, t transfer) (float64, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	to, err := peer.AddrInfoFromString(t.Addr)
	if err != nil {
		return 0, err
	}
	if err = h.Connect(ctx, *to); err != nil {
		return 0, err
	}
	begin := time.Now()
	s, err := h.NewStream(ctx, to.ID, perfID)
	if err != nil {
		return 0, err
	}
	if err = binary.Write(s, binary.BigEndian, t.Down); err == nil {
		err = sendZeros(s, t.Up)
	}
	if err == nil {
		err = s.CloseWrite()
	}
	var got int64
	if err == nil {
		got, err = io.Copy(io.Discard, s)
	}
	if err == nil && uint64(got) != t.Down {
		err = fmt.Errorf("%d bytes came, not %d", got, t.Down)
	}
	finish(s, err)
	return time.Since(begin).Seconds(), err
}

func run() error {
	listen := flag.String("listen", "/ip4/127.0.0.1/tcp/0", "multiaddr")
	file := flag.String("key", "key", "libp2p private key, made if it is missing")
	flag.Parse()
	key, err := loadKey(*file)
	if err != nil {
		return err
	}
	h, err := libp2p.New(libp2p.Identity(key), libp2p.ListenAddrStrings(*listen),
		libp2p.Transport(tcp.NewTCPTransport), libp2p.Security(noise.ID, noise.New),
		libp2p.ResourceManager(&network.NullResourceManager{}), libp2p.ConnectionManager(connmgr.NullConnMgr{}),
		libp2p.DisableRelay(), libp2p.DisableMetrics())
	if err != nil {
		return err
	}
	defer h.Close()
	h.SetStreamHandler(perfID, servePerf)
	out := json.NewEncoder(os.Stdout)
	out.Encode(map[string]any{"peer_id": h.ID().String()})
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		var t transfer
		if err := json.Unmarshal(in.Bytes(), &t); err != nil {
			return err
		}
		seconds, err := fetch(h, t)
		if err != nil {
			return err
		}
		out.Encode(map[string]any{"seconds": seconds})
	}
	return nil
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "go server:", err)
		os.Exit(1)
	}
}
