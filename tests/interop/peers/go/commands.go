package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	mathrand "math/rand/v2"
	"sort"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/protocol/ping"
)

type handler func(context.Context, *peerHost, command) (reply, error)

var commands map[string]handler

func init() { // not a literal: `answer` and the table would refer to each other
	commands = map[string]handler{
		"id": cmdID, "connect": cmdConnect, "disconnect": cmdDisconnect, "peers": cmdPeers,
		"wait_peer": cmdWaitPeer, "wait_gone": cmdWaitGone, "identify": cmdIdentify, "ping": cmdPing,
		"perf": cmdPerf, "echo": cmdEcho, "halfclose": cmdHalfClose, "reset": cmdReset, "raw": cmdRaw,
		"sinks": cmdSinks, "handle": cmdHandle, "unhandle": cmdUnhandle,
		"many": cmdMany, "many_alive": cmdManyAlive, "release": cmdRelease,
	}
}

func (c command) timeout(seconds float64) time.Duration {
	if c.Timeout > 0 {
		seconds = c.Timeout
	}
	return time.Duration(seconds * float64(time.Second))
}

func (c command) peerID() (peer.ID, error) { return peer.Decode(c.Peer) }

func (c command) protocolOr(id protocol.ID) protocol.ID {
	if c.Protocol != "" {
		return protocol.ID(c.Protocol)
	}
	return id
}

func (p *peerHost) open(ctx context.Context, c command, id protocol.ID) (network.Stream, error) {
	to, err := c.peerID()
	if err != nil {
		return nil, err
	}
	s, err := p.NewStream(network.WithNoDial(ctx, "tests connect themselves"), to, c.protocolOr(id))
	if err != nil {
		return nil, err
	}
	deadline, _ := ctx.Deadline()
	s.SetDeadline(deadline)
	return s, nil
}

func cmdID(_ context.Context, p *peerHost, _ command) (reply, error) {
	return reply{"peer_id": p.ID().String(), "addrs": fullAddrs(p.Host), "key_type": p.keyType(p.ID())}, nil
}

func (p *peerHost) keyType(id peer.ID) string {
	key := p.Peerstore().PubKey(id)
	if key == nil {
		return ""
	}
	for name, number := range keyTypes {
		if int(key.Type()) == number {
			return name
		}
	}
	return key.Type().String()
}

func cmdConnect(ctx context.Context, p *peerHost, c command) (reply, error) {
	info, err := peer.AddrInfoFromString(c.Addr)
	if err != nil {
		return nil, err
	}
	if err := p.Connect(network.WithForceDirectDial(ctx, "test"), *info); err != nil {
		return nil, err
	}
	return reply{"peer_id": info.ID.String()}, nil
}

func cmdDisconnect(_ context.Context, p *peerHost, c command) (reply, error) {
	id, err := c.peerID()
	if err != nil {
		return nil, err
	}
	return nil, p.Network().ClosePeer(id)
}

func cmdPeers(_ context.Context, p *peerHost, _ command) (reply, error) {
	items := []reply{}
	for _, conn := range p.Network().Conns() {
		state := conn.ConnState()
		items = append(items, reply{"peer_id": conn.RemotePeer().String(),
			"addr": conn.RemoteMultiaddr().String(), "direction": conn.Stat().Direction.String(),
			"streams": len(conn.GetStreams()), "security": string(state.Security),
			"muxer": string(state.StreamMultiplexer), "early_muxer": state.UsedEarlyMuxerNegotiation,
			"key_type": p.keyType(conn.RemotePeer())})
	}
	return reply{"items": items}, nil
}

func waitFor(ctx context.Context, what string, done func() bool) error {
	for !done() {
		select {
		case <-ctx.Done():
			return fmt.Errorf("waited in vain: %s", what)
		case <-time.After(10 * time.Millisecond):
		}
	}
	return nil
}

func cmdWaitPeer(ctx context.Context, p *peerHost, c command) (reply, error) {
	id, err := c.peerID()
	if err != nil {
		return nil, err
	}
	return nil, waitFor(ctx, "peer connected",
		func() bool { return p.Network().Connectedness(id) == network.Connected })
}

func cmdWaitGone(ctx context.Context, p *peerHost, c command) (reply, error) {
	id, err := c.peerID()
	if err != nil {
		return nil, err
	}
	return nil, waitFor(ctx, "peer gone",
		func() bool { return p.Network().Connectedness(id) != network.Connected })
}

