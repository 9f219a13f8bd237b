package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"
)

// The dialing end of Yamux over a secured connection, for one goroutine: frames gather in out until flush, step
// takes the next record. Streams that the server opens are answered as a plain peer would: identify and ping.

const (
	typeData, typeWindow, typePing = 0, 1, 2
	flagSYN, flagACK, flagFIN      = 1, 2, 4
	flagRST                        = 8
	firstWindow                    = 256 << 10
	bigWindow                      = 16 << 20
	giveBack                       = 1 << 20 // window updates are sent for at least so much
	multistream                    = "\x13/multistream/1.0.0\n"
	identifyID                     = "/ipfs/id/1.0.0"
	pingID                         = "/ipfs/ping/1.0.0"
	perfID                         = "/perf/1.0.0"
)

type stream struct {
	id            uint32
	credit        int64 // bytes that we may send
	window        int64 // what it may send in all, once we have opened it
	unread        int64 // taken and not yet given back
	got           int64
	begin         time.Time
	ended, failed bool
}

type inbound struct {
	text   []byte
	agreed string
}

type mux struct {
	*secure
	out     []byte
	next    uint32
	streams map[uint32]*stream
	inbound map[uint32]*inbound
	done    []*stream // ended since the caller looked last
	answer  []byte    // to identify
	part    []byte    // of a frame's header
	left    uint32    // of a frame's data
	current uint32
	flags   uint16
}

// Connections come from many loopback addresses: a server that limits the rate of an address sees many hosts.
func dialFrom(addr string, i int) (net.Conn, error) {
	from := &net.TCPAddr{IP: net.IPv4(127, 1, byte(1+i/200%8), byte(1+i%200))}
	d := net.Dialer{LocalAddr: from, Timeout: 20 * time.Second}
	return d.Dial("tcp4", addr)
}

func protocolLine(p string) string { return string(rune(len(p)+1)) + p + "\n" }

func (s *stock) connect(addr string, i, room int) (*mux, error) {
	c, err := dialFrom(addr, i)
	if err != nil {
		return nil, err
	}
	c.SetDeadline(time.Now().Add(30 * time.Second))
	sec, err := s.handshake(c, i, room)
	if err != nil {
		c.Close()
		return nil, err
	}
	m := &mux{secure: sec, next: 1, streams: map[uint32]*stream{}, inbound: map[uint32]*inbound{}, answer: s.identify(i)}
	if !sec.earlyMuxer {
		if err = m.agreeOnYamux(); err != nil {
			c.Close()
			return nil, err
		}
	}
	return m, nil
}

// After Noise, where the server knows no early negotiation.
func (m *mux) agreeOnYamux() error {
	want := multistream + protocolLine("/yamux/1.0.0")
	if err := m.write([]byte(want)); err != nil {
		return err
	}
	var got []byte
	for len(got) < len(want) {
		b, err := m.record()
		if err != nil {
			return err
		}
		got = append(got, b...)
	}
	if !strings.HasPrefix(string(got), want) {
		return fmt.Errorf("no yamux: %q", got)
	}
	return m.input(got[len(want):])
}

func (s *stock) identify(i int) []byte {
	id := pbBytes(nil, 5, []byte("silktalk/0.1.0"))
	id = pbBytes(id, 6, []byte("silktalk-bench"))
	id = pbBytes(id, 1, s.public[i%len(s.public)])
	id = pbBytes(id, 3, []byte(identifyID))
	id = pbBytes(id, 3, []byte(pingID))
	return append(binary.AppendUvarint(nil, uint64(len(id))), id...)
}

func (m *mux) frame(kind byte, flags uint16, id, length uint32, data []byte) {
	m.out = append(m.out, 0, kind, byte(flags>>8), byte(flags))
	m.out = binary.BigEndian.AppendUint32(m.out, id)
	m.out = binary.BigEndian.AppendUint32(m.out, length)
	m.out = append(m.out, data...)
}

func (m *mux) send(id uint32, flags uint16, data []byte) {
	m.frame(typeData, flags, id, uint32(len(data)), data)
}

// One record of bulk: a frame of n bytes, header and all in `record`, sealed behind what waits without a copy more.
func (m *mux) sendRecord(id uint32, record []byte, n int) {
	m.seal(m.out)
	m.out = m.out[:0]
	binary.BigEndian.PutUint32(record[4:], id)
	binary.BigEndian.PutUint32(record[8:], uint32(n))
	m.seal(record[:12+n])
}

func (m *mux) finish(id uint32) { m.frame(typeWindow, flagFIN, id, 0, nil) }

