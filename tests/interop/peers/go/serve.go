package main

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
)

const (
	perfID      = "/perf/1.0.0"
	echoID      = "/test/echo/1.0.0"
	sinkID      = "/test/sink/1.0.0"
	halfCloseID = "/test/halfclose/1.0.0"
	resetID     = "/test/reset/1.0.0"
)

// The peer's state beside its host: what others' identify said, what the sink took, the hosts of `many`.
type peerHost struct {
	host.Host
	opts options

	lock       sync.Mutex
	identified map[peer.ID]event.EvtPeerIdentificationCompleted
	pushes     map[peer.ID]int
	held       []host.Host

	sinkBytes, sinkEOFs, sinkResets atomic.Int64
}

func serve(h host.Host, o options) (*peerHost, error) {
	p := &peerHost{Host: h, opts: o, identified: map[peer.ID]event.EvtPeerIdentificationCompleted{},
		pushes: map[peer.ID]int{}}
	sub, err := h.EventBus().Subscribe([]any{new(event.EvtPeerIdentificationCompleted),
		new(event.EvtPeerProtocolsUpdated)})
	if err != nil {
		return nil, err
	}
	go p.watch(sub)
	h.SetStreamHandler(perfID, servePerf)
	h.SetStreamHandler(echoID, serveEcho)
	h.SetStreamHandler(sinkID, p.serveSink)
	h.SetStreamHandler(halfCloseID, serveHalfClose)
	h.SetStreamHandler(resetID, serveReset)
	return p, nil
}

func (p *peerHost) watch(sub event.Subscription) {
	for e := range sub.Out() {
		p.lock.Lock()
		switch e := e.(type) {
		case event.EvtPeerIdentificationCompleted:
			p.identified[e.Peer] = e
		case event.EvtPeerProtocolsUpdated:
			p.pushes[e.Peer]++
		}
		p.lock.Unlock()
	}
}

func finish(s network.Stream, err error) {
	if err != nil {
		s.Reset()
		return
	}
	s.Close()
}

// Every byte comes back; when the other end has closed its side, so do we.
func serveEcho(s network.Stream) {
	_, err := io.CopyBuffer(onlyWriter{s}, onlyReader{s}, make([]byte, 256<<10))
	finish(s, err)
}

type onlyWriter struct{ io.Writer }
type onlyReader struct{ io.Reader }

func servePerf(s network.Stream) {
	var head [8]byte
	if _, err := io.ReadFull(s, head[:]); err != nil {
		finish(s, err)
		return
	}
	if _, err := io.Copy(io.Discard, s); err != nil {
		finish(s, err)
		return
	}
	zeros := make([]byte, 64<<10)
	for left := binary.BigEndian.Uint64(head[:]); left > 0; {
		n, err := s.Write(zeros[:min(left, uint64(len(zeros)))])
		if err != nil {
			finish(s, err)
			return
		}
		left -= uint64(n)
	}
	finish(s, nil)
}

// Counts what comes, and how it ends. One byte of answer to the first bytes: the stream is in the sink's hands.
func (p *peerHost) serveSink(s network.Stream) {
	buf := make([]byte, 64<<10)
	for answered := false; ; {
		n, err := s.Read(buf)
		if n > 0 && !answered {
			answered = true
			s.Write([]byte("k"))
		}
		p.sinkBytes.Add(int64(n))
		if err == io.EOF {
			p.sinkEOFs.Add(1)
			finish(s, nil)
			return
		}
		if err != nil {
			p.sinkResets.Add(1)
			finish(s, err)
			return
		}
	}
}

// Reads to the end of the other side, then answers with the SHA-256 of what came, in hex.
func serveHalfClose(s network.Stream) {
	sum := sha256.New()
	_, err := io.Copy(sum, s)
	if err == nil {
		_, err = s.Write([]byte(hex.EncodeToString(sum.Sum(nil))))
	}
	finish(s, err)
}

func serveReset(s network.Stream) {
	s.SetReadDeadline(time.Now().Add(30 * time.Second))
	var one [1]byte
	io.ReadFull(s, one[:])
	s.Reset()
}
