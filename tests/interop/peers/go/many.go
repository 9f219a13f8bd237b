package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"sort"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/protocol/ping"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	ma "github.com/multiformats/go-multiaddr"
)

// The source address of number i: 127.1.0.1, 127.1.0.2 … a node sees as many hosts.
func sourceAddr(i int) net.IP { return net.IPv4(127, byte(1+i/62500), byte(i/250%250), byte(1+i%250)) }

func hostFrom(o options, source net.IP) (host.Host, error) {
	key, _, err := crypto.GenerateEd25519Key(rand.Reader)
	if err != nil {
		return nil, err
	}
	dialer := func(ma.Multiaddr) (tcp.ContextDialer, error) {
		return &net.Dialer{LocalAddr: &net.TCPAddr{IP: source}}, nil
	}
	return libp2p.New(append(o.list(), libp2p.Identity(key), libp2p.NoListenAddrs,
		libp2p.Transport(tcp.NewTCPTransport, tcp.WithDialerForAddr(dialer)))...)
}

func dialAndPing(ctx context.Context, h host.Host, to peer.AddrInfo, tries int) (time.Duration, error) {
	var err error
	for i := 0; i < tries; i++ {
		if i > 0 {
			select {
			case <-ctx.Done():
				return 0, err
			case <-time.After(time.Duration(i) * 200 * time.Millisecond):
			}
		}
		if err = h.Connect(network.WithForceDirectDial(ctx, "test"), to); err == nil {
			break
		}
	}
	if err != nil {
		return 0, fmt.Errorf("connect: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r, open := <-ping.Ping(ctx, h, to.ID)
	if !open {
		return 0, fmt.Errorf("ping: %w", ctx.Err())
	}
	if r.Error != nil {
		return 0, fmt.Errorf("ping: %w", r.Error)
	}
	return r.RTT, nil
}

// Count connections to addr at once, each with an identity of its own, from many loopback addresses,
// each pinged once; they are held until `release`.
func cmdMany(ctx context.Context, p *peerHost, c command) (reply, error) {
	to, err := peer.AddrInfoFromString(c.Addr)
	if err != nil {
		return nil, err
	}
	hosts := make([]host.Host, 0, c.Count)
	for i := range c.Count {
		h, err := hostFrom(p.opts, sourceAddr(i/max(c.PerAddr, 1)))
		if err != nil {
			return nil, err
		}
		hosts = append(hosts, h)
	}
	p.lock.Lock()
	p.held = append(p.held, hosts...)
	p.lock.Unlock()

	begin := time.Now()
	times, errs := make([]time.Duration, c.Count), make([]error, c.Count)
	var wait sync.WaitGroup
	for i, h := range hosts {
		wait.Add(1)
		go func() {
			defer wait.Done()
			times[i], errs[i] = dialAndPing(ctx, h, *to, max(c.Tries, 1))
		}()
	}
	wait.Wait()
	seconds := time.Since(begin).Seconds()

	good, failures := []float64{}, map[string]int{}
	for i, err := range errs {
		if err != nil {
			if len(failures) < 5 {
				failures[err.Error()]++
			}
			continue
		}
		good = append(good, float64(times[i].Microseconds())/1000)
	}
	sort.Float64s(good)
	r := reply{"good": len(good), "failed": c.Count - len(good), "errors": failures, "seconds": seconds}
	if len(good) > 0 {
		r["rtt_median"], r["rtt_max"] = good[len(good)/2], good[len(good)-1]
	}
	return r, nil
}

// How many of the held hosts still have a connection.
func cmdManyAlive(_ context.Context, p *peerHost, _ command) (reply, error) {
	p.lock.Lock()
	defer p.lock.Unlock()
	n := 0
	for _, h := range p.held {
		if len(h.Network().Conns()) > 0 {
			n++
		}
	}
	return reply{"alive": n}, nil
}

func cmdRelease(_ context.Context, p *peerHost, _ command) (reply, error) {
	p.lock.Lock()
	held := p.held
	p.held = nil
	p.lock.Unlock()
	for _, h := range held {
		h.Close()
	}
	return reply{"released": len(held)}, nil
}
