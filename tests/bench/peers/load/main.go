// The load generator of `make bench`: one client for all servers, so that their figures differ by the server
// alone. It speaks just enough libp2p (multistream, Noise, Yamux, identify, ping, perf) with as little work as can
// be. Usage: load COMMAND -addr IP:PORT [options]; prints one JSON line.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"runtime/debug"
	"sort"
	"syscall"
	"time"
)

type options struct {
	addr, socket, peer string
	flight, streams    int
	count, size        int
	up, down           int64
	seconds, pause     float64
	wait               bool
}

type report map[string]any

var commands = map[string]func(options) (report, error){
	"setups": setups, "hold": hold, "ping": ping, "requests": requests, "bulk": bulk,
	"messages": messages,
}

func cpuSeconds() float64 {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}

// Median and 99th percentile in microseconds.
func quantiles(r report, times []time.Duration) {
	if len(times) == 0 {
		return
	}
	sort.Slice(times, func(i, j int) bool { return times[i] < times[j] })
	us := func(share float64) float64 {
		return float64(times[min(int(share*float64(len(times))), len(times)-1)].Nanoseconds()) / 1e3
	}
	r["p50_us"], r["p99_us"], r["max_us"] = us(0.5), us(0.99), us(1)
}

func main() {
	var o options
	if len(os.Args) < 2 || commands[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: load setups|hold|ping|requests|bulk|messages [options]")
		os.Exit(2)
	}
	f := flag.NewFlagSet(os.Args[1], flag.ExitOnError)
	f.StringVar(&o.addr, "addr", "", "server, IP:PORT")
	f.IntVar(&o.flight, "flight", 1, "operations under way at a time")
	f.IntVar(&o.streams, "streams", 1, "streams of one connection (bulk)")
	f.IntVar(&o.count, "count", 1000, "pings; identities (hold); messages at most")
	f.IntVar(&o.size, "size", 100, "bytes of a message's body")
	f.StringVar(&o.socket, "socket", "", "control socket (messages)")
	f.StringVar(&o.peer, "peer", "", "Peer ID that messages go to")
	f.Float64Var(&o.pause, "pause", 0, "seconds before each message")
	f.BoolVar(&o.wait, "wait", false, "a message is over with its receipt")
	f.Int64Var(&o.up, "up", 0, "bytes to send, all streams together (bulk)")
	f.Int64Var(&o.down, "down", 0, "bytes to fetch, all streams together (bulk)")
	f.Float64Var(&o.seconds, "seconds", 1, "how long")
	f.Parse(os.Args[2:])
	debug.SetGCPercent(800)
	r, err := commands[os.Args[1]](o)
	if err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
	r["client_cpu"] = cpuSeconds()
	json.NewEncoder(os.Stdout).Encode(r)
}
