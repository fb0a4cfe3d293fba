// Command bench measures zwsbridge and its alternatives in one run: on loopback, with each
// server in a process of its own, all with the same clients and the same backpressure. It
// prints tables and draws plots.
//
//	make bench                     in the root of the repository: everything, about an hour
//	go run . -only fanout -peers 'zwsbridge|libzmq'
//	go run . -only history
//
// Absolute figures depend on the machine; compare the rows of one run. To compare two commits
// of zwsbridge, see the command bench/short.
package main

import (
	"flag"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/zwsbridge/zwsbridge/bridge/bench/load"
)

type options struct {
	only, peers *regexp.Regexp
	duration    time.Duration
	repeat      int
	clients     []int
	idle        int
	returning   int
	plot        string
	zwsbridge   string // the binary to measure
}

func main() {
	log.SetFlags(0)
	host := flag.String("serve", "", "host a peer (used by the benchmark itself)")
	address := flag.String("address", "", "with -serve: where WebSocket clients connect")
	feed := flag.String("feed", "", "with -serve: where the publisher is")
	secure := flag.Bool("tls", false, "with -serve: TLS")
	only := flag.String("only", "", "regular expression: which of fanout, fanout-few, tls, paced, slow, requests, topics, matching, idle, logins, return, history-cost, history-last, history-resume, history-storm, browser-chromium, browser-firefox")
	peers := flag.String("peers", "", "regular expression: which peers")
	duration := flag.Duration("time", 3*time.Second, "duration of one measurement")
	repeat := flag.Int("repeat", 3, "measurements to take the median of")
	clients := flag.String("clients", "1,10,100,1000", "numbers of clients for the saturated fan-out")
	idle := flag.Int("idle", 5000, "number of idle connections")
	returning := flag.Int("return", 10000, "number of clients that lose the bridge and come back")
	plot := flag.String("plot", "bench.png", "file for the plot")
	binary := flag.String("zwsbridge", "", "the binary to measure; empty: built from this tree")
	flag.Parse()
	if *host == "clients" {
		if err := load.Reconnect(*address, *secure, *returning, returnLimit, os.Stdout); err != nil {
			log.Fatal(err)
		}
		return
	}
	if *host != "" {
		log.Fatal(serve(*host, *address, *feed, *secure))
	}
	o := options{
		only:      regexp.MustCompile(*only),
		peers:     regexp.MustCompile(*peers),
		duration:  *duration,
		repeat:    *repeat,
		idle:      *idle,
		returning: *returning,
		plot:      *plot,
		zwsbridge: *binary,
	}
	for n := range strings.SplitSeq(*clients, ",") {
		count, err := strconv.Atoi(n)
		if err != nil || count < 1 {
			log.Fatalf("-clients %q: want numbers above 0, separated by commas", *clients)
		}
		o.clients = append(o.clients, count)
	}
	if err := buildAndRun(o); err != nil {
		log.Fatal(err)
	}
}

// buildAndRun builds zwsbridge, unless a binary is given, and runs all selected parts.
func buildAndRun(o options) error {
	if o.zwsbridge == "" {
		dir, err := os.MkdirTemp("", "zwsbench")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		o.zwsbridge = filepath.Join(dir, "zwsbridge")
		if err := load.Build(load.Root(), o.zwsbridge); err != nil {
			return err
		}
	}
	fmt.Printf("%s, %d cores, %d-byte messages, medians of %d (smallest-largest)\n", runtime.Version(), runtime.NumCPU(), load.MessageSize, o.repeat)
	for _, part := range []struct {
		name string
		run  func(options) error
	}{
		{"fanout", fanoutPart},
		{"fanout-few", fanoutFewPart},
		{"tls", tlsPart},
		{"paced", pacedPart},
		{"slow", slowPart},
		{"requests", requestsPart},
		{"topics", topicsPart},
		{"matching", matchingPart},
		{"idle", idlePart},
		{"logins", loginsPart},
		{"return", returnPart},
		{"history-cost", historyCostPart},
		{"history-last", historyLastPart},
		{"history-resume", historyResumePart},
		{"history-storm", historyStormPart},
		{"browser-chromium", chromiumPart},
		{"browser-firefox", firefoxPart},
	} {
		if !o.only.MatchString(part.name) {
			continue
		}
		if err := part.run(o); err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
	}
	return nil
}