// What the other end's identify told, once it has; the protocols as later pushes left them.
func cmdIdentify(ctx context.Context, p *peerHost, c command) (reply, error) {
	id, err := c.peerID()
	if err != nil {
		return nil, err
	}
	var e event.EvtPeerIdentificationCompleted
	var found bool
	var pushes int
	err = waitFor(ctx, "identify", func() bool {
		p.lock.Lock()
		defer p.lock.Unlock()
		e, found = p.identified[id]
		pushes = p.pushes[id]
		return found
	})
	if err != nil {
		return nil, err
	}
	addrs := []string{}
	for _, a := range e.ListenAddrs {
		addrs = append(addrs, a.String())
	}
	now, err := p.Peerstore().GetProtocols(id)
	if err != nil {
		return nil, err
	}
	protocols := protocol.ConvertToStrings(now)
	sort.Strings(protocols)
	first := protocol.ConvertToStrings(e.Protocols)
	sort.Strings(first)
	r := reply{"agent": e.AgentVersion, "protocol_version": e.ProtocolVersion, "listen_addrs": addrs,
		"protocols": protocols, "first_protocols": first, "signed_record": e.SignedPeerRecord != nil,
		"key_type": p.keyType(id), "protocol_changes": pushes}
	if e.ObservedAddr != nil {
		r["observed"] = e.ObservedAddr.String()
	}
	if e.SignedPeerRecord != nil {
		return r, describeRecord(e, r)
	}
	return r, nil
}

func describeRecord(e event.EvtPeerIdentificationCompleted, r reply) error {
	rec, err := e.SignedPeerRecord.Record()
	if err != nil {
		return err
	}
	pr, ok := rec.(*peer.PeerRecord)
	if !ok || pr.PeerID != e.Peer {
		return errors.New("the signed record is not the peer's")
	}
	addrs := []string{}
	for _, a := range pr.Addrs {
		addrs = append(addrs, a.String())
	}
	r["record_addrs"], r["record_seq"] = addrs, pr.Seq
	return nil
}

func cmdPing(ctx context.Context, p *peerHost, c command) (reply, error) {
	id, err := c.peerID()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(network.WithNoDial(ctx, "test"))
	defer cancel()
	results := ping.Ping(ctx, p.Host, id)
	times := []float64{}
	for i := 0; i < max(c.Count, 1); i++ {
		r, open := <-results
		if !open {
			return nil, ctx.Err()
		}
		if r.Error != nil {
			return nil, r.Error
		}
		times = append(times, float64(r.RTT.Microseconds())/1000)
	}
	return reply{"rtts": times}, nil
}

func cmdPerf(ctx context.Context, p *peerHost, c command) (reply, error) {
	opened, err := p.openMany(ctx, c, perfID)
	if err != nil {
		return nil, err
	}
	begin := time.Now()
	got := make([]uint64, len(opened))
	err = together(opened, func(i int, s network.Stream) (err error) {
		got[i], err = perf(s, c.Up, c.Down)
		return err
	})
	if err != nil {
		return nil, err
	}
	return reply{"streams": len(opened), "up": c.Up, "down": got[0], "seconds": time.Since(begin).Seconds()}, nil
}

func perf(s network.Stream, up, down uint64) (uint64, error) {
	if err := binary.Write(s, binary.BigEndian, down); err != nil {
		return 0, err
	}
	zeros := make([]byte, 64<<10)
	for left := up; left > 0; {
		n, err := s.Write(zeros[:min(left, uint64(len(zeros)))])
		if err != nil {
			return 0, err
		}
		left -= uint64(n)
	}
	if err := s.CloseWrite(); err != nil {
		return 0, err
	}
	got, err := io.Copy(io.Discard, s)
	if err == nil && uint64(got) != down {
		err = fmt.Errorf("asked for %d bytes, got %d", down, got)
	}
	return uint64(got), err
}

// Random bytes that cost little to make, hashed as they go out.
func writeRandom(s network.Stream, n int64, sum hash.Hash) error {
	var seed [32]byte
	rand.Read(seed[:])
	src := mathrand.NewChaCha8(seed)
	buf := make([]byte, 128<<10)
	for n > 0 {
		part := buf[:min(n, int64(len(buf)))]
		src.Read(part)
		sum.Write(part)
		if _, err := s.Write(part); err != nil {
			return err
		}
		n -= int64(len(part))
	}
	return s.CloseWrite()
}

func echoOnce(s network.Stream, n int64) (string, error) {
	sent, back := sha256.New(), sha256.New()
	failed := make(chan error, 1)
	go func() { failed <- writeRandom(s, n, sent) }()
	got, err := io.Copy(back, s)
	if err != nil {
		s.Reset()
		<-failed
		return "", err
	}
	if err := <-failed; err != nil {
		return "", err
	}
	if got != n || !bytes.Equal(sent.Sum(nil), back.Sum(nil)) {
		return "", fmt.Errorf("sent %d bytes, %d came back, or other ones", n, got)
	}
	return hex.EncodeToString(back.Sum(nil)), nil
}

