package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

const bulkRoom = 256 << 10

func one(o options) (*mux, error) {
	s, err := newStock(1)
	if err != nil {
		return nil, err
	}
	m, err := s.pinged(o.addr, 0, bulkRoom)
	if err == nil {
		m.SetDeadline(time.Now().Add(5 * time.Minute))
	}
	return m, err
}

// Round trips of 32 bytes on one stream of the ping protocol.
func ping(o options) (report, error) {
	m, err := one(o)
	if err != nil {
		return nil, err
	}
	block := make([]byte, 32)
	st := m.open(pingID, firstWindow, block)
	target := agreement(pingID) + 32
	var times []time.Duration
	for i := -o.count / 10; i < o.count; i++ { // the first tenth is warming up
		begin := time.Now()
		if err = m.flush(); err != nil {
			return nil, err
		}
		for st.got < target {
			if err = m.step(); err != nil {
				return nil, err
			}
			if st.ended {
				return nil, errors.New("the server ended the ping's stream")
			}
		}
		if i >= 0 {
			times = append(times, time.Since(begin))
		}
		target += 32
		m.send(st.id, 0, block)
	}
	r := report{"ops": len(times)}
	quantiles(r, times)
	return r, nil
}

const requestSize = 64

// Small requests, each on a new stream of one connection: multistream-select, 64 bytes there, 64 bytes back, closed
// on both sides. They are perf's: a head that asks for 64 bytes, and 56 more.
func requests(o options) (report, error) {
	m, err := one(o)
	if err != nil {
		return nil, err
	}
	body := make([]byte, requestSize)
	binary.BigEndian.PutUint64(body, requestSize)
	want := agreement(perfID) + requestSize
	start := func() {
		st := m.open(perfID, firstWindow, body)
		m.finish(st.id)
	}
	for range o.flight {
		start()
	}
	var times []time.Duration
	warm := time.Now().Add(200 * time.Millisecond)
	begin, end := warm, warm.Add(time.Duration(o.seconds*float64(time.Second)))
	var now time.Time
	for now.Before(end) {
		if m.in.Buffered() == 0 {
			if err = m.flush(); err != nil {
				return nil, err
			}
		}
		if err = m.step(); err != nil {
			return nil, err
		}
		now = time.Now()
		for _, st := range m.done {
			if st.failed || st.got != want {
				return nil, fmt.Errorf("a request failed: reset %v, %d bytes", st.failed, st.got)
			}
			if now.After(begin) {
				times = append(times, now.Sub(st.begin))
			}
			delete(m.streams, st.id)
			start()
		}
		m.done = m.done[:0]
	}
	r := report{"ops": len(times), "seconds": now.Sub(begin).Seconds()}
	quantiles(r, times)
	m.Close()
	return r, nil
}

// Transfers by perf on `streams` streams of one connection, all bytes of all streams together.
func bulk(o options) (report, error) {
	m, err := one(o)
	if err != nil {
		return nil, err
	}
	n := int64(o.streams)
	record := make([]byte, recordMax-tagSize) // a frame's header, and zeros
	left := make([]int64, n)
	streams := make([]*stream, n)
	begin := time.Now()
	for i := range streams {
		head := binary.BigEndian.AppendUint64(nil, uint64(o.down/n))
		streams[i] = m.open(perfID, bigWindow, head)
		left[i] = o.up / n
		if left[i] == 0 {
			m.finish(streams[i].id)
		}
	}
	for {
		for m.fill(streams, left, record) {
			if err = m.flush(); err != nil {
				return nil, err
			}
		}
		if err = m.flush(); err != nil {
			return nil, err
		}
		if err = m.step(); err != nil {
			return nil, err
		}
		done := 0
		for i, st := range streams {
			if !st.ended {
				continue
			}
			if st.failed || left[i] > 0 || st.got != agreement(perfID)+o.down/n {
				return nil, fmt.Errorf("a transfer failed: reset %v, %d bytes, %d left", st.failed, st.got, left[i])
			}
			done++
		}
		if done == len(streams) {
			break
		}
	}
	r := report{"bytes": (o.up/n + o.down/n) * n, "seconds": time.Since(begin).Seconds()}
	m.Close()
	return r, nil
}

// Seals up to four records of what may be sent; false: nothing may be.
func (m *mux) fill(streams []*stream, left []int64, record []byte) bool {
	any := false
	for i, st := range streams {
		for range 4 {
			part := min(left[i], st.credit, int64(len(record)-12))
			if part <= 0 || len(m.sealed) > 3*recordMax {
				break
			}
			m.sendRecord(st.id, record, int(part))
			st.credit -= part
			left[i] -= part
			any = true
			if left[i] == 0 {
				m.finish(st.id)
			}
		}
	}
	return any
}