func (m *mux) flush() error {
	err := m.write(m.out)
	m.out = m.out[:0]
	return err
}

// A new stream with its protocol proposed and the first bytes sent along. window: what the server may send.
func (m *mux) open(protocol string, window int64, first []byte) *stream {
	s := &stream{id: m.next, credit: firstWindow, window: window, begin: time.Now()}
	m.next += 2
	m.streams[s.id] = s
	if window > firstWindow {
		m.frame(typeWindow, flagSYN, s.id, uint32(window-firstWindow), nil)
	}
	data := append([]byte(multistream+protocolLine(protocol)), first...)
	flags := uint16(flagSYN)
	if window > firstWindow {
		flags = 0
	}
	m.send(s.id, flags, data)
	s.credit -= int64(len(data))
	return s
}

// How many bytes come before a protocol's own: the answer of multistream-select.
func agreement(protocol string) int64 { return int64(len(multistream + protocolLine(protocol))) }

// Takes the next record. What has to be sent for it waits in out.
func (m *mux) step() error {
	b, err := m.record()
	if err != nil {
		return err
	}
	return m.input(b)
}

func (m *mux) input(b []byte) error {
	for len(b) > 0 {
		if m.left > 0 {
			n := min(int(m.left), len(b))
			m.data(m.current, b[:n])
			m.left -= uint32(n)
			b = b[n:]
			if m.left == 0 {
				m.flag(m.current, m.flags)
			}
			continue
		}
		n := min(12-len(m.part), len(b))
		m.part = append(m.part, b[:n]...)
		b = b[n:]
		if len(m.part) == 12 {
			if err := m.header(m.part); err != nil {
				return err
			}
			m.part = m.part[:0]
		}
	}
	return nil
}

func (m *mux) header(h []byte) error {
	flags, id := binary.BigEndian.Uint16(h[2:]), binary.BigEndian.Uint32(h[4:])
	length := binary.BigEndian.Uint32(h[8:])
	if flags&flagSYN != 0 && id%2 == 0 && id != 0 {
		m.inbound[id] = &inbound{}
		m.frame(typeWindow, flagACK, id, 0, nil)
	}
	switch h[1] {
	case typeData:
		m.current, m.flags, m.left = id, flags, length
		if length == 0 {
			m.flag(id, flags)
		}
	case typeWindow:
		if s := m.streams[id]; s != nil {
			s.credit += int64(length)
		}
		m.flag(id, flags)
	case typePing:
		if flags&flagSYN != 0 {
			m.frame(typePing, flagACK, 0, length, nil)
		}
	default:
		return errors.New("the server goes away")
	}
	return nil
}

func (m *mux) flag(id uint32, flags uint16) {
	s := m.streams[id]
	if s != nil && flags&(flagFIN|flagRST) != 0 && !s.ended {
		s.ended = true
		m.done = append(m.done, s)
		s.failed = flags&flagRST != 0
	}
	if m.inbound[id] != nil && flags&(flagFIN|flagRST) != 0 {
		if flags&flagRST == 0 && m.inbound[id].agreed != identifyID {
			m.finish(id)
		}
		delete(m.inbound, id)
	}
}

func (m *mux) data(id uint32, b []byte) {
	if in := m.inbound[id]; in != nil {
		m.serve(id, in, b)
		return
	}
	s := m.streams[id]
	if s == nil {
		return
	}
	s.got += int64(len(b))
	s.unread += int64(len(b))
	if s.unread >= min(s.window/2, giveBack) {
		m.frame(typeWindow, 0, id, uint32(s.unread), nil)
		s.unread = 0
	}
}

// A stream of the server's: identify and ping are answered, all else is refused.
func (m *mux) serve(id uint32, in *inbound, b []byte) {
	if in.agreed == pingID {
		m.send(id, 0, b)
		m.frame(typeWindow, 0, id, uint32(len(b)), nil)
		return
	}
	in.text = append(in.text, b...)
	if in.agreed != "" || !strings.HasPrefix(string(in.text), multistream) {
		return
	}
	rest := string(in.text[len(multistream):])
	line := strings.IndexByte(rest, '\n')
	if line < 1 {
		return
	}
	protocol := rest[1:line]
	reply := multistream + protocolLine(protocol)
	switch protocol {
	case identifyID:
		in.agreed = protocol
		m.send(id, 0, append([]byte(reply), m.answer...))
		m.finish(id)
	case pingID:
		in.agreed = protocol
		m.send(id, 0, append([]byte(reply), rest[line+1:]...))
	default:
		delete(m.inbound, id)
		m.frame(typeWindow, flagRST, id, 0, nil)
	}
}