// Opens all the streams that a command asks for, before the first byte of data goes.
func (p *peerHost) openMany(ctx context.Context, c command, id protocol.ID) ([]network.Stream, error) {
	opened := []network.Stream{}
	for range max(c.Streams, 1) {
		s, err := p.open(ctx, c, id)
		if err != nil {
			for _, s := range opened {
				s.Reset()
			}
			return nil, fmt.Errorf("stream %d: %w", len(opened)+1, err)
		}
		opened = append(opened, s)
	}
	return opened, nil
}

// One exchange on each stream, side by side; a stream whose exchange fails is reset.
func together(streams []network.Stream, exchange func(int, network.Stream) error) error {
	errs := make([]error, len(streams))
	var wait sync.WaitGroup
	for i, s := range streams {
		wait.Add(1)
		go func() {
			defer wait.Done()
			errs[i] = exchange(i, s)
			finish(s, errs[i])
		}()
	}
	wait.Wait()
	return errors.Join(errs...)
}

func cmdEcho(ctx context.Context, p *peerHost, c command) (reply, error) {
	opened, err := p.openMany(ctx, c, echoID)
	if err != nil {
		return nil, err
	}
	begin := time.Now()
	sums := make([]string, len(opened))
	err = together(opened, func(i int, s network.Stream) (err error) {
		sums[i], err = echoOnce(s, c.Bytes)
		return err
	})
	if err != nil {
		return nil, err
	}
	return reply{"streams": len(opened), "bytes": c.Bytes * int64(len(opened)),
		"seconds": time.Since(begin).Seconds(), "sha256": sums[0]}, nil
}

func cmdHalfClose(ctx context.Context, p *peerHost, c command) (reply, error) {
	s, err := p.open(ctx, c, halfCloseID)
	if err != nil {
		return nil, err
	}
	sum := sha256.New()
	if err = writeRandom(s, c.Bytes, sum); err != nil {
		finish(s, err)
		return nil, err
	}
	got, err := io.ReadAll(io.LimitReader(s, 1024))
	finish(s, err)
	if err != nil {
		return nil, err
	}
	if want := hex.EncodeToString(sum.Sum(nil)); want != string(got) {
		return nil, fmt.Errorf("expected %s, got %q", want, got)
	}
	return reply{"sha256": string(got)}, nil
}

// Without "ours": the other end resets after our byte. With it: we reset a stream to its sink.
func cmdReset(ctx context.Context, p *peerHost, c command) (reply, error) {
	if c.Ours {
		s, err := p.open(ctx, c, sinkID)
		if err != nil {
			return nil, err
		}
		if _, err = s.Write(make([]byte, max(c.Bytes, 1))); err != nil {
			return nil, err
		}
		if _, err = io.ReadFull(s, make([]byte, 1)); err != nil {
			return nil, err
		}
		return reply{"reset": true}, s.Reset()
	}
	s, err := p.open(ctx, c, resetID)
	if err != nil {
		return nil, err
	}
	if _, err = s.Write([]byte("x")); err != nil {
		return nil, err
	}
	_, err = io.ReadAll(s)
	s.Reset()
	if !errors.Is(err, network.ErrReset) {
		return nil, fmt.Errorf("expected a reset, got: %v", err)
	}
	return reply{"reset": true}, nil
}

// Any bytes to any protocol, and what came back: for what no well-behaved peer sends.
func cmdRaw(ctx context.Context, p *peerHost, c command) (reply, error) {
	data, err := hex.DecodeString(c.Hex)
	if err != nil {
		return nil, err
	}
	s, err := p.open(ctx, c, "")
	if err != nil {
		return nil, err
	}
	defer s.Reset()
	if _, err = s.Write(data); err != nil {
		return nil, err
	}
	if c.HalfClose {
		if err = s.CloseWrite(); err != nil {
			return nil, err
		}
	}
	limit := c.Max
	if limit == 0 {
		limit = 64 << 10
	}
	s.SetReadDeadline(time.Now().Add(c.timeout(5)))
	got, err := io.ReadAll(io.LimitReader(s, limit))
	end := "eof"
	switch {
	case errors.Is(err, network.ErrReset):
		end = "reset"
	case err != nil:
		end = "timeout"
	case int64(len(got)) == limit:
		end = "max"
	}
	return reply{"hex": hex.EncodeToString(got), "end": end}, nil
}

func cmdSinks(_ context.Context, p *peerHost, _ command) (reply, error) {
	return reply{"bytes": p.sinkBytes.Load(), "eofs": p.sinkEOFs.Load(), "resets": p.sinkResets.Load()}, nil
}

// One more protocol, served as an echo: it makes identify push.
func cmdHandle(_ context.Context, p *peerHost, c command) (reply, error) {
	p.SetStreamHandler(protocol.ID(c.Protocol), serveEcho)
	return nil, nil
}

func cmdUnhandle(_ context.Context, p *peerHost, c command) (reply, error) {
	p.RemoveStreamHandler(protocol.ID(c.Protocol))
	return nil, nil
}
