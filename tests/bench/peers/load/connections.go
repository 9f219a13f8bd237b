package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const smallRoom = 16 << 10 // of a connection that carries no bulk

// A connection that has answered a ping: it is up in both directions. The ping's stream stays open: js-libp2p
// resets it when it is closed early.
func (s *stock) pinged(addr string, i, room int) (*mux, error) {
	m, err := s.connect(addr, i, room)
	if err != nil {
		return nil, err
	}
	st := m.open(pingID, firstWindow, make([]byte, 32))
	if err = m.flush(); err != nil {
		m.Close()
		return nil, err
	}
	for st.got < agreement(pingID)+32 {
		if st.failed {
			m.Close()
			return nil, fmt.Errorf("the ping's stream was reset")
		}
		err = m.step()
		if err == nil {
			err = m.flush()
		}
		if err != nil {
			m.Close()
			return nil, err
		}
	}
	delete(m.streams, st.id)
	return m, nil
}

// Connection set-ups one after the other in each of `flight` goroutines: TCP, Noise, Yamux, one ping, closed.
func setups(o options) (report, error) {
	s, err := newStock(max(256, 4*o.flight))
	if err != nil {
		return nil, err
	}
	for i := range min(o.flight, 8) { // warm: the server's static key is known after the first
		m, err := s.pinged(o.addr, i, smallRoom)
		if err != nil {
			return nil, err
		}
		m.Close()
	}
	var number, failed atomic.Int64
	var first atomic.Value
	times := make([][]time.Duration, o.flight)
	begin := time.Now()
	end := begin.Add(time.Duration(o.seconds * float64(time.Second)))
	var wait sync.WaitGroup
	for w := range o.flight {
		wait.Add(1)
		go func() {
			defer wait.Done()
			for t := time.Now(); t.Before(end); t = time.Now() {
				m, err := s.pinged(o.addr, int(number.Add(1)), smallRoom)
				if err != nil {
					failed.Add(1)
					first.CompareAndSwap(nil, err.Error())
					continue
				}
				m.Close()
				times[w] = append(times[w], time.Since(t))
			}
		}()
	}
	wait.Wait()
	seconds := time.Since(begin).Seconds()
	var all []time.Duration
	for _, t := range times {
		all = append(all, t...)
	}
	r := report{"ops": len(all), "seconds": seconds, "failed": failed.Load(), "error": first.Load()}
	quantiles(r, all)
	return r, nil
}

// Holds connections: reads how many there shall be from standard input, a line each time, and says how many live.
func hold(o options) (report, error) {
	s, err := newStock(o.count)
	if err != nil {
		return nil, err
	}
	var alive, failed atomic.Int64
	var lastError atomic.Value
	lines := bufio.NewScanner(os.Stdin)
	out := json.NewEncoder(os.Stdout)
	made := 0
	for lines.Scan() {
		wanted, err := strconv.Atoi(strings.TrimSpace(lines.Text()))
		if err != nil {
			return nil, err
		}
		var wait sync.WaitGroup
		slots := make(chan bool, 8)
		for ; made < wanted; made++ {
			wait.Add(1)
			slots <- true
			go func(i int) {
				defer wait.Done()
				m, err := s.pinged(o.addr, i, smallRoom)
				<-slots
				if err != nil {
					failed.Add(1)
					lastError.Store(err.Error())
					return
				}
				m.SetDeadline(time.Time{})
				alive.Add(1)
				go func() {
					for err := error(nil); err == nil; {
						if err = m.step(); err == nil {
							err = m.flush()
						}
					}
					m.Close()
					alive.Add(-1)
				}()
			}(made)
		}
		wait.Wait()
		out.Encode(report{"held": alive.Load(), "failed": failed.Load(), "error": lastError.Load()})
	}
	return report{"held": alive.Load()}, nil
}
