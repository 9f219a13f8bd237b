package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"
)

// Messages through a SilkTalk node's control socket: `flight` of them are under way at a time, each is over when the
// receiver's receipt is there (or, without -wait, when the node has it on its own disk). With a pause before each, the
// nodes are idle again when it comes.
func messages(o options) (report, error) {
	c, err := net.Dial("unix", o.socket)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	body := bytes.Repeat([]byte("m"), o.size)
	begun := make([]time.Time, 0, 1<<16)
	var lock sync.Mutex
	slots := make(chan bool, o.flight)
	begin := time.Now()
	end := begin.Add(time.Duration(o.seconds * float64(time.Second)))
	finished, last := make(chan int, 1), []byte("silktalk.version/1")
	go func() { // writes
		w := bufio.NewWriterSize(c, 64<<10)
		i := 0
		for ; i < o.count && time.Now().Before(end); i++ {
			if len(slots) == cap(slots) {
				w.Flush()
			}
			slots <- true
			time.Sleep(time.Duration(o.pause * float64(time.Second)))
			lock.Lock()
			begun = append(begun, time.Now())
			lock.Unlock()
			w.WriteString(`{"v":1,"id":`)
			w.WriteString(strconv.Itoa(i))
			w.WriteString(`,"method":"send","params":{"peers":["`)
			w.WriteString(o.peer)
			if o.wait {
				w.WriteString(`"],"wait":true,"body":"`)
			} else {
				w.WriteString(`"],"body":"`)
			}
			w.Write(body)
			w.WriteString("\"}}\n")
		}
		finished <- i
		w.WriteString("{\"v\":1,\"id\":0,\"method\":\"version\"}\n") // wakes the reader, which may have all answers already
		w.Flush()
	}()
	times := make([]time.Duration, 0, 1<<16)
	in := bufio.NewReaderSize(c, 256<<10)
	good := []byte(`"state":"queued"`)
	if o.wait {
		good = []byte(`"state":"stored"`)
	}
	for sent := -1; sent < 0 || len(times) < sent; {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return nil, err
		}
		now := time.Now()
		if bytes.Contains(line, last) {
			if sent < 0 {
				sent = <-finished
			}
			continue
		}
		rest, isAnswer := bytes.CutPrefix(line, []byte(`{"id":`))
		comma := bytes.IndexByte(rest, ',')
		if !isAnswer || comma < 0 || !bytes.Contains(line, good) {
			return nil, fmt.Errorf("a message failed: %s", line)
		}
		id, err := strconv.Atoi(string(rest[:comma]))
		if err != nil {
			return nil, err
		}
		lock.Lock()
		times = append(times, now.Sub(begun[id]))
		lock.Unlock()
		<-slots
		select {
		case sent = <-finished:
		default:
		}
	}
	if len(times) == 0 {
		return nil, errors.New("no message was sent")
	}
	r := report{"ops": len(times), "seconds": time.Since(begin).Seconds()}
	quantiles(r, times)
	return r, nil
}
