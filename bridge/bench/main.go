// Command bench measures zwsbridge beside what one would use in its place, in one run: on
// loopback, servers in processes of their own, all with the same clients and the same
// backpressure. It prints tables and draws a plot.
//
//	make bench                     in the root of the repository: everything, about 20 minutes
//	go run . -only fanout -peers 'zwsbridge|libzmq'
//
// The absolute figures are those of the machine; the ratios are what counts.
package main

import (
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"time"
)

type options struct {
	only, peers *regexp.Regexp
	duration    time.Duration
	repeat      int
	clients     []int
	idle        int
	plot        string
}

func main() {
	log.SetFlags(0)
	hosting := flag.String("serve", "", "host a peer (used by the benchmark itself)")
	address := flag.String("address", "", "with -serve: where WebSocket clients connect")
	feed := flag.String("feed", "", "with -serve: where the publisher is")
	secure := flag.Bool("tls", false, "with -serve: TLS")
	only := flag.String("only", "", "regular expression: which of fanout, tls, paced, slow, requests, topics, matching, idle")
	peers := flag.String("peers", "", "regular expression: which peers")
	duration := flag.Duration("time", 3*time.Second, "of one measurement")
	repeat := flag.Int("repeat", 3, "measurements of which the median is taken")
	clients := flag.String("clients", "1,10,100,1000", "numbers of clients of the saturated fan-out")
	idle := flag.Int("idle", 5000, "idle connections")
	plot := flag.String("plot", "bench.png", "file for the plot")
	binary := flag.String("zwsbridge", "", "the program to measure; built from this tree if empty")
	flag.Parse()
	if *hosting != "" {
		log.Fatal(serve(*hosting, *address, *feed, *secure))
	}
	_, source, _, _ := runtime.Caller(0)
	folder = filepath.Dir(source)
	zwsbridge = *binary
	if zwsbridge == "" {
		dir, err := os.MkdirTemp("", "zwsbench")
		if err != nil {
			log.Fatal(err)
		}
		defer os.RemoveAll(dir)
		zwsbridge = filepath.Join(dir, "zwsbridge")
		build := exec.Command("go", "build", "-o", zwsbridge, "./cmd/zwsbridge")
		build.Dir = filepath.Join(folder, "..", "..")
		if out, err := build.CombinedOutput(); err != nil {
			log.Fatalf("zwsbridge: %v\n%s", err, out)
		}
	}
	o := options{
		only:     regexp.MustCompile(*only),
		peers:    regexp.MustCompile(*peers),
		duration: *duration,
		repeat:   *repeat,
		idle:     *idle,
		plot:     *plot,
	}
	for n := range strings.SplitSeq(*clients, ",") {
		count, err := strconv.Atoi(n)
		if err != nil || count < 1 {
			log.Fatalf("-clients %q: want numbers above 0, with commas", *clients)
		}
		o.clients = append(o.clients, count)
	}
	if err := all(o); err != nil {
		log.Fatal(err)
	}
}

// all runs every part that is wanted.
func all(o options) error {
	fmt.Printf("%s, %d cores, %d-octet messages, medians of %d\n", runtime.Version(), runtime.NumCPU(), messageSize, o.repeat)
	for _, part := range []struct {
		name string
		run  func(options) error
	}{
		{"fanout", fanoutPart},
		{"tls", tlsPart},
		{"paced", pacedPart},
		{"slow", slowPart},
		{"requests", requestsPart},
		{"topics", topicsPart},
		{"matching", matchingPart},
		{"idle", idlePart},
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
